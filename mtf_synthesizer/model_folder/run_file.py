"""The record of the request that a folder's run was begun with, `run.json`."""

import re
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.runtime import precision

RECORD = "run.json"
PRECISION = "matmul_precision"
FILES = "gin_files"
# Of each of these files the SHA-256 of its text; null for a file of this package or of T5.
DIGESTS = "gin_file_sha256"
# SHA-256 of the user's files that gin_params include, by name.
INCLUDED = "included_file_sha256"
START = "init_checkpoint"
DATA = "own_data"
MODULES = "modules"
_MODULE = re.compile(r"\w+(\.\w+)*")  # as --module_import takes it
_START_TYPES = {"path": str, "step": int, "fingerprint": str}


def read(path: paths.Path) -> dict[str, Any] | None:
    """The record; None without one, as with a model of T5's.

    Raises:
      errors.UserError: the record is damaged.
    """
    record: dict[str, Any] | None = records.read(
        path, "record of a run", _check, "Remove the file if you know that the same run resumes"
    )
    return record


def modules(path: paths.Path) -> list[str]:
    """Return the modules that a run had imported; empty without a readable record."""
    try:
        names = (read(path) or {}).get(MODULES, [])
    except errors.UserError:
        return []
    if not isinstance(names, list):
        return []
    return [module for module in names if isinstance(module, str) and _MODULE.fullmatch(module)]


def _check(record: Any) -> None:
    """Raise a ValueError for a record that no run has written."""
    if not isinstance(record, dict) or "seed" not in record:
        raise ValueError("no seed in it")
    files, digests = record.get(FILES, []), record.get(DIGESTS)
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise ValueError(f"no list of {FILES} in it")
    if digests is not None and not (isinstance(digests, list) and len(digests) == len(files)):
        raise ValueError(f"no list of {DIGESTS} in it")
    if record.get(PRECISION, precision.FLOAT32) not in (precision.FLOAT32, precision.BFLOAT16):
        raise ValueError(f"no known {PRECISION} in it")
    for name in (DATA, INCLUDED):
        if not isinstance(record.get(name, {}), dict):
            raise ValueError(f"no object {name} in it")
    start = record.get(START)
    if start is not None and {n: type(start[n]) for n in _START_TYPES} != _START_TYPES:
        raise ValueError(f"no {START} in it")
