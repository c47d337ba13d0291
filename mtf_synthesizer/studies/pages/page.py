"""Render a self-contained HTML page."""

from __future__ import annotations

import base64
import pathlib
import re
from typing import Any

_TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"
# A value, with its spread or unit; a dash marks a value that does not exist.
_NUMBER = re.compile(r"[-−+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?( ?[±%×] ?[\d.]*)?[†*]?|–|not run")


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
    environment.tests["number"] = is_number
    environment.filters["anchor"] = anchor
    return environment.get_template(template).render(command=command, **values)


def is_number(cell: str) -> bool:
    """True for a cell that is a number; numbers are aligned to the right."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def anchor(title: str) -> str:
    """The id of a section, for the links of the contents."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"


def data_uri(png: bytes) -> str:
    """A PNG file as the source of an image."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
