"""Numbers in texts that anybody may have written."""

import re
from typing import TypeVar

_Other = TypeVar("_Other")

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.IGNORECASE | re.ASCII)


def parse(text: str, otherwise: _Other) -> float | _Other:
    """The number that a text is, blanks around it aside; `otherwise` if it is none.

    Python's own `float` also takes 1_0 for 10, digits of other scripts, infinities and NaN.
    """
    return float(text) if _DECIMAL.fullmatch(text.strip()) else otherwise
