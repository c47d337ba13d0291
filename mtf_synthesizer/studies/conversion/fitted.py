"""A Synthesizer fitted to the attention of a trained model, beside that model and a fresh start."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import seqio

from mtf_synthesizer import errors
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import DotProduct
from mtf_synthesizer.config.request import Configuration, Request, for_model
from mtf_synthesizer.files import paths
from mtf_synthesizer.inference import evaluate
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.training.warm_start import fit
from mtf_synthesizer.training.warm_start.begin import Begun, Start, layers_of

# Writes a model folder: its path, its configuration, and functions that were fitted.
Writer = Callable[[paths.Path, Configuration, "Mapping[str, fit.Fitted] | None"], Begun]


@dataclasses.dataclass(frozen=True)
class FitReport:
    """A fitted model.

    Attributes:
      begun: sources of the new model's variables.
      fitted: scope of a layer -> its function.
      losses: "before", "after" and "fresh" -> loss in nats a token.
      split: whose loss it is.
    """

    begun: Begun
    fitted: Mapping[str, fit.Fitted]
    losses: Mapping[str, float]
    split: str


def convert(
    model_dir: str,
    start: Start,
    configuration: Configuration,
    teacher: Configuration,
    asked: fit.FitRequest,
    write: Writer,
) -> FitReport:
    """Fit each layer without a dot product to the other model's, and measure the losses.

    Args:
      model_dir: the new folder.
      start: the other model's checkpoint.
      configuration: configuration of the new model.
      teacher: configuration of the other model with dot products in all layers of ours.
      asked: the data.
      write: makes a model folder from the start.

    Raises:
      errors.UserError: the new model has no layer to fit, or one that can't be fitted.
    """
    layers = layers_of(start, configuration)
    chosen = {scope: layer for scope, layer in layers.items() if not _is_dot_product(layer)}
    if not chosen:
        raise errors.UserError(
            "--fit: every layer of the new model has a dot product. Choose a synthesizer to fit: "
            "r, fr, toeplitz, banded or d"
        )
    with tempfile.TemporaryDirectory() as scratch:
        before, fresh = paths.of(scratch) / "before", paths.of(scratch) / "fresh"
        write(before, teacher, None)
        folder = ModelFolder.at(before)
        asked_of = Request(
            asked.task, modules=configuration.modules, tfds_data_dir=configuration.tfds_data_dir
        )
        fitted = fit.fit(folder, for_model(folder, asked_of), asked, chosen)
        write(fresh, configuration, None)
        begun = write(paths.of(model_dir), configuration, fitted)
        folders = {"before": before, "after": paths.of(model_dir), "fresh": fresh}
        split = _split(asked.task)
        losses = {
            name: _loss(folder, asked_of, split, asked, scratch) for name, folder in folders.items()
        }
    return FitReport(begun, fitted, losses, split)


def _is_dot_product(layer: SyntheticAttention) -> bool:
    return isinstance(layer.synthesizer, DotProduct)


def _split(task: str) -> str:
    splits = seqio.get_mixture_or_task(task).splits
    return "validation" if "validation" in splits else "train"


def _loss(
    folder: paths.Path, request: Request, split: str, asked: fit.FitRequest, scratch: str
) -> float:
    options = evaluate.EvaluateOptions(
        split=split,
        decode=False,
        examples=asked.examples,
        output=paths.of(scratch) / f"{folder.name}.json",
    )
    return float(evaluate.evaluate(folder, request, options)["results"][0]["loss"])


def values(report: FitReport) -> dict[str, Any]:
    """The divergence of each layer and head, and the losses, as values for JSON."""
    found = {"divergences": {s: each.divergence.tolist() for s, each in report.fitted.items()}}
    unmatched = {
        s: each.unmatched.tolist()
        for s, each in report.fitted.items()
        if each.unmatched is not None
    }
    if unmatched:
        found["divergences_before_matching"] = unmatched
    return {**found, "split": report.split, "losses": dict(report.losses)}


def described(report: FitReport, asked: fit.FitRequest) -> str:
    """The divergence of each layer and head, and the losses, as text."""
    lines = [f"KL divergence from the other model's attention, {asked.examples} examples, nats"]
    for scope, each in report.fitted.items():
        values = " ".join(f"{value:.3f}" for value in each.divergence)
        before = "" if each.unmatched is None else f", before matching {each.unmatched.mean():.3f}"
        lines.append(f"  {scope}: mean {each.divergence.mean():.3f}{before}; heads {values}")
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in report.losses.items())
    lines.append(f"loss of {asked.task}, {report.split}: {losses}")
    return "\n".join(lines)
