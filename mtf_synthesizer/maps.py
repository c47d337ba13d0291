"""Attention maps of checkpoints: learned tables as arrays, how far they moved, heat maps."""

import io
import os
from collections.abc import Mapping, Sequence

import numpy as np

_TABLE = "/random/table"


def random_tables(checkpoint: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The trainable tables R of a checkpoint: layer scope -> [heads, N, N], in order of scopes."""
    import tensorflow.compat.v1 as tf

    reader = tf.train.load_checkpoint(str(checkpoint))
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith(_TABLE)]
    tables = {name.removesuffix(_TABLE): reader.get_tensor(name) for name in sorted(names)}
    # With one head there is no dimension for it.
    return {name: t[np.newaxis] if t.ndim == 2 else t for name, t in tables.items()}


def attention_of(logits: np.ndarray, length: int, causal: bool) -> np.ndarray:
    """softmax over keys of the first `length` positions of a table.

    Args:
      logits: [heads, N, N].
      length: positions of a sequence, at most N.
      causal: whether a query sees only keys up to its own position.

    Returns:
      float64 [heads, length, length].
    """
    part = logits[:, :length, :length].astype(np.float64)
    if causal:
        part = np.where(np.tri(length, dtype=bool), part, -np.inf)
    exponentials = np.exp(part - part.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def total_variation(before: np.ndarray, after: np.ndarray) -> float:
    """Mean over heads and queries of the attention that lies on other keys: 0 same, 1 disjoint."""
    return float(np.abs(after - before).sum(-1).mean() / 2)


def movement(
    start: str | os.PathLike[str], end: str | os.PathLike[str], length: int
) -> dict[str, dict[str, float]]:
    """How far each table R has moved between two checkpoints.

    Args:
      start, end: checkpoints.
      length: of the sequences that the attention is compared for.

    Returns:
      layer scope -> total_variation of the attention, and relative_change of the logits: root mean
      square of the change, over the standard deviation at the start.
    """
    before, after = random_tables(start), random_tables(end)
    result = {}
    for layer, table in before.items():
        causal = layer.startswith("decoder")
        old, new = (attention_of(t, length, causal) for t in (table, after[layer]))
        seen = np.s_[:, :length, :length]
        change = after[layer][seen] - table[seen]
        result[layer] = {
            "total_variation": total_variation(old, new),
            "relative_change": float(np.sqrt(np.mean(change**2)) / table[seen].std()),
        }
    return result


def heat_maps(rows: Sequence[tuple[str, np.ndarray]], tokens: Mapping[str, Sequence[str]]) -> bytes:
    """A picture of attention maps: a row for each entry, a column for each head.

    Args:
      rows: (title, weights [heads, length, memory_length]).
      tokens: title -> the text of each position, where the map is that of one example.

    Returns:
      A PNG file.
    """
    from matplotlib.figure import Figure

    heads = max(len(weights) for _, weights in rows)
    figure = Figure(figsize=(2.6 * heads, 2.7 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), heads, squeeze=False)
    for axes, (title, weights) in zip(grid, rows, strict=True):
        for head, axis in enumerate(axes):
            axis.set_axis_off()
            if head < len(weights):
                _draw(axis, weights[head], f"{title}, head {head}", tokens.get(title, ()))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


def _draw(axis, weights: np.ndarray, title: str, tokens: Sequence[str]) -> None:  # type: ignore[no-untyped-def]
    axis.set_axis_on()
    # The square root shows weak attention too.
    axis.imshow(np.sqrt(weights), cmap="magma", vmin=0, vmax=1, aspect="equal")
    axis.set_title(title, fontsize=7)
    axis.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=4)
    axis.set_yticks(range(len(tokens)), tokens, fontsize=4)
