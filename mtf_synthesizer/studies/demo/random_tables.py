"""Attention maps of the learned tables R: arrays, movement, and the demo's heat maps."""

import io
import os
from collections.abc import Mapping

import numpy as np
import scipy.special

from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.studies.pages import figures

_TABLE = "/random/table"


def random_tables(checkpoint: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The trainable tables R of a checkpoint: layer scope -> [heads, N, N], in order of scopes."""
    import tensorflow.compat.v1 as tf

    reader = tf.train.load_checkpoint(str(checkpoint))
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith(_TABLE)]
    tables = {name.removesuffix(_TABLE): reader.get_tensor(name) for name in sorted(names)}
    # With one head the dimension of heads is absent.
    return {name: t[np.newaxis] if t.ndim == 2 else t for name, t in tables.items()}


def attention_of(logits: np.ndarray, length: int, causal: bool) -> np.ndarray:
    """The softmax over keys of the first `length` positions of a table.

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
    weights: np.ndarray = scipy.special.softmax(part, axis=-1)
    return weights


def random_attention(
    checkpoint: str | os.PathLike[str], lengths: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The attention softmax(R) of every table of a checkpoint, without relative position bias.

    Args:
      checkpoint: path of a checkpoint.
      lengths: layer scope -> length of a sequence.

    Returns:
      layer scope -> [heads, length, length]; causal in decoders.
    """
    return {
        layer: attention_of(table, lengths[layer], causal=layer.startswith("decoder"))
        for layer, table in random_tables(checkpoint).items()
    }


def total_variation(before: np.ndarray, after: np.ndarray) -> float:
    """Mean over heads and queries of the attention that moved: 0 for equal, 1 for disjoint maps."""
    return float(np.abs(after - before).sum(-1).mean() / 2)


def movement(
    start: str | os.PathLike[str], end: str | os.PathLike[str], lengths: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    """Movement of each table R between two checkpoints.

    Args:
      start, end: checkpoints.
      lengths: layer scope -> length of the sequences that attention is compared for.

    Returns:
      layer scope -> total_variation of the attention, and relative_change of the logits: the root
      mean square of the change, divided by the standard deviation at the start.
    """
    before, after = random_tables(start), random_tables(end)
    old, new = random_attention(start, lengths), random_attention(end, lengths)
    result = {}
    for layer, table in before.items():
        seen = np.s_[:, : lengths[layer], : lengths[layer]]
        change = after[layer][seen] - table[seen]
        result[layer] = {
            "total_variation": total_variation(old[layer], new[layer]),
            "relative_change": float(np.sqrt(np.mean(change**2)) / table[seen].std()),
        }
    return result


def save(path: str | os.PathLike[str], weights: Mapping[str, np.ndarray]) -> None:
    """Write layer scope -> weights as an .npz file; replace the file only once it is complete."""
    arrays = {layer.replace("/", "|"): w for layer, w in weights.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # other parameters are unused
    saving.write_bytes(path, file.getvalue())


def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a file that `save` wrote."""
    with np.load(io.BytesIO(paths.of(path).read_bytes())) as file:
        return {name.replace("|", "/"): file[name] for name in file.files}


def heat_maps(layers: Mapping[str, np.ndarray]) -> bytes:
    """A picture of attention maps: a row for each layer, a column for each head.

    Args:
      layers: label of a layer -> weights [heads, length, memory_length].

    Returns:
      A PNG file.
    """
    from matplotlib.figure import Figure

    heads = max(len(weights) for weights in layers.values())
    figure = Figure(figsize=(1.3 * heads + 1, 1.4 * len(layers)), layout="constrained")
    grid = figure.subplots(len(layers), heads, squeeze=False)
    for axes, (label, weights) in zip(grid, layers.items(), strict=True):
        axes[0].set_ylabel(label, fontsize=9)
        for head, axis in enumerate(axes):
            axis.set(xticks=[], yticks=[])
            if head < len(weights):
                image = figures.draw_attention(axis, weights[head])
                axis.set_title(f"head {head + 1}", fontsize=7)
            else:
                axis.set_axis_off()
    figures.colour_scale(figure, image, ax=grid, shrink=0.8)
    return figures.png(figure)
