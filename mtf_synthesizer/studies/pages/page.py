"""Render a self-contained HTML page."""

from __future__ import annotations

import base64
import pathlib
import re
from collections.abc import Sequence
from typing import Any

_TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"
# A value or two with a slash, with spread or unit; a dash marks a value that does not exist.
_NUMBER = re.compile(
    r"([<>] ?)?[-−+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?(/\d+(\.\d+)?)?( ?[±%×] ?[\d.]*)?[†*]?|–|not run|"
)
_DASHES = {"–", ""}
_SHORT = 30
_NOTED = re.compile(r"(.*\d) \((.*)\)")


def render(template: str, command: str, **values: Any) -> str:
    """Fill a template; every value is escaped.

    Args:
      template: a file in `templates/`, which extends `base.html`.
      command: the command line that made the page, shown at the bottom.
      values: values of the template's names.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["split_note"] = split_note
    environment.filters["numeric_columns"] = numeric_columns
    environment.filters["short_names"] = short_names
    environment.filters["anchor"] = anchor
    return environment.get_template(template).render(command=command, **values)


def split_note(cell: str) -> tuple[str, str]:
    """Split `4.97 ± 0.10 (seeds 0, 1)` into value and note; the note of other cells is empty."""
    noted = _NOTED.fullmatch(cell.strip())
    return (noted[1], noted[2]) if noted and is_number(noted[1]) else (cell, "")


def is_number(cell: str) -> bool:
    """True for a cell that is a number, or a mark for a missing number."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def numeric_columns(rows: Sequence[Sequence[str]]) -> list[bool]:
    """True for each column that holds only numbers, perhaps with notes: aligned to the right.

    A column of dashes alone is not numeric.
    """
    return [
        all(is_number(split_note(cell)[0]) for cell in column) and not set(column) <= _DASHES
        for column in zip(*rows, strict=True)
    ]


def short_names(rows: Sequence[Sequence[str]]) -> bool:
    """True if the first column names each row in a few letters, so that it can stay in view."""
    return all(0 < len(row[0]) <= _SHORT for row in rows)


def anchor(title: str) -> str:
    """The id of a section, for the links of the contents."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"


def data_uri(png: bytes) -> str:
    """A PNG file as the source of an image."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
