"""Decode the test sets of a whole benchmark, each test set once."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import seqio
import tensorflow_datasets as tfds

from mtf_synthesizer import errors
from mtf_synthesizer.config import digests
from mtf_synthesizer.config.request import Request, for_model
from mtf_synthesizer.files import locks, paths, saving
from mtf_synthesizer.files.records import parse
from mtf_synthesizer.inference import cut_inputs, predict, unknown
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.submissions.layout import Benchmark, File
from mtf_synthesizer.upstream import data_folder, session
from mtf_synthesizer.upstream.examples import ExampleSet, example_sets
from mtf_synthesizer.upstream.tasks import check_task

SETTINGS = "settings.json"


def predict_benchmark(
    model_dir: str | os.PathLike[str] | ModelFolder,
    request: Request,
    benchmark: Benchmark,
    options: predict.PredictOptions,
    tasks: Sequence[str] = (),
) -> dict[str, Any]:
    """Decode a split of every task of a benchmark.

    Each finished task is written to output/<task>.jsonl, as `predict` writes it. Another call
    decodes the tasks that have no file yet. output/settings.json records the settings.

    Args:
      model_dir: folder of the model.
      request: changes to the configuration; its task is ignored.
      benchmark: the benchmark.
      options: options of `predict`; output is a folder.
      tasks: names of tasks, or of the benchmark's files, to decode; empty for all.

    Returns:
      model_dir, step, output, examples (the number of examples that this call decoded), cut and
      unknown (of these examples, as in `predict.predict`).

    Raises:
      errors.UserError: a name, file, binding, split or checkpoint is wrong, data of a task is
        missing, or the folder holds predictions of another checkpoint or of other settings.
    """
    saving.check_folder(options.output)
    model = ModelFolder.at(model_dir)
    configuration = for_model(model, request)
    chosen = predict.chosen_checkpoint(model, options.checkpoint)
    folder = paths.of(options.output)
    settings = _settings(benchmark, request, options, chosen)
    decoded, count, shortened = 0, unknown.Unknown(), list[int]()
    with locks.hold_output(folder), session.configured(configuration, options.verbose):
        _check_settings(folder, settings)
        left = _without_predictions(folder, benchmark.tasks(tasks))
        _check_data(left, options.split)
        trained = session.build(model.path)
        size = request.batch_size or trained.batch_size
        saving.write_json(folder / SETTINGS, settings)
        for task in left:
            (example_set,) = example_sets(task, options.split, trained, options.examples)
            _check_identity(example_set, benchmark.file(task))
            count += unknown.of_examples(example_set)
            shortened += cut_inputs.of_examples(example_set, trained.sequence_length["inputs"])
            records = predict.example_records(model, example_set, trained, size, chosen, options)
            decoding.write_lines(_path(folder, task), records)
            decoded += len(records)
    return {
        "model_dir": str(model),
        "step": chosen.step,
        "output": str(options.output),
        "examples": decoded,
        "cut": shortened,
        "unknown": count,
    }


def _settings(
    benchmark: Benchmark,
    request: Request,
    options: predict.PredictOptions,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    """Return the settings that predictions depend on."""
    settings = {
        "benchmark": benchmark.name,
        "step": checkpoint.step,
        "checkpoint": checkpoint.fingerprint,
        "split": options.split,
        "examples": options.examples,
        "gin_files": [str(file) for file in request.gin_files],
        "gin_params": list(request.gin_params),
    }
    if options.are_hypotheses:
        settings |= {"sequences": options.sequences, "seed": options.seed}
    found = digests.of_files(map(str, request.gin_files), request.gin_params)
    if any(found):  # a user's file is identified by its content
        settings["gin_file_sha256"] = found
    return settings


def _path(folder: paths.Path, task: str) -> paths.Path:
    return folder / f"{task}.jsonl"


def _without_predictions(folder: paths.Path, tasks: Iterable[str]) -> list[str]:
    """Return the tasks that are left to decode; print the tasks whose files are kept."""
    left = []
    for task in tasks:
        if _path(folder, task).exists():
            print(f"{task}: skipped, {_path(folder, task)} exists", flush=True)
        else:
            left.append(task)
    return left


def _check_settings(folder: paths.Path, settings: dict[str, Any]) -> None:
    """Raise a UserError if the folder holds predictions of other settings."""
    path = folder / SETTINGS
    if not paths.matching(folder, "*.jsonl"):
        return
    try:
        recorded = parse(path.read_text("utf-8"))
        changed = [
            f"{name} {recorded.get(name)}"
            for name in settings
            if recorded.get(name) != settings[name]
        ]
    except (OSError, ValueError, AttributeError) as error:
        raise errors.UserError(
            f"--output {folder}: the folder holds .jsonl files without a readable {SETTINGS} "
            f"({error}). Choose another folder"
        ) from error
    if changed:
        raise errors.UserError(
            f"--output {folder}: the folder holds predictions of other settings: "
            f"{', '.join(changed)}. Choose another folder, or the same settings"
        )


def _check_data(tasks: Iterable[str], split: str) -> None:
    """Raise a UserError that names every task whose split is missing in --tfds_data_dir.

    Without the flag nothing is checked, because tensorflow_datasets downloads missing data.
    """
    lacking = []
    for task in tasks:
        check_task(task)
        source = seqio.TaskRegistry.get(task).source
        if isinstance(source, seqio.TfdsDataSource) and not _is_there(source.tfds_dataset, split):
            lacking.append(f"{task} ({source.tfds_dataset.name})")
    if lacking:
        count = "1 task" if len(lacking) == 1 else f"{len(lacking)} tasks"
        raise errors.UserError(
            f"--tfds_data_dir lacks the split {split!r} of {count}: {', '.join(lacking)}. Add it "
            "with `mtf_synthesizer data prepare`, or choose other tasks with --tasks"
        )


def _is_there(loader: seqio.utils.LazyTfdsLoader, split: str) -> bool:
    if loader.data_dir is None:
        return True
    directory = data_folder.prepared(loader.data_dir, loader.name)
    return directory is not None and split in tfds.builder_from_directory(directory).info.splits


def _check_identity(example_set: ExampleSet, file: File) -> None:
    """Print the number of examples; raise a UserError if examples lack identifying fields.

    T5's tasks keep the identities of the official files, under names that `file` knows. The index
    in the split can't replace them, because its order may differ from the official order.
    """
    fields = (file.identities.field, *file.identities.parents)
    lacking = [field for field in fields if any(field not in row for row in example_set.rows)]
    if lacking:
        raise errors.UserError(
            f"--tasks {example_set.task.name}: its examples lack {', '.join(lacking)}, which "
            f"identifies the official examples of {file.name}. Leave this task out with --tasks"
        )
    count, expected = len(example_set.rows), file.identities.count
    official = "" if count == expected else f" (the official test set has {expected})"
    print(f"{example_set.task.name}: {count} examples{official} ...", flush=True)
