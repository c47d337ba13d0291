"""The page of `maps`: one HTML file with its pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtf_synthesizer.studies.maps.maps import Maps
    from mtf_synthesizer.studies.maps.sections import MapSection, Picture

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Attention of {{ titles }}</title>
<style>
  body { font: 16px/1.5 Georgia, serif; max-width: 76em; margin: 2em auto; padding: 0 1em }
  h1, h2 { font-weight: normal; line-height: 1.2 }
  table { border-collapse: collapse; margin: 1em 0; font: 14px/1.4 sans-serif }
  th, td { padding: .35em .9em; border-bottom: 1px solid #ccc; text-align: left }
  .wide { overflow-x: auto }
  .note { color: #666; font-size: 14px } .tokens { font: 14px/1.6 monospace }
</style>
</head>
<body>
<h1>Attention of {{ titles }}</h1>
<table>
<tr><th>model</th><th>folder</th><th>step</th><th>at the start</th><th>left out</th></tr>
{% for title, maps in models.items() %}<tr><td>{{ title }}</td><td>{{ maps.model_dir }}</td>
<td>{{ maps.step }}</td>
<td>{% if maps.initial_is_saved %}checkpoint of step 0{% else %}initial values drawn anew: the
folder has no checkpoint of step 0{% endif %}</td>
<td>{% for place, why in maps.left_out.items() %}{{ place }}: {{ why }}<br>{% else %}nothing
{% endfor %}</td></tr>
{% endfor %}</table>
<p>{{ subject }}</p>
{% for text, readers in read.items() %}
<p class="tokens">{{ readers | join("; ") }}: {{ text }}</p>
{% endfor %}

{% for section in sections %}<h2>{{ section.title }}</h2>
<p>{{ section.text }}</p>
{% for picture in section.pictures %}<div class="wide">
<img alt="{{ picture.file }}" src="{{ uri(picture) }}"></div>
<p class="note">{{ picture.caption }} ({{ picture.file }})</p>
{% endfor %}{% endfor %}
<p class="note">Layers are counted from 1. All weights, of every layer, head and example:
{{ arrays | join(", ") }}.</p>
</body>
</html>
"""


def html(
    models: Mapping[str, Maps],
    subject: str,
    sections: Sequence[MapSection],
    arrays: Sequence[str],
) -> str:
    """The page.

    Args:
      models: title -> maps.
      subject: a sentence that says what the models read.
      sections: what is shown.
      arrays: names of the files with all weights.
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_TEMPLATE).render(
        models=models,
        titles=", ".join(models),
        subject=subject,
        read=_read(models),
        sections=sections,
        arrays=arrays,
        uri=_uri,
    )


def _read(models: Mapping[str, Maps]) -> dict[str, list[str]]:
    """The tokens of the first example -> which stacks of which models read them."""
    read: dict[str, list[str]] = {}
    for title, maps in models.items():
        for stack, examples in maps.tokens.items():
            read.setdefault(" ".join(examples[0]), []).append(f"{title}, {stack}")
    return read


def _uri(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")
