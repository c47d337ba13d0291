"""The demo's page: one HTML file with everything in it."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtf_synthesizer.files import saving
from mtf_synthesizer.studies.demo import random_tables

_TITLES = {"v": "V (dot product)", "r": "R (random)", "rv": "R+V (mixture)"}
_COLORS = {"v": "#1f5fa8", "r": "#c8501e", "rv": "#3a8a3a"}

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Synthesizers side by side</title>
<style>
  body { font: 16px/1.5 Georgia, serif; max-width: 68em; margin: 2em auto; padding: 0 1em }
  h1, h2 { font-weight: normal; line-height: 1.2 }
  table { border-collapse: collapse; margin: 1em 0; font: 14px/1.4 sans-serif }
  th, td { padding: .35em .9em; border-bottom: 1px solid #ccc; text-align: left }
  td.number { text-align: right; font-variant-numeric: tabular-nums }
  .yes { color: #1c6b1c } .no { color: #a01818 }
  img { max-width: 100% }
  pre, code { font-size: 13px } .note { color: #666; font-size: 14px }
  blockquote { margin: .3em 0 .8em 1em; font-size: 14px }
</style>
</head>
<body>
<h1>Synthesizers side by side</h1>
<p>{{ names }}: encoder-decoders that differ only in how a layer gets its attention logits,
trained one after the other in one process on the same examples, with the same numbers of steps
({{ settings.pretrain_steps }} of span corruption, {{ settings.finetune_steps }} of fine-tuning) and
the same seed ({{ settings.seed }}). Text: public-domain translations of the Bible; no chapter of
the test split was seen in training. All steps together took {{ minutes }} minutes.</p>

<h2>Results on the test split</h2>
<table>
<tr><th>task</th><th>asked</th>
{% for model in models %}<th>{{ model.title }}</th>{% endfor %}
<th>without a model</th></tr>
{% for row in rows %}<tr><td>{{ row.task }}</td><td>{{ row.asked }}</td>
{% for cell in row.cells %}<td class="number">{{ cell.value }}<br>
{% if cell.holds %}<span class="yes">yes</span>{% else %}<span class="no">no</span>{% endif %}</td>
{% endfor %}
<td class="number">{{ row.baseline }}</td></tr>
{% endfor %}</table>
<p>{{ summary }}</p>
<p class="note">± is one standard error of an accuracy; the tasks have {{ examples }} test examples.
Without a model means: the token frequencies of the training targets (given the sentinels for
nothing, {{ free_entropy }} nats), the most frequent label, and the source itself as its
translation.</p>

<h2>Training</h2>
<img alt="loss curves" src="{{ curves }}">
<table>
<tr><th>model</th><th>pretraining, s</th><th>fine-tuning, s</th><th>evaluation, s</th></tr>
{% for model in models %}<tr><td>{{ model.title }}</td><td class="number">{{ model.pretrain }}</td>
<td class="number">{{ model.finetune }}</td><td class="number">{{ model.evaluation }}</td></tr>
{% endfor %}</table>
<p class="note">Seconds with graph building and checkpoints. Processor time shared with other
programs counts in full.</p>

<h2>Attention</h2>
<p>Encoder layers and the first decoder layer. V's attention is that of one verse
(&ldquo;{{ verse }}&rdquo;) with the relative position bias that T5 adds; R's is softmax(R), the
same for every verse of this length, before training and after. Rows are queries, columns keys; the
brighter, the more attention.</p>
<img alt="attention maps" src="{{ attention }}">
<p>{{ movement }}</p>

{% if alphas %}<h2>α of R+V</h2>
<p>The weight each head gives to R and to V. All started at one half; R's now lie between
{{ alpha_range }}.</p>
<img alt="weights of the mixture" src="{{ alphas }}">{% endif %}

<h2>Some translations</h2>
{% for sample in samples %}<p><b>{{ sample.source }}</b></p>
<blockquote>{% for output in sample.outputs %}{{ output.title }}: {{ output.text }}<br>{% endfor %}
World English: {{ sample.target }}</blockquote>
{% endfor %}
<p class="note">Predictions for every test example: submission.zip ({{ submitted }}){{ replaced }}.
All numbers: results.json.</p>
</body>
</html>
"""


def write(
    path: str | os.PathLike[str],
    results: Mapping[str, Any],
    attention: Mapping[str, Mapping[str, np.ndarray]],
    samples: Sequence[Mapping[str, Any]],
) -> None:
    """Writes the page.

    Args:
      path: of the HTML file.
      results: the content of results.json.
      attention: title -> layer scope -> weights [heads, length, memory_length].
      samples: translations: source, target, and outputs (model -> text).
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    html = environment.from_string(_TEMPLATE).render(
        settings=results["settings"],
        names=", ".join(title(name) for name in results["models"]),
        minutes=round(results["seconds_of_all_steps"] / 60, 1),
        models=[_model(name, model) for name, model in results["models"].items()],
        rows=_rows(results["findings"]),
        summary=summary(results["findings"]),
        examples=", ".join(str(n) for n in sorted(results["baselines"]["examples"].values())),
        free_entropy=f"{results['baselines']['unigram_entropy_free_sentinels']:.2f}",
        curves=_data_uri(_curves(results["models"])),
        attention=_data_uri(_attention(attention)),
        verse=samples[0]["source"],
        movement=movement(results["models"]),
        alphas=_alphas(results["models"]),
        alpha_range=_alpha_range(results["models"]),
        samples=[_sample(sample) for sample in samples],
        submitted=title(results["submission"]["of"]),
        replaced=_replaced(results["submission"]),
    )
    saving.write_text(path, html)


def title(name: str) -> str:
    """What a model is called on the page."""
    return _TITLES.get(name, name)


def table(results: Mapping[str, Any]) -> str:
    """The results as text, for the terminal."""
    lines = [
        f"{'':23}{'':53}" + "".join(f"{n:>15}" for n in results["models"]) + f"{'no model':>10}"
    ]
    for row in _rows(results["findings"]):
        cells = [f"{c['value']} {'yes' if c['holds'] else 'NO'}" for c in row["cells"]]
        lines.append(
            f"{row['task']:23}{row['asked']:53}"
            + "".join(f"{c:>15}" for c in cells)
            + f"{row['baseline']:>10}"
        )
    return "\n".join([*lines, "", summary(results["findings"]), movement(results["models"])])


def _rows(findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One row for each comparison, one cell for each model."""
    rows = []
    for same in zip(*findings.values(), strict=True):
        cells = [{"value": _value(found), "holds": found["holds"]} for found in same]
        baseline = f"{same[0]['baseline']:.2f}"
        rows.append(
            {
                "task": same[0]["task"],
                "asked": same[0]["asked"],
                "cells": cells,
                "baseline": baseline,
            }
        )
    return rows


def _value(found: Mapping[str, Any]) -> str:
    error = f" ±{found['standard_error']:.1f}" if "standard_error" in found else ""
    return f"{found['value']:.2f}{error}" if not error else f"{found['value']:.1f}{error}"


def summary(findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What was learned and what was not, in a sentence for each model."""
    sentences = []
    for name, found in findings.items():
        failed = [each["task"] for each in found if not each["holds"]]
        if failed:
            sentences.append(f"{title(name)} did not learn enough of: {', '.join(failed)}.")
        else:
            sentences.append(f"{title(name)} learned all of it.")
    return " ".join(sentences)


def movement(models: Mapping[str, Any]) -> str:
    """How far the tables R moved, in a sentence for each model that has some."""
    sentences = []
    for name, model in models.items():
        moved = model["attention"]["movement"].values()
        if moved:
            share = 100 * float(np.mean([layer["total_variation"] for layer in moved]))
            change = float(np.mean([layer["relative_change"] for layer in moved]))
            sentences.append(
                f"{title(name)}: training moved {share:.0f} % of the tables' attention to other "
                f"keys; their logits changed by {change:.2f} standard deviations (means of layers)."
            )
    return " ".join(sentences)


def _model(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    seconds = {step: round(model[step]["seconds"]) for step in ("pretrain", "finetune")}
    evaluation = model["pretrain_evaluation"]["seconds"] + model["evaluation"]["seconds"]
    return {"title": title(name), **seconds, "evaluation": round(evaluation)}


def _sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    outputs = [{"title": title(name), "text": text} for name, text in sample["outputs"].items()]
    return {"source": sample["source"], "target": sample["target"], "outputs": outputs}


def _replaced(submission: Mapping[str, Any]) -> str:
    count = sum(submission["replaced"][submission["of"]].values())
    return f"; {count} decoded texts that are no label were replaced" if count else ""


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _curves(models: Mapping[str, Any]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axis, step, name in zip(
        figure.subplots(1, 2),
        ("pretrain", "finetune"),
        ("span corruption", "fine-tuning"),
        strict=True,
    ):
        for synthesizer, model in models.items():
            losses = model[step]["losses"]
            axis.plot(
                [row["step"] for row in losses],
                [row["loss"] for row in losses],
                label=title(synthesizer),
                color=_COLORS.get(synthesizer),
                linewidth=1.3,
            )
        axis.set(title=name, xlabel="step", ylabel="loss, nats per target position")
        axis.grid(alpha=0.3)
        axis.legend()
    return _png(figure)


def _attention(attention: Mapping[str, Mapping[str, np.ndarray]]) -> bytes:
    groups = {}
    for name, layers in attention.items():
        chosen = [layer for layer in layers if layer.startswith("encoder")]
        chosen += [layer for layer in layers if layer.startswith("decoder")][:1]
        groups[name] = {_short(layer): layers[layer] for layer in chosen}
    return random_tables.heat_maps(groups)


def _short(layer: str) -> str:
    """encoder/block_000/layer_000/SyntheticAttention -> encoder 0."""
    stack, block = layer.split("/")[:2]
    return f"{stack} {int(block.removeprefix('block_'))}"


def _alpha_range(models: Mapping[str, Any]) -> str:
    layers = [alpha for model in models.values() for alpha in model["attention"]["alphas"].values()]
    random = [head[0] for alpha in layers for head in alpha]
    return f"{min(random):.4f} and {max(random):.4f}" if random else ""


def _alphas(models: Mapping[str, Any]) -> str | None:
    """Bars of α for each layer and head of the mixture; None without one."""
    from matplotlib.figure import Figure

    found = {name: model["attention"]["alphas"] for name, model in models.items()}
    layers = next((alphas for alphas in found.values() if alphas), None)
    if not layers:
        return None
    figure = Figure(figsize=(2.4 * len(layers), 2.6), layout="constrained")
    for axis, (layer, alpha) in zip(
        np.atleast_1d(figure.subplots(1, len(layers), sharey=True)), layers.items(), strict=True
    ):
        random = np.asarray(alpha)[:, 0]
        heads = np.arange(len(random))
        axis.bar(heads, random, color=_COLORS["r"], label="R")
        axis.bar(heads, 1 - random, bottom=random, color=_COLORS["v"], label="V")
        axis.set(title=_short(layer), xlabel="head", xticks=heads, ylim=(0, 1))
        axis.axhline(0.5, color="white", linewidth=0.8)
    axis.legend(fontsize=8)
    return _data_uri(_png(figure))
