"""Parser of the command line: groups of options, and messages about mistakes of typing."""

import argparse
import itertools
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from mtf_synthesizer import errors

_FREE_TEXT = ("--text", "--target")  # every value is valid
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
_INVALID_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


# Titles of the groups of options, in the order of the help.
_GROUPS = ("model", "data", "decoding", "run", "configuration", "devices", "output")


class Parser(argparse.ArgumentParser):
    """A parser with groups of options, and suggestions for misspelt options and sub-commands."""

    # argparse's overloads are more precise than this use needs, so the types are Any.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._old_names: dict[str, str] = {}
        # A group without options is not shown in the help.
        self._groups = {title: self.add_argument_group(title) for title in _GROUPS}

    def group(self, title: str) -> "argparse._ArgumentGroup":
        """Return a group of options by its title, one of `_GROUPS`."""
        return self._groups[title]

    def accept(self, old: str, option: str) -> None:
        """Accept an old name of an option, which the help does not show."""
        self._old_names[old] = option

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse like argparse, but let the sub-command report its unknown options."""
        if args is not None:
            args = self._spelled(args)
            if self._subparsers is None:
                self._check_options(args)
        return super().parse_known_args(args, namespace)

    def _spelled(self, args: Sequence[str]) -> list[str]:
        """Return the arguments with options and commands under the names of the help.

        A hyphen inside of a name counts as an underscore, and in a command the other way round.
        """
        if self._subparsers is not None:
            commands = [name for action in self._actions for name in action.choices or ()]
            return [_renamed_command(arg, commands) for arg in args[:1]] + list(args[1:])
        end = args.index("--") if "--" in args else len(args)
        pairs = zip(["", *args], args[:end], strict=False)
        spelled = [arg if before in _FREE_TEXT else self._renamed(arg) for before, arg in pairs]
        return [*spelled, *args[end:]]

    def _renamed(self, argument: str) -> str:
        name, equals, value = argument.partition("=")
        if not name.startswith("--") or " " in name:
            return argument
        underscored = "--" + name.removeprefix("--").replace("-", "_")
        return self._old_names.get(underscored, underscored) + equals + value

    def _check_options(self, args: Sequence[str]) -> None:
        known = [option for option in self._option_string_actions if option.startswith("--")]
        previous = ""
        for argument, following in itertools.zip_longest(args, args[1:], fillvalue="--"):
            if argument == "--":
                return
            if previous not in _FREE_TEXT:
                self._check_letters(previous, argument)
                if not following.startswith("-"):
                    self._check_glued(argument, known)
            previous = argument
            option = argument.partition("=")[0]
            # argparse reads an argument with a space as a value; shortened options are allowed.
            if option.startswith("--") and " " not in argument and not _begins(option, known):
                self.error(f"unknown option {option}.{_remedy(option, known)}")

    def _check_glued(self, argument: str, known: Sequence[str]) -> None:
        """End the program for a value like rv--size that is followed by the value of --size."""
        for option in known:
            value = argument.removesuffix(option)
            if value not in (argument, "") and " " not in value:
                self.error(f"{argument}: insert a space before {option}: {value} {option}")

    def _check_letters(self, previous: str, argument: str) -> None:
        """End the program for an empty value, and for dashes and quotes of word processors."""
        option, equals, value = argument.partition("=")
        if not argument.startswith("--") or " " in option:
            option, equals, value = previous, "", argument
        if (equals or value == argument) and not value.strip():
            option = option or "an argument"
            self.error(f"{option}: the value is empty. Is a shell variable unset?")
        if not argument.isascii() and not _is_text(argument):
            self.error(f"{argument!a}: not UTF-8. Rename the file, or type the argument in UTF-8")
        if argument[0] in _DASHES and not argument.startswith("--"):
            hyphens = f"--{argument.lstrip(_DASHES)}"
            self.error(f"{argument}: begins with {argument[0]}. Type hyphens: {hyphens}")
        if value[:1] in _QUOTES and value:
            self.error(f"{option}: {value[0]} is not a shell quote. Type \" or ' on both sides")

    def error(self, message: str) -> NoReturn:
        """End the program, with a suggestion for a misspelt sub-command or choice."""
        invalid = _INVALID_CHOICE.search(message)
        if invalid is not None:
            choices = re.findall(r"[^\s,']+", invalid[2])
            message += errors.suggestion(invalid[1], choices)
        super().error(message)


def _renamed_command(argument: str, commands: Sequence[str]) -> str:
    hyphenated = argument.replace("_", "-")
    return hyphenated if hyphenated in commands else argument


def _is_text(argument: str) -> bool:
    """Return whether the argument is Unicode; Python keeps other bytes as surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remedy(option: str, known: Sequence[str]) -> str:
    """Return advice for an unknown option: a value glued to a known option, or a misspelling."""
    glued = [name for name in known if option.startswith(name)]
    if glued:
        longest = max(glued, key=len)
        return f" Insert a space: {longest} {option.removeprefix(longest)}"
    return errors.suggestion(option, known)


def _begins(option: str, known: Sequence[str]) -> bool:
    return any(name.startswith(option) for name in known)


def add_command(
    commands: "argparse._SubParsersAction[Parser]", name: str, purpose: str, example: str
) -> Parser:
    """Add a sub-command with its purpose, a sentence, and an example."""
    return commands.add_parser(
        name,
        help=purpose,
        description=purpose,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
