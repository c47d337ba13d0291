"""The demo: pretrain, fine-tune, evaluate, predict and report, in steps that can be resumed."""

import dataclasses
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from mtf_synthesizer.config import digests, gin_files
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.inference import evaluate
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies.demo import findings, page, random_tables
from mtf_synthesizer.studies.steps import Steps, check_settings
from mtf_synthesizer.submissions import archive, prediction_files
from mtf_synthesizer.submissions import embedded as embedded_submission
from mtf_synthesizer.tasks import embedded, pretraining, verses_vocabulary
from mtf_synthesizer.training import train
from mtf_synthesizer.upstream import probe

ATTENTION = "attention.npz"
PREDICTIONS = "predictions.jsonl"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of the demo; the other settings are in gin/runs/demo_*.gin.

    Attributes:
      synthesizers: names of gin/synthesizers, trained one after the other on the same examples.
      size: a name of gin/sizes.
      pretrain_steps, finetune_steps: steps of each model.
      pretrain_lengths: tokens of a row; the targets' length follows from span corruption.
      pretrain_rows: rows of the test split that measure the pretraining loss.
      examples: maximum number of test examples of each task; None for all.
      seed: seed of initial values and of the order of examples.
      submitted: the synthesizer whose predictions become submission.zip; chosen beforehand.
    """

    synthesizers: tuple[str, ...] = ("v", "r", "rv")
    size: str = "mini"
    pretrain_steps: int = 80
    finetune_steps: int = 800
    pretrain_lengths: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {"inputs": 64, "targets": 14}
    )
    pretrain_rows: int = 512
    examples: int | None = 600
    seed: int = 0
    submitted: str = "rv"


def run_demo(
    output: str | os.PathLike[str] = page.FOLDER, settings: Settings | None = None
) -> dict[str, Any]:
    """Train and compare V, R and R+V on the embedded benchmark.

    Args:
      output: folder of all files that the demo writes: results.json, submission.zip, index.html,
        and one folder for each model.
      settings: settings of the demo.

    Returns:
      The content of results.json.

    Raises:
      errors.UserError: the folder holds a demo with other settings.
    """
    settings = settings or Settings()
    folder = paths.of(output)
    # The demo has its own vocabulary, unless the user has chosen a folder for vocabularies.
    os.environ.setdefault(verses_vocabulary.CACHE_VARIABLE, str((folder / "vocabulary").resolve()))
    steps = Steps(folder / "steps")
    check_settings(folder, dataclasses.asdict(settings) | {"gin_files": _digest(settings)})
    began = time.monotonic()
    models = {}
    for synthesizer in settings.synthesizers:
        models[synthesizer] = _model(steps, folder / synthesizer, synthesizer, settings)
    baselines = steps.run(
        "baselines",
        lambda: findings.baselines(
            settings.pretrain_rows, settings.pretrain_lengths, settings.examples
        ),
    )
    results = {
        "settings": dataclasses.asdict(settings),
        "baselines": baselines,
        "models": models,
        "findings": findings.of_models(models, baselines),
        "submission": _submit(folder, settings),
        "seconds_of_this_run": round(time.monotonic() - began),
        "seconds_of_all_steps": _seconds(models) + baselines["seconds"],
    }
    saving.write_json(folder / "results.json", results)
    page.write(folder / "index.html", results, _pictured(folder), _samples(folder, settings))
    print(page.table(results))
    print(f"\n{folder}/index.html, {folder}/results.json, {folder}/submission.zip")
    return results


def _digest(settings: Settings) -> str:
    """A digest of what the gin files of the demo bind."""
    runs = [gin_files.gin_file("runs", run) for run in ("demo_pretrain", "demo_finetune")]
    rows = [gin_files.gin_file("synthesizers", row) for row in settings.synthesizers]
    size = gin_files.gin_file("sizes", settings.size)
    return digests.of_statements([size, *rows, *runs, "local_cpu.gin"])


def _model(
    steps: Steps, folder: paths.Path, synthesizer: str, settings: Settings
) -> dict[str, Any]:
    """Train and evaluate one model; return all its results."""
    pretrained, finetuned = folder / "pretrain", folder / "finetune"
    return {
        "pretrain": steps.run(
            f"{synthesizer}_pretrain",
            lambda: train.train(
                pretrained,
                Request(
                    pretraining.SPANS,
                    synthesizer=synthesizer,
                    size=settings.size,
                    run="demo_pretrain",
                    steps=settings.pretrain_steps,
                    gin_params=[
                        f"{name}_length = {n}" for name, n in settings.pretrain_lengths.items()
                    ],
                    seed=settings.seed,
                ),
                train.TrainOptions(attention_summaries=False),
            ),
        ),
        "pretrain_evaluation": steps.run(
            f"{synthesizer}_pretrain_evaluation",
            lambda: evaluate.evaluate(
                pretrained,
                Request(pretraining.SPANS),
                evaluate.EvaluateOptions(
                    split="test", decode=False, examples=settings.pretrain_rows
                ),
            ),
        ),
        "finetune": steps.run(
            f"{synthesizer}_finetune",
            lambda: train.train(
                finetuned,
                Request(
                    embedded.VERSES,
                    synthesizer=synthesizer,
                    size=settings.size,
                    run="demo_finetune",
                    steps=settings.finetune_steps,
                    init_checkpoint=pretrained,
                    seed=settings.seed,
                ),
                train.TrainOptions(attention_summaries=False),
            ),
        ),
        "evaluation": steps.run(
            f"{synthesizer}_evaluation",
            lambda: evaluate.evaluate(
                finetuned,
                Request(embedded.VERSES, batch_size=128),
                evaluate.EvaluateOptions(
                    split="test",
                    teacher_forced=False,
                    examples=settings.examples,
                    predictions=folder / PREDICTIONS,
                ),
            ),
        ),
        "attention": steps.run(
            f"{synthesizer}_attention", lambda: _attention(folder, pretrained, finetuned)
        ),
    }


def _attention(folder: paths.Path, pretrained: paths.Path, finetuned: paths.Path) -> dict[str, Any]:
    """Save the attention on one verse; return the movement of R, and α."""
    weights = probe.record_attention(
        finetuned, Request(findings.MODERN_ENGLISH), split="test", examples=1
    )
    # One example: V's maps lose their batch dimension, R's never had one.
    of_verse = {layer: w[0] if w.ndim == 4 else w for layer, w in weights.items()}
    random_tables.save(folder / ATTENTION, of_verse)
    start, end = _first_and_last(pretrained, finetuned)
    lengths = {layer: w.shape[-1] for layer, w in weights.items()}
    alphas = train.alphas(finetuned)
    return {
        "alphas": {layer: alpha.tolist() for layer, alpha in alphas.items()},
        "movement": random_tables.movement(start, end, lengths),
    }


def _first_and_last(pretrained: paths.Path, finetuned: paths.Path) -> tuple[str, str]:
    """The checkpoint before the first step of pretraining, and the last of fine-tuning."""
    return (
        ModelFolder.at(pretrained).choose(0)[0].path,
        ModelFolder.at(finetuned).latest.path,
    )


def _pictured(folder: paths.Path) -> dict[str, dict[str, np.ndarray]]:
    """Pictures of the page: V's attention on a verse, and R's tables before and after."""
    dot_product = random_tables.load(folder / "v" / ATTENTION)
    start, end = _first_and_last(folder / "r" / "pretrain", folder / "r" / "finetune")
    lengths = {layer: weights.shape[-1] for layer, weights in dot_product.items()}
    return {
        "V": dot_product,
        "R at the start": random_tables.random_attention(start, lengths),
        "R trained": random_tables.random_attention(end, lengths),
    }


def _samples(folder: paths.Path, settings: Settings, count: int = 5) -> list[dict[str, Any]]:
    """The first translations of each model."""
    task = findings.MODERN_ENGLISH
    outputs = {
        name: [
            prediction.fields["output"]
            for prediction in prediction_files.read([folder / name / PREDICTIONS])
            if prediction.fields["task"] == task
        ]
        for name in settings.synthesizers
    }
    examples = embedded.TASKS[task][0]("test")[: min(count, settings.examples or count)]
    return [
        {
            "source": example.inputs.removeprefix("modern: "),
            "target": example.targets,
            "outputs": {name: texts[i] for name, texts in outputs.items()},
        }
        for i, example in enumerate(examples)
    ]


def _submit(folder: paths.Path, settings: Settings) -> dict[str, Any]:
    """Write a zip for each model; the zip of `settings.submitted` is the demo's."""
    counts = {
        task: min(len(examples("test")), settings.examples or 10**9)
        for task, (examples, _) in embedded.TASKS.items()
    }
    replaced = {}
    for synthesizer in settings.synthesizers:
        written = archive.write(
            folder / synthesizer / "submission.zip",
            prediction_files.read([folder / synthesizer / PREDICTIONS]),
            embedded_submission.embedded(counts),
            # A model that was trained for minutes may decode a text that is not a label.
            invalid=[f"{task}={label}" for task, label in findings.FALLBACK_LABELS.items()],
            overwrite=True,  # with the same content, if the demo is run again
        )
        replaced[synthesizer] = {file.task: file.replaced for file in written.files}
    chosen = folder / settings.submitted / "submission.zip"
    saving.write_bytes(folder / "submission.zip", chosen.read_bytes())
    return {"of": settings.submitted, "replaced": replaced}


def _seconds(models: dict[str, Any]) -> float:
    return round(sum(step["seconds"] for model in models.values() for step in model.values()))
