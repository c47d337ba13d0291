"""Lets tensorflow_datasets read what a newer release of it has prepared.

Newer releases add fields to `dataset_info.json` and `features.json`, at which older ones fail.
"""

import functools
import types
from typing import Any

from google.protobuf import json_format
from tensorflow_datasets.core import dataset_info
from tensorflow_datasets.core.features import feature


def make_readable() -> None:
    """Unknown fields are ignored from now on. Calling it again changes nothing."""
    readers: Any = (dataset_info, feature)
    for reader in readers:
        if reader.json_format is json_format:
            reader.json_format = _tolerant


def _ignoring(parse: Any) -> Any:
    return functools.partial(parse, ignore_unknown_fields=True)


# The same functions, of which the readers use these two to read.
_tolerant = types.SimpleNamespace(
    **{
        **vars(json_format),
        "Parse": _ignoring(json_format.Parse),
        "ParseDict": _ignoring(json_format.ParseDict),
    }
)
