"""Quiet loading of TensorFlow: logs, warnings and start-up notices only on request."""

import contextlib
import importlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.runtime import late_imports

# Beginnings of the lines of the Estimator, and scores as T5 and Mesh log them.
_RESULT = re.compile(
    r"^(loss = |Loss for final step|global_step/sec|Saving checkpoints for"
    r"|Restoring parameters from)|.+ at step \d+: [-+.\w]+$"
)


def load_tensorflow(verbose: bool) -> None:
    """Import TensorFlow and the shims that T5 needs, without messages unless `verbose`.

    Call this before any other import of TensorFlow, which reads its log level only once.

    Raises:
      errors.UserError: the installed packages are incompatible.
    """
    late_imports.install()
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # failures are raised as exceptions too
        warnings.filterwarnings("ignore")
    try:
        with contextlib.nullcontext() if verbose else captured_native_messages():
            importlib.import_module("mtf_synthesizer.runtime.compat")
            # Listing the devices triggers the complaints about missing graphics drivers.
            importlib.import_module("tensorflow").config.list_physical_devices()
    except ImportError as error:
        raise errors.UserError(str(error)) from error
    set_log_levels(verbose)


def set_log_levels(verbose: bool) -> None:
    """Set the levels of the Python loggers of absl and TensorFlow."""
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.INFO if verbose else absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.INFO if verbose else logging.ERROR)


def log_results_only() -> None:
    """Let T5, Mesh and TensorFlow log errors, losses, scores and checkpoints, and nothing else.

    T5's entry point sets the levels itself, so records are filtered.
    """
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.INFO)
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).addFilter(_is_result)
    logging.getLogger("tensorflow").propagate = False  # absl would print the line once more


def _is_result(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or _RESULT.search(record.getMessage()) is not None


@contextlib.contextmanager
def without_messages(hide: bool) -> Iterator[None]:
    """Disable logging inside: gin logs an error for every place without the file."""
    if hide:
        logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def captured_native_messages() -> Iterator[None]:
    """Hold back what C++ code writes to standard error; print it if an exception follows.

    TensorFlow's start-up notices come before TensorFlow reads its log level.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(saved, messages.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
