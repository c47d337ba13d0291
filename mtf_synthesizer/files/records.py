"""JSON that anybody may have written: whatever is wrong with it is a ValueError."""

import json
import re
from typing import Any

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # or a pair of halves


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises:
      ValueError: it is no JSON, nested too deeply, or it holds what UTF-8 can't.
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
