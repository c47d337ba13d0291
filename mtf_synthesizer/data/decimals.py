"""Numbers in texts from any source."""

import re
from typing import TypeVar

_Other = TypeVar("_Other")

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.IGNORECASE | re.ASCII)


def parse(text: str, otherwise: _Other) -> float | _Other:
    """Return the number in a text, which may have blanks around it; else `otherwise`.

    Python's own `float` also accepts 1_0 for 10, digits of other scripts, infinities and NaN.
    """
    return float(text) if _DECIMAL.fullmatch(text.strip()) else otherwise
