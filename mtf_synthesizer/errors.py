"""Errors that a user can mend, and suggestions for misspelt names."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What the user typed can't be used; the message says what is allowed and what to change."""


def check(what: str, name: str, allowed: Iterable[str]) -> None:
    """Raises a UserError with a suggestion unless `name` is one of `allowed`."""
    allowed = list(allowed)
    if name not in allowed:
        raise UserError(f"unknown {what} {name!r}.{suggestion(name, allowed)}{_listed(allowed)}")


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """ " Did you mean 'x'?", or nothing where nothing is near."""
    near = difflib.get_close_matches(name, list(allowed), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _listed(allowed: list[str]) -> str:
    """The known names; only their number where there are too many to read."""
    if len(allowed) > 60:
        return f" {len(allowed)} are known: `mtf_synthesizer list tasks` shows them."
    return f" Known: {', '.join(allowed) or 'none'}."
