"""What is said of failures outside of the program: files that are damaged, a full disk, no memory.

TensorFlow reports them by a page about nodes of its graph, gin by a traceback through the function
that got a wrong value. Loads no TensorFlow: where such an error is at hand, it is loaded.
"""

import re
from collections.abc import Iterator

_VERBOSE = "(--verbose shows where)"
_GRAPH = "Graph execution error"
_CONFIGURABLE = re.compile(r"\n  In call to configurable '([^']+)'")
_DAMAGED = ("DataLossError", "OutOfRangeError")
# Class of TensorFlow's error -> what it means and what helps.
_SENTENCES = {
    "ResourceExhaustedError": "memory or disk is exhausted: a smaller --batch_size or model, in a "
    "new --model_dir, needs less memory",
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
    kinds = [each.__name__ for each in type(error).__mro__]
    if kinds[0] in _DAMAGED:
        return f"{_damaged(message)} ({detail})"
    found = (sentence for name, sentence in _SENTENCES.items() if name in kinds)
    return f"{next(found, kinds[0])} ({detail}) {_VERBOSE}"


def _damaged(message: str) -> str:
    if "Restore" in message or "sstable" in message:
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
