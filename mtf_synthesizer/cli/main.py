"""The command line: parse, one call, print. Loads TensorFlow only once a command needs it."""

import argparse
import io
import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.cli import commands
from mtf_synthesizer.runtime import failures, signals

USER_ERROR = 2  # exit status, as argparse's own


def main(typed: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
      The exit status: 0; 2 for a mistake of the user's, with one message and no traceback; 75
      where SIGTERM ended a training, which is saved, or came where there was nothing to save; 130
      for ctrl-C.
    """
    _show_what_can_be_shown()
    args = _parsed(list(sys.argv[1:] if typed is None else typed))
    return _guarded(commands.COMMANDS[args.command], args)


def _show_what_can_be_shown() -> None:
    """Escape what the terminal's encoding lacks: a finished command must not fail by its report."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parsed(typed: list[str]) -> argparse.Namespace:
    if typed[:1] == ["t5"]:  # its flags are T5's own, so nothing of them is parsed here
        return argparse.Namespace(command="t5", arguments=typed[1:], verbose=False)
    args = commands.parser().parse_args(typed)
    args.typed = shlex.join(["mtf_synthesizer", *typed])  # for the foot of pages
    return args


def _guarded(command: commands.Command, args: argparse.Namespace) -> int:
    """The exit status of a command, whatever its error becomes."""
    verbose = getattr(args, "verbose", False)
    try:
        command.module.run(args)
    except ValueError as error:  # a UserError, or what a layer says about its parameters
        if verbose:
            traceback.print_exc()
        more = "" if isinstance(error, errors.UserError) else " (--verbose shows where)"
        message = str(error).partition("\n  In call to configurable")[0]  # added by gin
        print(f"mtf_synthesizer: {message}{more}", file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:  # the reader of the output, `head` for one, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        more = "; the same command goes on where it was" if command.goes_on else ""
        print(f"mtf_synthesizer: stopped{more}", file=sys.stderr)
        return 130
    except signals.Terminated as error:
        print(signals.announced(error), file=sys.stderr)
        return signals.EXIT_STATUS
    except Exception as error:
        sentence = failures.describe(error)
        if sentence is None:
            raise
        if verbose or args.command == "t5":  # which has no --verbose
            traceback.print_exc()
        print(f"mtf_synthesizer: {sentence}", file=sys.stderr)
        return USER_ERROR
    return 0
