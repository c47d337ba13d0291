"""What is said of failures outside of the program: files that are damaged, a full disk, no memory.

TensorFlow reports them by a page about nodes of its graph, gin by a traceback through the function
that got a wrong value. Loads no TensorFlow: where such an error is at hand, it is loaded.
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
# What a disk has no room for: none at all, none for this user, none for a file of this size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM = re.compile(rf"(\S*); ({'|'.join(map(os.strerror, _FULL))})")
# Class of TensorFlow's error -> what it means and what helps.
_SENTENCES = {
    "ResourceExhaustedError": "memory is exhausted: a smaller --batch_size or model, in a new "
    "--model_dir, needs less",
    "PermissionDeniedError": "a file may not be read or written",
    "NotFoundError": "a file, or a variable in a checkpoint, is missing: is the checkpoint of "
    "another model?",
    "UnimplementedError": "TensorFlow can't do this here",
    "UnavailableError": "a server can't be reached",
    "AbortedError": "a server can't be reached",
    "InvalidArgumentError": "values or shapes don't fit, of the data or of a checkpoint",
}


def described(error: Exception) -> str | None:
    """One sentence; None for an error that may be the program's own fault."""
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
    return any(each.__name__ == "OpError" for each in type(error).__mro__)


def _of_tensorflow(error: Exception) -> str:
    message = _message(error)
    detail = " ".join(message.partition("[[")[0].split())[:300]
    full = _NO_ROOM.search(detail)
    if full is not None:
        return _full(full[1], full[2])
    kinds = [each.__name__ for each in type(error).__mro__]
    if kinds[0] in _DAMAGED or _CORRUPT.search(detail):
        return f"{_damaged(message)} ({detail})"
    found = (sentence for name, sentence in _SENTENCES.items() if name in kinds)
    return f"{next(found, kinds[0])} ({detail}) {_VERBOSE}"


def _full(file: str, what: str) -> str:
    """Of a file that could not be written: the disk it is on, and that nothing is lost."""
    is_local = file and "://" not in file
    place = f" mounted at {_mount_point(file)}" if is_local else ""
    return (
        f"the disk{place} is full ({file or 'a file'}: {what}). What was complete before is "
        "unharmed: make room, and the same command goes on"
    )


def _mount_point(file: str) -> pathlib.Path:
    folders = pathlib.Path(file).absolute().parents
    return next(folder for folder in folders if os.path.ismount(folder))


def _damaged(message: str) -> str:
    if any(word in message for word in _OF_CHECKPOINTS):
        return (
            "a checkpoint can't be read: its files are damaged or cut off. Choose an earlier one, "
            "or remove its files, so that training goes on from the one before"
        )
    return (
        "a file of data can't be read: it is damaged or cut off. Make it again, with `data prepare "
        "--overwrite` or `cache --overwrite`"
    )


def _message(error: Exception) -> str:
    """The first message of a chain of errors that says more than that the graph had one."""
    messages = [str(getattr(each, "message", each)) for each in _chain(error)]
    telling = [message for message in messages if not message.startswith(_GRAPH)]
    return (telling or messages)[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        if _is_tensorflows(error):
            yield error
        error = error.__cause__ or error.__context__
