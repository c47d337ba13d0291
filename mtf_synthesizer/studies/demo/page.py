"""The demo's page: one self-contained HTML file."""

import itertools
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtf_synthesizer.files import saving
from mtf_synthesizer.studies.demo import random_tables
from mtf_synthesizer.studies.pages import figures
from mtf_synthesizer.studies.pages import page as pages

FOLDER = "runs/demo"  # unless the user names another
_TITLES = {"v": "V (dot product)", "r": "R (random)", "rv": "R+V (mixture)"}
_COLORS = {"v": "#1f5fa8", "r": "#c8501e", "rv": "#3a8a3a"}


def write(
    path: str | os.PathLike[str],
    results: Mapping[str, Any],
    attention: Mapping[str, Mapping[str, np.ndarray]],
    samples: Sequence[Mapping[str, Any]],
) -> None:
    """Write the page.

    Args:
      path: path of the HTML file.
      results: the content of results.json.
      attention: title -> layer scope -> weights [heads, length, memory_length].
      samples: translations: source, target, and outputs (model -> text).
    """
    html = pages.render(
        "demo.html",
        _command(path),
        settings=results["settings"],
        names=", ".join(title(name) for name in results["models"]),
        minutes=round(results["seconds_of_all_steps"] / 60, 1),
        models=[_model(name, model) for name, model in results["models"].items()],
        rows=_rows(results["findings"]),
        summary=summary(results["findings"]),
        examples=", ".join(str(n) for n in sorted(results["baselines"]["examples"].values())),
        free_entropy=f"{results['baselines']['unigram_entropy_free_sentinels']:.2f}",
        curves={name: pages.data_uri(png) for name, png in _curves(results["models"]).items()},
        attention=_attention(attention),
        verse=samples[0]["source"],
        movement=movement(results["models"]),
        alphas=_alphas(results["models"]),
        alpha_range=_alpha_range(results["models"]),
        samples=[_sample(sample) for sample in samples],
        submitted=title(results["submission"]["of"]),
        replaced=_replaced(results["submission"]),
    )
    saving.write_text(path, html)


def _command(path: str | os.PathLike[str]) -> str:
    """The command that makes the page at this path."""
    folder = os.path.dirname(path)
    return "mtf_synthesizer demo" + ("" if folder == FOLDER else f" --output {shlex.quote(folder)}")


def title(name: str) -> str:
    """The name of a model on the page."""
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
        cells = [{"value": _value(finding), "holds": finding["holds"]} for finding in same]
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


def _value(finding: Mapping[str, Any]) -> str:
    error = f" ±{finding['standard_error']:.1f}" if "standard_error" in finding else ""
    return f"{finding['value']:.2f}{error}" if not error else f"{finding['value']:.1f}{error}"


def summary(findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A sentence for each model: the comparisons that it passes and fails."""
    sentences = []
    for name, of_model in findings.items():
        failed = [finding["task"] for finding in of_model if not finding["holds"]]
        if failed:
            sentences.append(f"{title(name)} does not beat the baseline of: {', '.join(failed)}.")
        else:
            sentences.append(f"{title(name)} beats all baselines.")
    return " ".join(sentences)


def movement(models: Mapping[str, Any]) -> str:
    """A sentence on the movement of the tables R, for each model that has tables."""
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
    return f"; {count} decoded texts that are not labels were replaced" if count else ""


def _curves(models: Mapping[str, Any]) -> dict[str, bytes]:
    """A picture of the loss for each kind of training; side by side where the page is wide."""
    from matplotlib.figure import Figure

    pictures = {}
    for step, name in (("pretrain", "span corruption"), ("finetune", "fine-tuning")):
        figure = Figure(figsize=(5, 3.6), layout="constrained")
        axis = figure.subplots()
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
        pictures[name] = figures.png(figure)
    return pictures


def _attention(attention: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, str]:
    """Map titles to pictures."""
    pictures = {}
    for name, layers in attention.items():
        chosen = [layer for layer in layers if layer.startswith("encoder")]
        chosen += [layer for layer in layers if layer.startswith("decoder")][:1]
        png = random_tables.heat_maps(
            {figures.scope_label(scope): layers[scope] for scope in chosen}
        )
        pictures[name] = pages.data_uri(png)
    return pictures


def _alpha_range(models: Mapping[str, Any]) -> str:
    layers = [alpha for model in models.values() for alpha in model["attention"]["alphas"].values()]
    random = [head[0] for alpha in layers for head in alpha]
    return f"{min(random):.2f} and {max(random):.2f}" if random else ""


def _alphas(models: Mapping[str, Any]) -> str | None:
    """Bars of α for each layer and head of the mixture; None without a mixture.

    The encoder's layers stand above the decoder's.
    """
    from matplotlib.figure import Figure

    by_model = {name: model["attention"]["alphas"] for name, model in models.items()}
    layers = next((alphas for alphas in by_model.values() if alphas), None)
    if not layers:
        return None
    stacks: dict[str, list[str]] = {}
    for layer in sorted(layers, key=lambda layer: (not layer.startswith("encoder"), layer)):
        stacks.setdefault(layer.partition("/")[0], []).append(layer)
    columns = max(map(len, stacks.values()))
    figure = Figure(figsize=(2.6 * columns, 2.1 * len(stacks) + 0.3), layout="constrained")
    grid = figure.subplots(len(stacks), columns, squeeze=False, sharey=True)
    for axes, of_stack in zip(grid, stacks.values(), strict=True):
        for axis, layer in itertools.zip_longest(axes, of_stack):
            if layer is None:
                axis.set_axis_off()
            else:
                _draw_alpha(axis, layers[layer], figures.scope_label(layer))
    handles = grid[0][0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=2)
    return pages.data_uri(figures.png(figure))


def _draw_alpha(axis: Any, alpha: Any, label: str) -> None:
    """Draw a bar for each head of a layer."""
    random = np.asarray(alpha)[:, 0]
    heads = np.arange(1, len(random) + 1)
    axis.bar(heads, random, color=_COLORS["r"], label="R")
    axis.bar(heads, 1 - random, bottom=random, color=_COLORS["v"], label="V")
    axis.set(title=label, xlabel="head", xticks=heads, ylim=(0, 1))
    axis.axhline(0.5, color="white", linewidth=0.8)
