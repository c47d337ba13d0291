"""JSON from any source: every defect is a ValueError."""

import json
import re
from typing import Any

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # or a pair of halves


def parse(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
      ValueError: the text is not JSON, is nested too deeply, or has characters UTF-8 can't encode.
    """
    try:
        value = json.loads(text)
        if _HALF_CHARACTER.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value
