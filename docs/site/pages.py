"""Gather the pages of the site: docs, README, and the reference of commands and configurables.

    python docs/site/pages.py FOLDER

The pages in the checkout link to each other by relative paths. The site has one folder, so links to
pages outside docs/ get their new names, and links to other files of the checkout become plain text.
"""

import argparse
import os
import pathlib
import re
import shutil
import sys

from mtf_synthesizer.cli import commands
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.config.lint import configurables

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# File of the checkout -> page of the site.
OTHERS = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "gin/README.md": "gin_files.md",
    "docs/results/report.md": "results.md",
}
GENERATED = ("commands", "configurables", "api/mtf_synthesizer/index")
LINK = re.compile(r"(!?)\[([^]]*)\]\((?!https?:)([^)#\s]+)(#[^)]*)?\)")
CONTENTS = """
```{{toctree}}
:hidden:
:caption: {caption}

{pages}
```
"""


def target(page: pathlib.Path, link: str) -> str | None:
    """Return the place in the site of a linked file; None if the site does not have it."""
    path = (page.parent / link).resolve().relative_to(ROOT).as_posix()
    if path in OTHERS:
        return OTHERS[path]
    if path.startswith("docs/") and not path.startswith("docs/results"):
        return path.removeprefix("docs/")
    return None


def converted(page: pathlib.Path) -> str:
    """Return the text of a page with links that work in the site."""

    def link(match: re.Match[str]) -> str:
        place = target(page, match[3])
        if place is None:
            return match[2]
        return f"{match[1]}[{match[2]}]({place}{match[4] or ''})"

    return LINK.sub(link, page.read_text("utf-8"))


def with_contents(index: str) -> str:
    """Add the site's table of contents to the index: one group for each heading of the page."""
    sections = re.split(r"^## ", index, flags=re.MULTILINE)[1:]
    for section in sections:
        caption, _, body = section.partition("\n")
        pages = re.findall(r"\]\(([a-z0-9_]+)\.md\)", body)
        index += CONTENTS.format(caption=caption.strip(), pages="\n".join(dict.fromkeys(pages)))
    others = ["readme", "contributing", "changelog", "gin_files", "results", *GENERATED]
    return index + CONTENTS.format(caption="More", pages="\n".join(others))


def command_reference() -> str:
    """Return the page of all commands: their help, as the terminal shows it."""
    os.environ["COLUMNS"] = "100"
    parts = ["# Commands\n", code(commands.parser().format_help())]
    for name, command in commands.COMMANDS.items():
        alone = Parser(prog=f"mtf_synthesizer {name}", description=command.purpose)
        command.module.add_arguments(alone)
        parts += [f"## {name}\n", code(alone.format_help())]
        parts += [code(nested.format_help()) for nested in subcommands(alone)]
    return "\n".join(parts)


def subcommands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return the parsers of a command's own commands, such as `data prepare`."""
    groups = [action for action in parser._actions if isinstance(action.choices, dict)]
    found = [choice for action in groups for choice in action.choices.values()]
    return [choice for choice in found if isinstance(choice, argparse.ArgumentParser)]


def code(text: str) -> str:
    """Return a block of literal text."""
    return f"```text\n{text.rstrip()}\n```\n"


def gin_reference() -> str:
    """Return the page of the configurables that this package adds, and their parameters."""
    lines = ["# Gin configurables\n", "| selector | parameters |", "|---|---|"]
    for configurable in sorted(configurables.scan(["mtf_synthesizer"]), key=lambda c: c.selector):
        names = sorted(configurable.parameters or ())
        lines.append(f"| `{configurable.selector}` | {' '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def gather(folder: pathlib.Path) -> None:
    """Write all pages of the site into a folder, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs/images", folder / "docs/images")
    shutil.copytree(ROOT / "docs/images", folder / "images")
    shutil.copytree(ROOT / "docs/notebooks", folder / "notebooks")  # a link downloads them
    for page in (ROOT / "docs").glob("*.md"):
        (folder / page.name).write_text(converted(page), "utf-8")
    for source, name in OTHERS.items():
        (folder / name).write_text(converted(ROOT / source), "utf-8")
    (folder / "commands.md").write_text(command_reference(), "utf-8")
    (folder / "configurables.md").write_text(gin_reference(), "utf-8")
    index = folder / "index.md"
    index.write_text(with_contents(index.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    gather(pathlib.Path(sys.argv[1]))
