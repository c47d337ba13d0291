"""Sections of reports, and files that reports read."""

import json

from mtf_synthesizer.studies.report import files


def table(sections, beginning):
    (found,) = [section for section in sections if section.title.startswith(beginning)]
    return found


def row(section, name):
    (found,) = [dict(zip(section.heads, r, strict=True)) for r in section.rows if r[0] == name]
    return found


def collected(*paths):
    return files.collect([str(path) for path in paths])


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
