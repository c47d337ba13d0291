"""Pictures of attention that the pages share: colours, colour scale, labels of layers."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np

_STACKS = {"encoder": "Enc", "decoder": "Dec"}
_TICKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)  # of the colour scale, which follows the square root
_MASKED = "#b8c4cc"  # grey, unlike any colour of a weight


def layer_label(stack: str, number: int) -> str:
    """The label of a layer, as in the paper's figures: Enc L1. Layers count from 1."""
    return f"{_STACKS.get(stack, stack)} L{number}"


def scope_label(scope: str) -> str:
    """The label of a layer by its variable scope: encoder/block_000/layer_000 is Enc L1."""
    block = re.search(r"block_(\d+)", scope)
    return layer_label(scope.partition("/")[0], 1 + int(block[1]) if block else 1)


def draw_attention(axis: Any, weights: np.ndarray, aspect: str = "equal") -> Any:
    """Draw the weights of a head; masked keys, whose weight is exactly 0, are grey.

    Args:
      axis: axes of matplotlib.
      weights: [queries, keys].
      aspect: aspect ratio of a cell, as in matplotlib's `imshow`.

    Returns:
      The image, for `colour_scale`.
    """
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    colours = colormaps["magma"].with_extremes(bad=_MASKED)
    # The square root shows weak attention too.
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    shown = np.ma.masked_equal(weights, 0)
    return axis.imshow(shown, cmap=colours, norm=norm, aspect=aspect, interpolation="nearest")


def colour_scale(figure: Any, image: Any, **place: Any) -> None:
    """Draw the colour scale of attention weights beside some axes."""
    bar = figure.colorbar(image, ticks=_TICKS, **place)
    bar.ax.set_yticklabels([f"{tick:g}" for tick in _TICKS], fontsize=7)
    bar.set_label("attention weight (grey: masked)", fontsize=8)


def png(figure: Any) -> bytes:
    """A figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
