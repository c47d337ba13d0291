"""JSON from any source: every defect is one clear error."""

import json
import re
from collections.abc import Callable
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

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


def read(path: paths.Path, kind: str, check: Callable[[Any], Any], remedy: str) -> Any:
    """Return the value of a JSON file; None without a file.

    Args:
      path: path of the file.
      kind: word for the content in messages, for example "record of a run".
      check: raises a ValueError, KeyError, TypeError or AttributeError for any other content.
      remedy: a sentence about a file that is damaged.

    Raises:
      errors.UserError: the file can't be read, or holds something else.
    """
    if not path.exists():
        return None
    try:
        value = parse(path.read_text("utf-8"))
        check(value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.UserError(
            f"{path} is not a {kind} ({type(error).__name__}: {error}). {remedy}"
        ) from error
    return value
