"""The command line: parse, call, print. TensorFlow is loaded only when a command needs it."""

import argparse
import importlib.util
import io
import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.cli import commands, completion
from mtf_synthesizer.runtime import failures, signals

USER_ERROR = 2  # exit status, equal to argparse's


def main(typed: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
      The exit status: 0 for success; 2 for a user's mistake, with one message and without a
      traceback; 75 for SIGTERM (a training is saved first); 130 for ctrl-C.
    """
    _escape_unencodable()
    _forget_absent_backend()
    args = _parsed(list(sys.argv[1:] if typed is None else typed))
    return _guarded(commands.COMMANDS[args.command], args)


def _escape_unencodable() -> None:
    """Escape characters that the terminal can't encode, so that a finished command can't fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _forget_absent_backend() -> None:
    """Drop MPLBACKEND if this environment lacks its module: matplotlib would refuse to load.

    Notebooks name their own backend to all commands that they run. Pictures are files here, which
    need no backend.
    """
    kind, _, module = os.environ.get("MPLBACKEND", "").partition("://")
    package = module.partition(".")[0]
    if kind == "module" and not (package and importlib.util.find_spec(package)):
        del os.environ["MPLBACKEND"]


def _parsed(typed: list[str]) -> argparse.Namespace:
    if typed[:1] == ["t5"]:  # T5 parses its own flags
        return argparse.Namespace(command="t5", arguments=typed[1:], verbose=False)
    parser = commands.parser()
    completion.answer(parser)
    args = parser.parse_args(typed)
    args.typed = shlex.join(["mtf_synthesizer", *typed])  # shown at the bottom of pages
    return args


def _guarded(command: commands.Command, args: argparse.Namespace) -> int:
    """Run a command and report its error; return the exit status."""
    verbose = getattr(args, "verbose", False)
    try:
        command.module.run(args)
    except ValueError as error:  # a UserError, or a layer's error about its parameters
        if verbose:
            traceback.print_exc()
        more = "" if isinstance(error, errors.UserError) else " (--verbose shows where)"
        message = str(error).partition("\n  In call to configurable")[0]  # added by gin
        print(f"mtf_synthesizer: {message}{more}", file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:  # the reader of the output, such as `head`, has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        more = "; run the same command again to resume" if command.resumes else ""
        print(f"mtf_synthesizer: stopped{more}", file=sys.stderr)
        return 130
    except signals.Terminated as error:
        print(signals.announced(error), file=sys.stderr)
        return signals.EXIT_STATUS
    except Exception as error:
        sentence = failures.describe(error)
        if sentence is None:
            raise
        if verbose or args.command == "t5":  # t5 has no --verbose
            traceback.print_exc()
        print(f"mtf_synthesizer: {sentence}", file=sys.stderr)
        return USER_ERROR
    return 0
