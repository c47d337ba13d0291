"""Section 5 of the paper as numbers: the weights of each layer, its tables and its α."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer.studies.maps.maps import Maps

FILE = "numbers.json"
RANGE = (0.1, 0.2)  # of weights, in the words of Section 5
# Words before the two texts of a pair in T5's tasks and in those of this package.
PAIRS = (
    ("sentence1:", "sentence2:"),
    ("hypothesis:", "premise:"),
    ("question1:", "question2:"),
    ("question:", "sentence:"),
    ("passage:", "question:"),
    ("first:", "second:"),
)
_TABLE = "random/table"


@dataclasses.dataclass(frozen=True)
class LayerNumbers:
    """Numbers of one layer, over all heads and examples unless they are by head.

    Attributes:
      model: title of the model.
      place: place of the layer, such as encoder/block_000/layer_000.
      variance, maximum: variance and maximum of the visible weights, without masked keys and
        queries that see one key alone.
      between: share of the visible weights in `RANGE`.
      near: mean attention of a query to the tokens at most `width` away, for each head; None for
        attention over an encoder's output.
      crossing: mean attention of the tokens of one text of a pair to the other; None without pairs.
      rank: effective rank of the table R for each head: e to the entropy of the shares of the
        squared singular values, without the means of rows; None without a table.
      toeplitz: share of the variance of the table that distances alone explain, for each head.
      alpha: mean over the heads for each term; empty without a mixture.
    """

    model: str
    place: str
    variance: float
    maximum: float
    between: float
    near: tuple[float, ...] | None
    crossing: float | None
    rank: tuple[float, ...] | None
    toeplitz: tuple[float, ...] | None
    alpha: Mapping[str, float]


def of_models(models: Mapping[str, Maps], width: int) -> list[LayerNumbers]:
    """Compute the numbers of all layers.

    Args:
      models: title -> maps.
      width: the distance that counts as near, in tokens.
    """
    numbers = []
    for title, maps in models.items():
        tables = _tables(maps)
        numbers += [
            _of_layer(title, maps, place, width, tables.get(place)) for place in maps.layers
        ]
    return numbers


def _of_layer(
    title: str, maps: Maps, place: str, width: int, table: np.ndarray | None
) -> LayerNumbers:
    layer = maps.layers[place]
    weights = maps.visible(maps.weights, place)
    examples = [
        maps.of_example(maps.weights, place, number) for number in range(len(maps.weights[place]))
    ]
    causal = not layer.over_encoder and _is_causal(examples)
    rank = toeplitz = None
    if table is not None and not layer.over_encoder:
        length = max(example.shape[1] for example in examples)
        shares = [of_table(head[:length, :length], causal) for head in table]
        rank, toeplitz = tuple(r for r, _ in shares), tuple(t for _, t in shares)
    alphas = maps.alphas.get(place)
    return LayerNumbers(
        title,
        place,
        float(weights.var()) if len(weights) else 0.0,
        float(weights.max()) if len(weights) else 0.0,
        share_between(weights),
        None if layer.over_encoder else near(examples, width),
        None if layer.over_encoder else _crossing(maps, place, examples),
        rank,
        toeplitz,
        {} if alphas is None else dict(zip(layer.terms, map(float, alphas.mean(0)), strict=True)),
    )


def share_between(weights: np.ndarray) -> float:
    """Return the share of weights in `RANGE`."""
    low, high = RANGE
    return float(((weights >= low) & (weights <= high)).mean()) if len(weights) else 0.0


def near(examples: Sequence[np.ndarray], width: int) -> tuple[float, ...]:
    """Return the mean attention to tokens at most `width` away, for each head.

    Args:
      examples: weights [heads, queries, keys] of each example.
      width: in tokens.
    """
    sums = np.stack([_near(weights, width).sum(-1) for weights in examples]).sum(0)
    queries = sum(weights.shape[1] for weights in examples)
    return tuple(float(share) for share in sums / queries)


def _near(weights: np.ndarray, width: int) -> np.ndarray:
    queries, keys = weights.shape[1:]
    distance = np.abs(np.arange(queries)[:, None] - np.arange(keys))
    sums: np.ndarray = (weights * (distance <= width)).sum(-1)
    return sums


def of_table(table: np.ndarray, causal: bool) -> tuple[float, float]:
    """Return the effective rank of a table of logits, and what distances alone explain of it.

    A row's mean changes no attention, so it is taken off first.

    Args:
      table: [length, length] of one head.
      causal: whether only keys up to the query count.
    """
    length = len(table)
    shown = np.tril(np.ones((length, length), bool)) if causal else np.ones((length, length), bool)
    centred = _centred(table, shown)
    squares = np.linalg.svd(centred, compute_uv=False) ** 2
    if not squares.sum():
        return 0.0, 1.0
    shares = squares[squares > 0] / squares.sum()
    rank = float(np.exp(-(shares * np.log(shares)).sum()))
    # Least squares of a + t over rows and distances, whose rest distances do not explain.
    rest = centred
    for _ in range(100):
        rest = _centred(_without_diagonals(rest, shown), shown)
    return rank, float(1 - (rest**2).sum() / (centred**2).sum())


def _centred(table: np.ndarray, shown: np.ndarray) -> np.ndarray:
    means = (table * shown).sum(1, keepdims=True) / shown.sum(1, keepdims=True)
    centred: np.ndarray = (table - means) * shown
    return centred


def _without_diagonals(table: np.ndarray, shown: np.ndarray) -> np.ndarray:
    length = len(table)
    place = np.arange(length)[:, None] - np.arange(length) + length - 1
    sums = np.bincount(place[shown], table[shown], 2 * length - 1)
    counts = np.maximum(np.bincount(place[shown], minlength=2 * length - 1), 1)
    residual: np.ndarray = (table - (sums / counts)[place]) * shown
    return residual


def _is_causal(examples: Sequence[np.ndarray]) -> bool:
    return all(not np.triu(weights.sum(0), 1).any() for weights in examples)


def _crossing(maps: Maps, place: str, examples: Sequence[np.ndarray]) -> float | None:
    """The attention between the texts of pairs, mean over their tokens and heads."""
    total, queries = 0.0, 0
    for number, weights in enumerate(examples):
        border = second_text(maps.axes(place, number)[0])
        if border is not None:
            across = weights[:, :border, border:].sum() + weights[:, border:, :border].sum()
            total += float(across)
            queries += weights.shape[0] * weights.shape[1]
    return total / queries if queries else None


def second_text(tokens: Sequence[str]) -> int | None:
    """Return the token with which the second text of a pair begins; None without a pair."""
    ends = np.cumsum([len(_plain(token)) for token in tokens])
    text = "".join(_plain(token) for token in tokens)
    for first, second in PAIRS:
        place = text.find(second)
        if 0 <= text.find(first) < place:
            return int(np.searchsorted(ends, place, side="right"))
    return None


def _plain(token: str) -> str:
    return token.replace("▁", "").replace(" ", "")


def _tables(maps: Maps) -> dict[str, np.ndarray]:
    """The tables R of a model, place -> [heads, length, length]."""
    reader = tf.train.load_checkpoint(maps.checkpoint)
    tables = {}
    for name in reader.get_variable_to_shape_map():
        scope, is_table, _ = name.partition(f"/{_TABLE}")
        if is_table and name == f"{scope}/{_TABLE}":
            table = reader.get_tensor(name)
            tables[scope.rpartition("/")[0]] = table if table.ndim == 3 else table[None]
    return tables


def described(numbers: Sequence[LayerNumbers], width: int) -> dict[str, Any]:
    """The numbers as JSON values."""
    return {
        "width": width,
        "between": list(RANGE),
        "layers": [dataclasses.asdict(layer) for layer in numbers],
    }


def shown(numbers: Sequence[LayerNumbers], width: int) -> str:
    """The numbers as a table in Markdown; a value by head is shown as its mean."""
    heads = ["model", "layer", "variance", "maximum", f"{RANGE[0]} to {RANGE[1]}"]
    heads += [f"within ±{width}", "crossing", "rank of R", "Toeplitz share of R", "α"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    return "\n".join([*lines, *(_line(list(_cells(layer))) for layer in numbers)])


def _cells(layer: LayerNumbers) -> Iterator[str]:
    yield from (layer.model, layer.place, f"{layer.variance:.2e}", f"{layer.maximum:.3f}")
    yield f"{layer.between:.1%}"
    yield _mean(layer.near, ".1%")
    yield "" if layer.crossing is None else f"{layer.crossing:.1%}"
    yield from (_mean(layer.rank, ".1f"), _mean(layer.toeplitz, ".1%"))
    yield ", ".join(f"{term} {alpha:.2f}" for term, alpha in layer.alpha.items())


def _mean(values: Sequence[float] | None, form: str) -> str:
    return "" if values is None else format(float(np.mean(values)), form)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
