"""A trained R+V with heads of R and heads of V, and what that costs and saves."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from collections.abc import Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

from mtf_synthesizer.attention.cost import Cost
from mtf_synthesizer.config.request import Configuration, Request, for_model
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.files import paths
from mtf_synthesizer.inference import evaluate
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies.cost import rows
from mtf_synthesizer.training.warm_start import begin, prune


@dataclasses.dataclass(frozen=True)
class PruneReport:
    """A pruned model.

    Attributes:
      begun: sources of the new model's variables.
      layers: scope of a layer -> its heads.
      costs: "before" and "after" -> cost of one row.
      losses: "before" and "after" -> loss in nats a token, mean over the tasks.
    """

    begun: begin.Begun
    layers: Mapping[str, prune.PrunedLayer]
    costs: Mapping[str, Cost]
    losses: Mapping[str, float]


def convert(model_dir: str, start: Checkpoint, request: Request, examples: int) -> PruneReport:
    """Write the pruned model, and measure both.

    Args:
      model_dir: the new folder.
      start: the checkpoint of a trained R+V in its folder.
      request: the task of the losses, and changes to the configuration.
      examples: number of examples of each task's validation split.

    Raises:
      errors.UserError: the model is not an R+V, or the new folder is not empty.
    """
    folder = ModelFolder(paths.of(start.path).parent)
    before = for_model(folder, request)
    pruned = prune.layers(begin.reader_of(start), begin.layers_of(start, before))
    text = prune.bindings(pruned, BoundValues(before.files, before.params))
    after = dataclasses.replace(before, params=(*before.params, text))
    begun = begin.begin(
        model_dir,
        start,
        after,
        planner=lambda saved, built: prune.plan(start.path, saved, built, pruned),
    )
    words = begin.vocabulary_sizes(start)
    with tempfile.TemporaryDirectory() as scratch:
        losses = {
            name: _loss(folder, request, examples, paths.of(scratch) / f"{name}.json", step)
            for name, folder, step in (
                ("before", folder.path, start.step),
                ("after", paths.of(model_dir), start.step),
            )
        }
    costs = {
        name: _cost(configuration, words)
        for name, configuration in (("before", before), ("after", after))
    }
    return PruneReport(begun, pruned, costs, losses)


def _loss(
    folder: paths.Path, request: Request, examples: int, output: paths.Path, step: int
) -> float:
    options = evaluate.EvaluateOptions(
        checkpoints=step, decode=False, examples=examples, output=output
    )
    results = evaluate.evaluate(folder, request, options)["results"]
    return statistics.fmean(float(row["loss"]) for row in results)


def _cost(configuration: Configuration, words: int) -> Cost:
    return rows.measure("", configuration, 1, words).total


def values(report: PruneReport) -> dict[str, Any]:
    """The heads of each layer, and parameters, FLOPs and loss before and after, for JSON."""
    heads = {
        scope: {
            "of_r": layer.of_r.tolist(),
            "of_v": layer.of_v.tolist(),
            "alpha": layer.alpha.tolist(),
        }
        for scope, layer in report.layers.items()
    }
    costs = {
        name: {"parameters": cost.parameters, "forward_flops": cost.forward_flops}
        for name, cost in report.costs.items()
    }
    return {"heads": heads, "costs": costs, "losses": dict(report.losses)}


def described(report: PruneReport) -> str:
    """The heads of each layer, and parameters, FLOPs and loss before and after, as text."""
    lines = []
    for scope, layer in report.layers.items():
        alphas = " ".join(f"{alpha:.2f}" for alpha in layer.alpha[:, 0])
        lines.append(
            f"{scope}: R in {len(layer.of_r)} heads, V in {len(layer.of_v)}; α of R {alphas}"
        )
    before, after = report.costs["before"], report.costs["after"]
    lines.append(f"parameters: before {before.parameters:,}, after {after.parameters:,}")
    lines.append(
        f"forward FLOPs of a row: before {before.forward_flops:,}, after {after.forward_flops:,}"
    )
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in report.losses.items())
    lines.append(f"loss, validation: {losses}")
    return "\n".join(lines)
