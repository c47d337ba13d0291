"""The sections of the page of `maps`: titles and their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mtf_synthesizer.studies.maps.maps import Maps
from mtf_synthesizer.studies.maps.pictures import alphas, heat_maps, heat_maps_by_layer, histograms


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG file.

    Attributes:
      file: name of the file.
      caption: caption of the picture.
      png: content of the file.
      by_layer: model and layer -> a picture of this layer alone, which the page shows instead.
    """

    file: str
    caption: str
    png: bytes
    by_layer: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class MapSection:
    """Pictures under one title, with a sentence on how to read them."""

    title: str
    text: str
    pictures: Sequence[Picture]


def of_models(models: Mapping[str, Maps], blocks: Sequence[int]) -> list[MapSection]:
    """Sections of histograms, heat maps and α, without pictures that no model has.

    Args:
      models: title -> maps.
      blocks: numbers of the layers to show.
    """
    sections = [_histograms(models, blocks)]
    for stack in dict.fromkeys(stack for maps in models.values() for stack in maps.positions):
        sections.append(_heat_maps(models, blocks, stack, False, "self-attention"))
        sections.append(_heat_maps(models, blocks, stack, True, "attention to the encoder"))
    return [section for section in [*sections, _alphas(models)] if section.pictures]


def _histograms(models: Mapping[str, Maps], blocks: Sequence[int]) -> MapSection:
    stacks = dict.fromkeys(stack for maps in models.values() for stack in maps.positions)
    layers = [
        (stack, block)
        for stack in stacks
        for block in blocks
        if any(maps.place(stack, block) is not None for maps in models.values())
    ]
    pictures = []
    if layers:
        png = histograms(models, layers)
        pictures.append(Picture("histograms.png", "self-attention", png))
    return MapSection(
        "Histograms (the paper's Figures 2 and 3)",
        "Distribution of the weights of all heads and examples, before training and after it, on "
        "a logarithmic scale. Padding, masked keys and queries that see only one key are left out.",
        pictures,
    )


def _heat_maps(
    models: Mapping[str, Maps], blocks: Sequence[int], stack: str, over_encoder: bool, quantity: str
) -> MapSection:
    pictures = []
    name = f"{stack}_{quantity.replace(' ', '_').replace('-', '_')}"
    for state, file in (("trained", f"{name}.png"), ("at the start", f"{name}_start.png")):
        png = heat_maps(models, blocks, stack, over_encoder, state)
        if png:
            by_layer = heat_maps_by_layer(models, blocks, stack, over_encoder, state)
            pictures.append(Picture(file, state, png, by_layer))
    return MapSection(
        f"{stack.capitalize()}: {quantity} (Figures 4 to 7)",
        "Rows are queries and columns are keys. A brighter cell is more attention; colours follow "
        "the square root of the weight. Masked keys are grey.",
        pictures,
    )


def _alphas(models: Mapping[str, Maps]) -> MapSection:
    pictures = [
        Picture(f"alpha_{number}_{kind}.png", title, png)
        for number, (title, maps) in enumerate(models.items(), 1)
        for kind, png in enumerate(alphas(maps), 1)
    ]
    return MapSection(
        "α of mixtures",
        "The weight that each head gives to each function. All weights start equal: red is more "
        "than at the start, blue is less.",
        pictures,
    )
