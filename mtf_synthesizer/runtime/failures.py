"""One-sentence messages for external failures: damaged files, a full disk, exhausted memory.

TensorFlow reports such failures with a page about graph nodes. gin reports them with a traceback
through the function that got a wrong value. This module never loads TensorFlow: it recognises
TensorFlow's errors by the names of their classes.
"""

import errno
import os
import pathlib
import re
from collections.abc import Iterator

_VERBOSE = "(--verbose shows where)"
_GRAPH = "Graph execution error"
_CONFIGURABLE = re.compile(r"\n  In call to configurable '([^']+)'")
_DAMAGED = ("DataLossError", "OutOfRangeError")
_CORRUPT = re.compile("file is corrupt|checksum mismatch")
_OF_CHECKPOINTS = ("Restore", "sstable", "model.ckpt")
# Disk quotas and limits: the disk is full, the user's quota is, or the file is too large.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM = re.compile(rf"(\S*); ({'|'.join(map(os.strerror, _FULL))})")
_ABSENT = re.compile(rf"(\S.*); {os.strerror(errno.ENOENT)}")
# Class of TensorFlow's error -> its meaning and remedy.
_SENTENCES = {
    "ResourceExhaustedError": "memory is exhausted: train a smaller model, or with a smaller "
    "--batch_size, in a new --model_dir",
    "PermissionDeniedError": "no permission to read or write a file",
    "NotFoundError": "a file, or a variable in a checkpoint, is missing: does the checkpoint "
    "belong to another model?",
    "UnimplementedError": "TensorFlow does not support this operation here",
    "UnavailableError": "a server can't be reached",
    "AbortedError": "a server can't be reached",
    "InvalidArgumentError": "values or shapes of the data or of a checkpoint don't fit",
}


def describe(error: Exception) -> str | None:
    """Return one sentence; None for an error that may be a bug of the program."""
    if _is_tensorflows(error):
        return _of_tensorflow(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        return _full(str(error.filename or ""), os.strerror(error.errno))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    call = _CONFIGURABLE.search(str(error))
    if call is not None:
        message = " ".join(str(error)[: call.start()].split())
        return (
            f"{type(error).__name__}: {message}. Does a binding give {call[1]} a value that it "
            f"can't use? {_VERBOSE}"
        )
    return None


def _is_tensorflows(error: BaseException) -> bool:
    return any(kind.__name__ == "OpError" for kind in type(error).__mro__)


def _of_tensorflow(error: Exception) -> str:
    message = _message(error)
    detail = " ".join(message.partition("[[")[0].split())[:300]
    full = _NO_ROOM.search(detail)
    if full is not None:
        return _full(full[1], full[2])
    absent = _ABSENT.search(detail)
    if absent is not None and not any(word in detail for word in _OF_CHECKPOINTS):
        return f"{absent[1]}: no such file. Does a task or binding name another place? {_VERBOSE}"
    kinds = [kind.__name__ for kind in type(error).__mro__]
    if kinds[0] in _DAMAGED or _CORRUPT.search(detail):
        return f"{_damaged(message)} ({detail})"
    sentences = (sentence for name, sentence in _SENTENCES.items() if name in kinds)
    return f"{next(sentences, kinds[0])} ({detail}) {_VERBOSE}"


def _full(file: str, reason: str) -> str:
    """Describe a file that could not be written: which disk is full, and that no data is lost."""
    is_local = file and "://" not in file
    place = f" mounted at {_mount_point(file)}" if is_local else ""
    return (
        f"the disk{place} is full ({file or 'a file'}: {reason}). Completed files are unharmed: "
        "free some space and run the same command again to resume"
    )


def _mount_point(file: str) -> pathlib.Path:
    folders = pathlib.Path(file).absolute().parents
    return next(folder for folder in folders if os.path.ismount(folder))


def _damaged(message: str) -> str:
    if any(word in message for word in _OF_CHECKPOINTS):
        return (
            "a checkpoint can't be read: its files are damaged or truncated. Choose an earlier "
            "checkpoint, or remove the damaged files to resume from the previous checkpoint"
        )
    return (
        "a data file can't be read: it is damaged or truncated. Create it again with "
        "`data prepare --overwrite` or `cache --overwrite`"
    )


def _message(error: Exception) -> str:
    """Return the first message of a chain of errors that is not just "Graph execution error"."""
    messages = [str(getattr(link, "message", link)) for link in _chain(error)]
    telling = [message for message in messages if not message.startswith(_GRAPH)]
    return (telling or messages)[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        if _is_tensorflows(error):
            yield error
        error = error.__cause__ or error.__context__
