"""The report as Markdown and as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from mtf_synthesizer.studies.report.section import ReportSection

_TITLE = "Our values beside the paper's"
_LEGEND = (
    "Ours are means over the seeds ± their standard deviation; “–” means that there is no such "
    "value, “not run” that nobody has run it."
)
_DONE, _MISSING = "Run with:", "Would be run with:"

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
  body { font: 16px/1.5 Georgia, serif; max-width: 90em; margin: 2em auto; padding: 0 1em }
  h1, h2 { font-weight: normal; line-height: 1.2 }
  .wide { overflow-x: auto }
  table { border-collapse: collapse; margin: 1em 0; font: 13px/1.4 sans-serif }
  th, td { padding: .35em .7em; border-bottom: 1px solid #ccc; text-align: left }
  .none { color: #999 }
  pre { font-size: 12px; white-space: pre-wrap } .note { color: #666; font-size: 14px }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ legend }}</p>
{% for warning in warnings %}<p class="note">Left out: {{ warning }}</p>
{% endfor %}
{% for section in sections %}<h2>{{ section.title }}</h2>
<div class="wide"><table>
<tr>{% for head in section.heads %}<th>{{ head }}</th>{% endfor %}</tr>
{% for row in section.rows %}<tr>{% for cell in row %}<td
{%- if cell == "not run" %} class="none"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>
{% for note in section.notes %}<p class="note">{{ note }}</p>
{% endfor %}
{% for title, commands in ((done, section.commands), (missing, section.missing)) if commands %}
<p>{{ title }}</p>
<pre>{{ commands | join("\\n") }}</pre>
{% endfor %}
{% endfor %}
</body>
</html>
"""


def html(sections: Sequence[ReportSection], warnings: Sequence[str]) -> str:
    """One file with everything in it; whatever comes from files is escaped."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_TEMPLATE).render(
        title=_TITLE,
        legend=_LEGEND,
        done=_DONE,
        missing=_MISSING,
        sections=sections,
        warnings=warnings,
    )


def markdown(sections: Sequence[ReportSection], warnings: Sequence[str]) -> str:
    """The same as Markdown."""
    lines = [f"# {_TITLE}", "", _LEGEND, ""]
    lines += [line for warning in warnings for line in (f"Left out: {_escaped(warning)}", "")]
    for section in sections:
        lines += [f"## {_escaped(section.title)}", "", _line(section.heads)]
        lines += [_line(["---"] * len(section.heads)), *map(_line, section.rows), ""]
        lines += [line for note in section.notes for line in (_escaped(note), "")]
        lines += _commands(_DONE, section.commands) + _commands(_MISSING, section.missing)
    return "\n".join(lines).rstrip("\n") + "\n"


def _commands(title: str, commands: Sequence[str]) -> list[str]:
    # An end of a line within a command would end the block of code.
    lines = [f"    {' '.join(command.splitlines())}" for command in commands]
    return [title, "", *lines, ""] if commands else []


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """So that a name is neither markup nor the end of a cell."""
    one_line = " ".join(text.split())
    for character in "\\|<>*_`[]":
        one_line = one_line.replace(character, "\\" + character)
    return one_line
