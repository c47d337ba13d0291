"""Silence from the libraries, unless asked for: their logs, warnings and start-up notices."""

import contextlib
import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.runtime import late_imports


def load_tensorflow(verbose: bool) -> None:
    """Imports TensorFlow and what it still needs for T5; quietly unless `verbose`.

    To be called before anything else imports TensorFlow: it reads its log level only once.

    Raises:
      errors.UserError: the installed packages can't work together.
    """
    late_imports.install()
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what fails is raised besides
        warnings.filterwarnings("ignore")
    try:
        with contextlib.nullcontext() if verbose else captured_native_messages():
            importlib.import_module("mtf_synthesizer.runtime.compat")
            # Looking for devices is what makes it complain about missing graphics drivers.
            importlib.import_module("tensorflow").config.list_physical_devices()
    except ImportError as error:
        raise errors.UserError(str(error)) from error
    set_log_levels(verbose)


def set_log_levels(verbose: bool) -> None:
    """Sets the levels of the Python loggers of absl and TensorFlow."""
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.INFO if verbose else absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.INFO if verbose else logging.ERROR)


@contextlib.contextmanager
def without_messages(hide: bool) -> Iterator[None]:
    """No log messages inside: gin reports every place it looked for a file as an error."""
    if hide:
        logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def captured_native_messages() -> Iterator[None]:
    """Keeps what C++ code writes to the standard error stream; shows it if an exception follows.

    TensorFlow's start-up notices come before it knows its log level.
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
