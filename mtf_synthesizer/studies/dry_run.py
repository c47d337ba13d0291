"""A training run that is described instead of begun: `train --dry_run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio
import tensorflow.compat.v1 as tf

from mtf_synthesizer.studies.bench import machine
from mtf_synthesizer.studies.cost import rows
from mtf_synthesizer.studies.cost.device import measure
from mtf_synthesizer.training.start import TrainingRun
from mtf_synthesizer.upstream import examples, graph, session, tasks
from mtf_synthesizer.upstream.model import Model

_EXAMPLES = 2
_SHOWN_TOKENS, _SHOWN_TEXT = 40, 200
_MIB = 2**20


def describe(run: TrainingRun, verbose: bool = False) -> str:
    """Describe a run: files, bindings, task with its first examples, model, memory and time.

    Nothing is written.

    Raises:
      errors.UserError: as `train` raises for the task, the data or the model.
    """
    with session.configured(run.configuration, verbose):
        task = run.request.task or tasks.configured_task()
        tasks.check_task(task, run.folder.path)
        tasks.check_data(task)
        model = session.build(run.folder.path)
        tasks.check_features(task, model)
        lines = [
            f"folder: {run.folder}{_state(run)}",
            *_listed("gin files", run.configuration.files),
            *_listed("bindings", run.configuration.params),
            *_of_task(task, model),
        ]
        lines += _of_model(model)
        words = max(graph.words(model.vocabulary))
    # It sets up the configuration itself.
    cost = rows.measure(task, run.configuration, model.batch_size, words, verbose)
    return "\n".join([*lines, *_of_time(cost.total.training_flops)])


def _state(run: TrainingRun) -> str:
    if not run.folder.checkpoints:
        return ", a new run"
    return f", resumes from step {run.folder.current.step}"


def _listed(title: str, values: Sequence[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"  {value}" for value in values)


def _of_task(task: str, model: Model) -> Iterator[str]:
    """Yield the first training examples, as text and as tokens."""
    lengths = ", ".join(f"{name} {n}" for name, n in model.sequence_length.items())
    yield f"task: {task}; tokens in a row: {lengths}; rows in a batch: {model.batch_size}"
    subtask = seqio.get_subtasks(seqio.get_mixture_or_task(task))[0]
    cached = tasks.trains_from_caches() and subtask.supports_caching
    first = examples.load(subtask, "train", model.sequence_length, _EXAMPLES, cached)
    for number, row in enumerate(first.rows, start=1):
        for name in first.lengths:
            text = row.get(f"{name}_pretokenized")
            if text is None:
                text = subtask.output_features[name].vocabulary.decode([*map(int, row[name])])
            yield f"  example {number}, {name}: {tf.compat.as_text(text)[:_SHOWN_TEXT]}"
            yield f"    {len(row[name])} tokens: {_tokens(row[name])}"


def _tokens(ids: np.ndarray) -> str:
    more = " ..." if len(ids) > _SHOWN_TOKENS else ""
    return " ".join(map(str, ids[:_SHOWN_TOKENS])) + more


def _of_model(model: Model) -> Iterator[str]:
    cost = measure.of_training(model)
    count = cost.parameters // _size_of(cost.variable_type)
    trained = cost.trained // _size_of(cost.variable_type)
    yield f"model: {model.model_type}, {count:,} parameters, {trained:,} trained"
    yield f"checkpoint: {_mib(cost.parameters + cost.optimizer)} with the optimizer's state"
    yield (
        f"memory of a step: about {_mib(cost.total)}: parameters {_mib(cost.parameters)}, "
        f"optimizer {_mib(cost.optimizer)}, gradients and activations {_mib(cost.peak.bytes)}"
    )


def _size_of(dtype: str) -> int:
    return int(tf.as_dtype(dtype).size)


def _mib(size: int) -> str:
    return f"{size / _MIB:,.1f} MiB"


def _of_time(flops: int) -> Iterator[str]:
    peak = machine.peak_gflops(0)
    yield (
        f"time of a step: at least {flops / (1e9 * peak):.3g} s, for {flops / 1e9:,.3g} GFLOPs at "
        f"{peak:,.0f} GFLOPs a second, the fastest matrix product of this machine"
    )
