"""Pictures of attention: histograms as in the paper's Figures 2 and 3, heat maps as in 4 to 7."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtf_synthesizer.studies.pages import figures

if TYPE_CHECKING:
    from mtf_synthesizer.studies.maps.maps import Maps

_BINS = np.linspace(0, 1, 51)
_MOST_TOKENS = 48  # maximum number of tokens written on an axis
_PANEL, _TOKEN = 1.5, 0.17  # inches: minimum of a heat map; each token on its axes
_PAGE = 8.6  # inches: width of a page's column

Tokens = tuple[Sequence[str], Sequence[str]]  # of the queries and the keys


def histograms(models: Mapping[str, Maps], layers: Sequence[tuple[str, int]]) -> bytes:
    """Histograms of the weights of layers: at the start (Figure 2) and trained (Figure 3).

    Args:
      models: title -> maps.
      layers: stack and block of each row of panels.

    Returns:
      A PNG file.
    """
    figure = _figure(7.5, 2.0 * len(layers) + 0.6)
    grid = figure.subplots(len(layers), 2, squeeze=False, sharex=True, sharey="row")
    for axes, (stack, block) in zip(grid, layers, strict=True):
        for axis, state in zip(axes, STATES, strict=True):
            for number, (title, maps) in enumerate(models.items()):
                place = maps.place(stack, block)
                if place is not None:
                    values = maps.visible(STATES[state](maps), place)
                    shares = np.histogram(values, _BINS)[0] / max(1, len(values))
                    axis.stairs(shares, _BINS, label=title, color=f"C{number}", linewidth=1.4)
            axis.set_title(f"{figures.layer_label(stack, block)}, {state}", fontsize=11, pad=3)
            axis.set_yscale("log")
            axis.minorticks_off()
            axis.tick_params(labelsize=10)
            axis.grid(alpha=0.25)
        axes[0].set_ylabel("share of weights", fontsize=10)
    grid[0][0].legend(fontsize=10)
    for axis in grid[-1]:
        axis.set_xlabel("attention weight")
    return figures.png(figure)


STATES: dict[str, Callable[[Any], Mapping[str, np.ndarray]]] = {
    "at the start": lambda maps: maps.initial,
    "trained": lambda maps: maps.weights,
}


def heat_maps(
    models: Mapping[str, Maps],
    blocks: Sequence[int],
    stack: str,
    over_encoder: bool,
    state: str,
    example: int = 0,
) -> bytes | None:
    """Heat maps of one example: a row for each layer and model, a column for each head.

    Args:
      models: title -> maps.
      blocks: numbers of blocks.
      stack: stack of the layers.
      over_encoder: show a decoder's attention over the encoder's output instead.
      state: "at the start" or "trained".
      example: number of the example.

    Returns:
      A PNG file; None if no model has such layers.
    """
    rows = _rows(models, blocks, stack, over_encoder, state, example)
    if not rows:
        return None
    heads = max(len(weights) for _, weights, _ in rows)
    wide, high = (max(_side(axes[i]) for _, _, axes in rows) for i in (1, 0))
    written = any(_are_written(tokens) for _, _, axes in rows for tokens in axes)
    figure, grid = _panels((len(rows), heads), (high, wide), written, 1.4)
    for axes, (title, weights, tokens) in zip(grid, rows, strict=True):
        image = _draw_heads(axes, weights, tokens)
        axes[0].set_ylabel(title.replace(", ", "\n"), fontsize=8)
    figures.colour_scale(figure, image, ax=list(grid[0]))
    return figures.png(figure)


def heat_maps_by_layer(
    models: Mapping[str, Maps],
    blocks: Sequence[int],
    stack: str,
    over_encoder: bool,
    state: str,
    example: int = 0,
) -> dict[str, bytes]:
    """Map the model and layer of each row of `heat_maps` to a picture as wide as a page's column.

    Heads that do not fit beside each other stand below each other, so that tokens stay readable.
    """
    rows = _rows(models, blocks, stack, over_encoder, state, example)
    return {title: _layer(weights, tokens) for title, weights, tokens in rows}


def _layer(weights: np.ndarray, tokens: Tokens) -> bytes:
    high, wide = map(_side, tokens)
    columns = min(len(weights), max(2, int(_PAGE // (wide + 0.1))))
    lines = -(-len(weights) // columns)
    written = any(map(_are_written, tokens))
    figure, grid = _panels((lines, columns), (high, wide), written, 1.2)
    for line, axes in enumerate(grid):
        first = line * columns
        image = _draw_heads(axes, weights[first : first + columns], tokens, first)
    figures.colour_scale(figure, image, ax=list(grid[0]))
    return figures.png(figure)


def _panels(
    shape: tuple[int, int], sides: tuple[float, float], written: bool, beside: float
) -> tuple[Any, Any]:
    """Return a figure and its panels, lines by columns, with room for tokens if they are written.

    Args:
      shape: numbers of lines and columns.
      sides: height and width of a panel in inches.
      written: whether tokens stand on the axes.
      beside: inches for labels and the colour scale.
    """
    (lines, columns), (high, wide) = shape, sides
    margin = 0.6 if written else 0.15
    figure = _figure(columns * (wide + 0.1) + beside + margin, lines * (high + margin + 0.25))
    return figure, figure.subplots(lines, columns, squeeze=False)


def _rows(
    models: Mapping[str, Maps],
    blocks: Sequence[int],
    stack: str,
    over_encoder: bool,
    state: str,
    example: int,
) -> list[tuple[str, np.ndarray, Tokens]]:
    """List model and layer, weights [heads, queries, keys], and tokens of each heat map."""
    rows = []
    for block in blocks:
        for title, maps in models.items():
            place = maps.place(stack, block, over_encoder)
            if place is not None:
                weights = maps.of_example(STATES[state](maps), place, example)
                name = f"{title}, {figures.layer_label(stack, block)}"
                rows.append((name, weights, maps.axes(place, example)))
    return rows


def _draw_heads(axes: Sequence[Any], weights: np.ndarray, tokens: Tokens, first: int = 0) -> Any:
    """Draw the heads of a layer; return an image for the colour scale."""
    for head, axis in enumerate(axes):
        axis.set(xticks=[], yticks=[])
        if head >= len(weights):
            axis.set_axis_off()
            continue
        image = figures.draw_attention(axis, weights[head], aspect="auto")
        axis.set_title(f"head {first + head + 1}", fontsize=8, pad=2)
        queries, keys = tokens
        if _are_written(keys):
            _write(axis.set_xticks, keys, rotation=90)
        if head == 0 and _are_written(queries):
            _write(axis.set_yticks, queries)
    return image


def _write(set_ticks: Callable[..., Any], tokens: Sequence[str], **style: Any) -> None:
    # A dollar sign would begin a formula.
    labels = [token.replace("$", r"\$") for token in tokens]
    set_ticks(range(len(tokens)), labels, fontsize=7, **style)


def _are_written(tokens: Sequence[str]) -> bool:
    return len(tokens) <= _MOST_TOKENS


def _side(tokens: Sequence[str]) -> float:
    return max(_PANEL, _TOKEN * len(tokens)) if _are_written(tokens) else 2 * _PANEL


def alphas(maps: Maps) -> list[bytes]:
    """α of a model's mixtures: a panel for each function, a row for each layer.

    Returns:
      A PNG file for each kind of mixture; none for a model without mixtures.
    """
    kinds: dict[tuple[Any, ...], list[str]] = {}
    for place, layer in maps.layers.items():
        if place in maps.alphas and layer.terms:
            kind = (layer.terms, np.atleast_2d(maps.alphas[place]).shape)
            kinds.setdefault(kind, []).append(place)
    return [_alphas(maps, places) for places in kinds.values()]


def _alphas(maps: Maps, places: Sequence[str]) -> bytes:
    """α of layers that mix the same functions."""
    values = np.stack([np.atleast_2d(maps.alphas[place]) for place in places])
    _, heads, terms = values.shape
    figure = _figure(terms * (0.55 * heads + 0.4) + 1.4, 0.35 * len(places) + 1.0)
    grid = figure.subplots(1, terms, squeeze=False, sharey=True)[0]
    even = 1 / terms
    reach = max(0.01, float(np.abs(values - even).max()))
    colors = {"cmap": "RdBu_r", "vmin": even - reach, "vmax": even + reach}
    for axis, image, term in zip(
        grid, np.moveaxis(values, 2, 0), maps.layers[places[0]].terms, strict=True
    ):
        axis.imshow(image, aspect="auto", **colors)
        for (row, head), value in np.ndenumerate(image):
            color = "white" if abs(value - even) > reach / 2 else "black"
            axis.text(head, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
        axis.set(title=f"α of {term}", xlabel="head")
        axis.set_xticks(range(heads), [str(head + 1) for head in range(heads)])
    layers = [maps.layers[place] for place in places]
    grid[0].set_yticks(
        range(len(places)), [figures.layer_label(layer.stack, layer.block) for layer in layers]
    )
    return figures.png(figure)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
