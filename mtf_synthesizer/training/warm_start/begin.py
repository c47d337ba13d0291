"""Warm starts: model folders whose variables come from another model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.files import new_folder, paths, saving
from mtf_synthesizer.model_folder import own_data
from mtf_synthesizer.model_folder import vocabulary as vocabulary_record
from mtf_synthesizer.model_folder.checkpoints import OPERATIVE_CONFIG, Checkpoint
from mtf_synthesizer.training.warm_start import functions, huggingface, plan
from mtf_synthesizer.training.warm_start.fit import Fitted
from mtf_synthesizer.upstream import graph, tasks
from mtf_synthesizer.upstream.graph import bound
from mtf_synthesizer.upstream.session import configured

RECORD = "warm_start.json"
Start: TypeAlias = Checkpoint | huggingface.Start
# Decides from the variables of the checkpoint and of the model.
Planner: TypeAlias = (
    "Callable[[Mapping[str, plan.Shape], Mapping[str, plan.Dims]], plan.WarmStartPlan]"
)
_DIVISOR = 128  # Mesh rounds vocabularies up to a multiple


@dataclasses.dataclass(frozen=True)
class BeginOptions:
    """Options of a warm start.

    Attributes:
      share: α of V in a mixture; None for `plan.SHARE_OF_V`.
      chooses_vocabulary: whether to record the vocabulary of the configuration in the folder.
      seed: seed of initial values.
      verbose: whether T5, Mesh and TensorFlow log.
    """

    share: float | None = None
    chooses_vocabulary: bool = False
    seed: int = 0
    verbose: bool = False


DEFAULTS = BeginOptions()


@dataclasses.dataclass(frozen=True)
class Begun:
    """A new model and its origin.

    Attributes:
      start: checkpoint that the model starts from.
      plan: source of every variable.
      share: α of V; None if the model has no new α.
      vocabulary: description of the vocabulary; empty if unknown.
    """

    start: Start
    plan: plan.WarmStartPlan
    share: float | None
    vocabulary: str


def begin(
    model_dir: str | os.PathLike[str],
    start: Start,
    configuration: Configuration,
    options: BeginOptions = DEFAULTS,
    *,
    fitted: Mapping[str, Fitted] | None = None,
    planner: Planner | None = None,
) -> Begun:
    """Make a folder with a checkpoint of a model, its configuration and its vocabulary.

    The checkpoint keeps the step of `start`. The variables of the optimizer are zero, so training
    can resume in the folder. The folder is written under a temporary name and renamed when it is
    complete.

    Args:
      model_dir: the new folder.
      start: checkpoint of the other model, or a model of transformers.
      configuration: configuration of the new model.
      options: α of V, vocabulary, seed and logs.
      fitted: scope of a layer -> its function, fitted.
      planner: decides about the variables, instead of `plan.make`.

    Raises:
      errors.UserError: the checkpoint does not fit the model, the vocabulary does not fit the
        checkpoint, or the folder is not empty.
    """
    new_folder.check("--model_dir", model_dir)
    with new_folder.create(model_dir) as folder:
        with configured(configuration, options.verbose), tf.Graph().as_default():
            vocabulary = _remember_vocabulary(folder, start, options.chooses_vocabulary)
            tf.set_random_seed(options.seed)
            reader = reader_of(start)
            model, variables = _built(reader)
            if planner is None:
                own = {scope: function.variables for scope, function in (fitted or {}).items()}
                layers = dict(_layers(model))
                begun = _decided(start, reader, layers, variables, options.share, vocabulary, own)
            else:
                begun = Begun(start, planner(_shapes(reader), variables), None, vocabulary)
            _save(folder, reader, begun)
            saving.write_text(folder / OPERATIVE_CONFIG, gin.config_str())
        if configuration.own_data:
            own_data.write(folder, configuration.own_data)
        record = {"package_version": __version__, **summary(begun)}
        saving.write_json(folder / RECORD, record)
    return begun


def reader_of(start: Start) -> Any:
    """Return the reader of a checkpoint's variables."""
    if isinstance(start, huggingface.Start):
        return start.reader()
    return tf.train.load_checkpoint(start.path)


def _shapes(reader: Any) -> dict[str, plan.Shape]:
    return {name: tuple(s) for name, s in sorted(reader.get_variable_to_shape_map().items())}


def _built(reader: Any) -> tuple[graph.Model, dict[str, plan.Dims]]:
    """Build the configured model with an optimizer; return the model and its variables."""
    tf.train.get_or_create_global_step()
    kind = bound("run.model_type", "bitransformer")
    model = graph.build(kind, _vocabulary_sizes(_shapes(reader)))
    mesh = mtf.Mesh(mtf.Graph(), "start")
    tokens = np.ones((1, 2), np.int32)
    graph.call(model, mesh, {"inputs": tokens, "targets": tokens}, kind)
    variables = {v.name: tuple((d.name, d.size) for d in v.shape.dims) for v in _all(mesh)}
    _make_slots(mesh)
    return model, variables


def _all(mesh: mtf.Mesh) -> list[mtf.Variable]:
    variables: list[mtf.Variable] = mesh.graph.all_variables
    return variables


def _make_slots(mesh: mtf.Mesh) -> None:
    """Make the variables of the configured optimizer."""
    optimizer = bound("run.optimizer", None)
    trained = mesh.graph.trainable_variables
    optimizer(learning_rate=0.0).apply_grads([mtf.zeros(mesh, v.shape) for v in trained], trained)


def vocabulary_sizes(start: Start) -> int:
    """Return the number of words of a checkpoint's targets."""
    return _vocabulary_sizes(_shapes(reader_of(start)))[1]


def _vocabulary_sizes(saved: Mapping[str, plan.Shape]) -> tuple[int, int]:
    """Return the vocabulary sizes of inputs and targets in a checkpoint.

    Raises:
      errors.UserError: the checkpoint has no embedding.
    """
    # Stack ("shared" for a shared embedding) -> rows; separate embeddings may differ in size.
    read = {
        name.partition("/")[0]: shape[-2]
        for name, shape in saved.items()
        if name.endswith("/embedding")
    }
    if not read:
        raise errors.UserError(
            f"the checkpoint has no embedding; it has {', '.join(list(saved)[:3])} ... Give a "
            "checkpoint of a T5 model of Mesh-TensorFlow"
        )
    written = [shape[-1] for name, shape in saved.items() if name.endswith("/logits/kernel")]
    (any_words, *_) = read.values()
    targets = written[0] if written else read.get("decoder", any_words)
    return read.get("encoder", any_words), targets


def _decided(
    start: Start,
    reader: Any,
    layers: Mapping[str, SyntheticAttention],
    variables: Mapping[str, plan.Dims],
    share: float | None,
    vocabulary: str,
    fitted: Mapping[str, Mapping[str, np.ndarray]],
) -> Begun:
    share_of_v = share if share is not None else plan.SHARE_OF_V
    beginnings = [
        functions.beginning(scope, layer, share_of_v, fitted.get(scope))
        for scope, layer in layers.items()
    ]
    if not beginnings and isinstance(start, Checkpoint):
        raise errors.UserError(
            f"--init_checkpoint {start.path}: its model has T5's own layers. Give --synthesizer "
            "and --size of "
            "the new model"
        )
    checkpoint_plan = plan.make(start.path, _shapes(reader), variables, beginnings)
    has_choice = any(entry.description.startswith("new, α") for entry in checkpoint_plan.entries)
    if share is not None and not has_choice:
        raise errors.UserError(
            f"--alpha_v {share}: this model has no new α. Leave it out, or choose a mixture with "
            "V, for example rv or rdv, and a checkpoint without a mixture"
        )
    return Begun(start, checkpoint_plan, share_of_v if has_choice else None, vocabulary)


def layers_of(start: Start, configuration: Configuration) -> dict[str, SyntheticAttention]:
    """Return the attention layers of a configured model, by their variable scopes."""
    with configured(configuration, False), tf.Graph().as_default():
        tasks.check_task(tasks.configured_task())  # the task determines the vocabulary
        kind = bound("run.model_type", "bitransformer")
        model = graph.build(kind, _vocabulary_sizes(_shapes(reader_of(start))))
        return dict(_layers(model))


def _layers(model: graph.Model) -> Iterator[tuple[str, SyntheticAttention]]:
    """Yield variable scope and layer of every `SyntheticAttention`."""
    for stack in graph.stacks(model):
        for layer in stack.layer_stack.layers:
            if isinstance(layer, SyntheticAttention):
                yield f"{stack.name}/{layer.name}/{type(layer).__name__}", layer


def _save(folder: paths.Path, reader: Any, begun: Begun) -> None:
    """Write the checkpoint by the plan, with initial values of the optimizer."""
    entries = {entry.name: entry for entry in begun.plan.entries}
    step = tf.train.get_global_step()
    fed = {}
    for variable in tf.global_variables():
        value = _value(entries.get(variable.op.name), reader)
        if variable is step:
            value = np.asarray(begun.start.step)
        if value is not None:
            fed[variable.initial_value] = value.astype(variable.dtype.base_dtype.as_numpy_dtype)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer(), fed)
        saver = tf.train.Saver(tf.global_variables(), sharded=True, save_relative_paths=True)
        saver.save(session, str(folder / "model.ckpt"), global_step=step, write_meta_graph=False)


def _value(entry: plan.Entry | None, reader: Any) -> np.ndarray | None:
    """Return the value of a variable; None to keep its initial value."""
    if entry is None or entry.change is None:
        return None
    if entry.source is None:
        return entry.change(np.zeros(entry.shape, np.float32))
    return entry.change(np.asarray(reader.get_tensor(entry.source), np.float32))


def _remember_vocabulary(folder: paths.Path, start: Start, chosen: bool) -> str:
    """Record the vocabulary of the other model, or the chosen vocabulary; return its description.

    Raises:
      errors.UserError: the task has another vocabulary, or it does not fit the embedding.
    """
    task = tasks.configured_task()
    before = paths.of(start.path).parent
    tasks.check_task(task, before)
    if vocabulary_record.read(before) is not None:
        tasks.check_vocabulary(task, before)
        for name in (vocabulary_record.RECORD, vocabulary_record.COPY):
            if (before / name).exists():
                saving.write_bytes(folder / name, (before / name).read_bytes())
    elif chosen:
        vocabulary_record.remember(folder, tasks.used_vocabulary(task))
    record = vocabulary_record.read(folder)
    if record is None:
        return f"that of the task {task}" if tasks.has_own_vocabulary(task) else ""
    _check_sizes(record, start)
    return vocabulary_record.shown(record)


def _check_sizes(record: Mapping[str, Any], start: Start) -> None:
    sizes = _vocabulary_sizes(_shapes(reader_of(start)))
    for feature, rows in zip(vocabulary_record.FEATURES, sizes, strict=True):
        words = record[feature]["size"]
        if words is not None and -(-words // _DIVISOR) * _DIVISOR != rows:
            raise errors.UserError(
                f"the vocabulary of the {feature} has {words} pieces, which Mesh rounds up to a "
                f"multiple of {_DIVISOR}, but {start.path} has {rows} rows. Give the vocabulary of "
                "its training with --vocabulary"
            )


def summary(begun: Begun) -> Mapping[str, object]:
    """Return the record of the start for the new folder."""
    return {
        "from": begun.start.path,
        "step": begun.start.step,
        "fingerprint": begun.start.fingerprint,
        "alpha_v": begun.share,
        "variables": {entry.name: entry.description for entry in begun.plan.entries},
        "dropped": sorted(begun.plan.dropped),
    }
