"""Data sets prepared by a newer release of tensorflow_datasets, made readable.

Newer releases add fields to `dataset_info.json` and `features.json`. Older releases fail at them.
"""

import functools
import types
from typing import Any

from google.protobuf import json_format
from tensorflow_datasets.core import dataset_info
from tensorflow_datasets.core.features import feature


def make_readable() -> None:
    """Make the readers ignore unknown fields; a second call changes nothing."""
    readers: Any = (dataset_info, feature)
    for reader in readers:
        if reader.json_format is json_format:
            reader.json_format = _tolerant


def _ignoring(parse: Any) -> Any:
    return functools.partial(parse, ignore_unknown_fields=True)


# The functions of json_format, with the two that the readers use to parse replaced.
_tolerant = types.SimpleNamespace(
    **{
        **vars(json_format),
        "Parse": _ignoring(json_format.Parse),
        "ParseDict": _ignoring(json_format.ParseDict),
    }
)
