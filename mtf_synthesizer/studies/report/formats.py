"""The report as Markdown and as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from mtf_synthesizer.studies.pages import page
from mtf_synthesizer.studies.report import paper
from mtf_synthesizer.studies.report.runs import Run
from mtf_synthesizer.studies.report.section import ReportSection

_TITLE = "Results beside the paper's"
_MOST = 5  # names in a title
_LEGEND = (
    "Values are means over the seeds ± their standard deviation. “–” marks a value that does not "
    "exist; “not run” marks a value that the given results lack."
)
_DONE, _MISSING = "Run with:", "Commands for the missing values:"


def title(runs: Sequence[Run]) -> str:
    """The title of a report, which names the models or the experiments if they are few."""
    experiments = list(dict.fromkeys(run.experiment for run in runs if run.experiment))
    models = list(dict.fromkeys(paper.LABELS.get(run.row, run.row) for run in runs))
    if len(experiments) == 1 and len(models) <= _MOST:
        return f"{', '.join(models)} in {experiments[0]} beside the paper's results"
    if 0 < len(experiments) <= _MOST:
        return f"Results of {', '.join(experiments)} beside the paper's"
    return _TITLE


def html(
    sections: Sequence[ReportSection], warnings: Sequence[str], command: str, title: str = _TITLE
) -> str:
    """The report as one self-contained HTML file; all text from files is escaped."""
    return page.render(
        "report.html",
        command,
        title=title,
        legend=_LEGEND,
        done=_DONE,
        missing=_MISSING,
        sections=sections,
        warnings=warnings,
    )


def markdown(
    sections: Sequence[ReportSection], warnings: Sequence[str], command: str, title: str = _TITLE
) -> str:
    """The report as Markdown."""
    lines = [f"# {_escaped(title)}", "", _LEGEND, ""]
    lines += [line for warning in warnings for line in (f"Left out: {_escaped(warning)}", "")]
    for section in sections:
        lines += [f"## {_escaped(section.title)}", "", _line(section.heads)]
        lines += [_rule(section.heads, section.rows), *map(_line, section.rows), ""]
        lines += [line for note in section.notes for line in (_escaped(note), "")]
        lines += _commands(_DONE, section.commands) + _commands(_MISSING, section.missing)
    lines += _commands("Made by:", [command])
    return "\n".join(lines).rstrip("\n") + "\n"


def _commands(title: str, commands: Sequence[str]) -> list[str]:
    # A newline within a command would end the block of code.
    lines = [f"    {' '.join(command.splitlines())}" for command in commands]
    return [title, "", *lines, ""] if commands else []


def _rule(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The line below the heads, which aligns numbers to the right."""
    numeric = page.numeric_columns(rows) or [False] * len(heads)
    return f"| {' | '.join('---:' if is_number else '---' for is_number in numeric)} |"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """Escape a text, so that it is neither markup nor the end of a cell."""
    one_line = " ".join(text.split())
    for character in "\\|<>*_`[]":
        one_line = one_line.replace(character, "\\" + character)
    return one_line
