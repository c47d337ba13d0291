"""Write attention maps of several models to a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

if TYPE_CHECKING:
    from mtf_synthesizer.studies.maps.maps import Maps

ARRAYS, INITIAL_ARRAYS = "attention.npz", "attention_start.npz"
PAGE, DESCRIPTION = "maps.html", "maps.json"
# The paper shows these of six layers; models with fewer than five layers show all.
_LAYERS = (1, 3, 5)


def titled(all_maps: Sequence[Maps]) -> dict[str, Maps]:
    """Map titles to maps; models of the same kind have their folders in their titles."""
    titles = [maps.title for maps in all_maps]
    return {
        maps.title if titles.count(maps.title) == 1 else f"{maps.title} ({maps.model_dir})": maps
        for maps in all_maps
    }


def chosen_blocks(all_maps: Sequence[Maps], blocks: Sequence[int] | None) -> list[int]:
    """The layers that are pictured.

    Raises:
      errors.UserError: no model has one of them.
    """
    existing = sorted({layer.block for maps in all_maps for layer in maps.layers.values()})
    if blocks is None:
        blocks = _LAYERS if existing[-1] >= _LAYERS[-1] else existing
    chosen = [block for block in dict.fromkeys(blocks) if block in existing]
    if not chosen:
        raise errors.UserError(
            f"--layers {','.join(map(str, blocks))}: the models have attention weights in layers "
            f"{', '.join(map(str, existing))}"
        )
    return chosen


def write_arrays(folder: paths.Path, models: Mapping[str, Maps]) -> list[str]:
    """Write arrays of one model into the folder itself, of several models into one folder each."""
    from mtf_synthesizer.studies.maps import maps as maps_maps

    places = [""] if len(models) == 1 else [f"{n}_{_slug(t)}/" for n, t in enumerate(models, 1)]
    written = []
    for place, maps in zip(places, models.values(), strict=True):
        for file, weights in ((ARRAYS, maps.weights), (INITIAL_ARRAYS, maps.initial)):
            maps_maps.save(folder / (place + file), maps, weights)
            written.append(place + file)
    return written


def _slug(title: str) -> str:
    """Name of a model's folder: r+v for R+V (runs/rv)."""
    return "".join(c if c.isalnum() or c in "+-" else "_" for c in title.split(" (")[0].lower())


def summary(models: Mapping[str, Maps], folder: paths.Path) -> str:
    lines = []
    for title, maps in models.items():
        lines.append(f"{title}: step {maps.step}, {len(maps.layers)} layers of {maps.model_dir}")
        lines += [f"  left out {place}: {why}" for place, why in maps.left_out.items()]
    return "\n".join([*lines, f"written to {folder / PAGE}"])
