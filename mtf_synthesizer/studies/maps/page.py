"""The page of `maps`: one HTML file with embedded pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtf_synthesizer.studies.pages import figures, page

if TYPE_CHECKING:
    from mtf_synthesizer.studies.maps.maps import Maps
    from mtf_synthesizer.studies.maps.sections import MapSection


def html(
    models: Mapping[str, Maps],
    subject: str,
    sections: Sequence[MapSection],
    arrays: Sequence[str],
    command: str,
) -> str:
    """The page.

    Args:
      models: title -> maps.
      subject: a sentence about the examples that the models read.
      sections: sections of the page.
      arrays: names of the files with all weights.
      command: the command line that made the page.
    """
    return page.render(
        "maps.html",
        command,
        models=models,
        titles=", ".join(models),
        subject=subject,
        read=_read(models),
        sections=sections,
        arrays=arrays,
        uri=page.data_uri,
        label=figures.scope_label,
    )


def _read(models: Mapping[str, Maps]) -> dict[str, list[str]]:
    """Map the tokens of the first example to the stacks and models that read them."""
    read: dict[str, list[str]] = {}
    for title, maps in models.items():
        for stack, examples in maps.tokens.items():
            read.setdefault(" ".join(examples[0]), []).append(f"{title}, {stack}")
    return read
