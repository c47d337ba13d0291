"""Errors that a user can correct, and suggestions for misspelt names."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Unusable user input; the message names the value, what is allowed and what to change."""


def check(kind: str, name: str, allowed: Iterable[str]) -> None:
    """Raise a UserError with a suggestion unless `name` is one of `allowed`."""
    allowed = list(allowed)
    if name not in allowed:
        raise UserError(f"unknown {kind} {name!r}.{suggestion(name, allowed)}{_listed(allowed)}")


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return " Did you mean 'x'?", or an empty string if no allowed name is similar."""
    near = difflib.get_close_matches(name, list(allowed), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _listed(allowed: list[str]) -> str:
    """Return the allowed names, or only their number if the list is too long to read."""
    if len(allowed) > 60:
        return f" {len(allowed)} are known: `mtf_synthesizer list tasks` shows them."
    return f" Known: {', '.join(allowed) or 'none'}."
