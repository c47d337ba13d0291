"""How a sub-command is shown in the help, and what is said of an option that it does not have."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from mtf_synthesizer import errors

_INVALID_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """Suggests what a misspelt option or sub-command may have meant."""

    # Typed as argparse's own, whose overloads tell more than is used here.
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but for an error of the sub-command that does not know an option."""
        if self._subparsers is None and args is not None:
            self._check_options(args)
        return super().parse_known_args(args, namespace)

    def _check_options(self, args: Sequence[str]) -> None:
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for argument in args:
            if argument == "--":
                return
            option = argument.partition("=")[0]
            # With a blank inside argparse takes it for a value; shortened options are allowed.
            if option.startswith("--") and " " not in argument and not _begins(option, known):
                self.error(f"unknown option {option}.{errors.suggestion(option, known)}")

    def error(self, message: str) -> NoReturn:
        """Ends the program, with a suggestion for a misspelt sub-command or choice."""
        invalid = _INVALID_CHOICE.search(message)
        if invalid is not None:
            choices = re.findall(r"[^\s,']+", invalid[2])
            message += errors.suggestion(invalid[1], choices)
        super().error(message)


def _begins(option: str, known: Sequence[str]) -> bool:
    return any(each.startswith(option) for each in known)


def add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    purpose: str,
    example: str,
) -> argparse.ArgumentParser:
    """A sub-command with a sentence that says what it is for, and an example."""
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
