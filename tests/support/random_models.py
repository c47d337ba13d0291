"""Folders of models whose variables are all random, and what the models compute."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import numpy as np
import runner_tasks
import seqio
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, utils

from mtf_synthesizer.config import request
from mtf_synthesizer.files import saving
from mtf_synthesizer.model_folder import checkpoints
from mtf_synthesizer.model_folder import vocabulary as vocabulary_record
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import graph, session, tasks
from mtf_synthesizer.upstream import vocabulary as vocabularies

PAIRS = "synthesizer_random_pairs"
TEXT = "synthesizer_random_text"

# Prime sizes, so that no two axes can be taken for each other; the vocabulary is bytes.
SMALLEST = (
    "d_model = 14",
    "d_kv = 5",
    "d_ff = 11",
    "num_heads = 3",
    "num_layers = 2",
    "max_length = 12",
    "inputs_length = 11",
    "targets_length = 9",
)
_STEP = 7

for _name, _source, _features in (
    (PAIRS, runner_tasks.pairs, ("inputs", "targets")),
    (TEXT, runner_tasks.text, ("targets",)),
):
    seqio.TaskRegistry.add(
        _name,
        seqio.FunctionDataSource(_source, splits=("train", "validation")),
        preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim],
        output_features=vocabularies.output_features(*_features),
    )


def make(
    folder: pathlib.Path,
    task: str,
    synthesizer: str | None,
    params: Sequence[str] = (),
    *,
    size: str = "tiny",
    vocabulary: str = "bytes",
    seed: int = 0,
) -> None:
    """Write a checkpoint of a configuration, its configuration and its vocabulary.

    Args:
      folder: of the model.
      task: one of this module's.
      synthesizer: as --synthesizer or --synthesizer_layers, then gin files that go with it,
        divided by spaces; None for T5's own layers.
      params: gin bindings beside `SMALLEST`.
      size: as --size.
      vocabulary: as --vocabulary.
      seed: of the values.
    """
    name, *files = (synthesizer or "").split(" ")
    tables = [] if synthesizer is None else [p for p in SMALLEST if p.startswith("max_length")]
    sizes = [p for p in SMALLEST if not p.startswith("max_length")]
    wanted = request.requested(
        request.Request(
            task=task,
            synthesizer=name or None,
            size=size,
            run="finetune",
            gin_files=files if synthesizer else [request.EXACT_FILE],
            gin_params=[*sizes, *tables, *params],
            modules=("random_models",),
            vocabulary=vocabulary,
        )
    )
    folder.mkdir(parents=True)
    with session.configured(wanted, False), tf.Graph().as_default(), tf.Session() as running:
        step = tf.train.get_or_create_global_step()
        vocabulary_record.remember(folder, tasks.used_vocabulary(tasks.configured_task()))
        mesh = mtf.Mesh(mtf.Graph(), "random")
        trained = session.build(folder)
        model = graph.build(trained.model_type, graph.words(trained.vocabulary))
        ids = np.ones((1, 2), np.int32)
        graph.call(model, mesh, {"inputs": ids, "targets": ids}, trained.model_type)
        draw = np.random.RandomState(seed)
        fed = {v.initial_value: _value(v, draw) for v in tf.global_variables() if v is not step}
        running.run(tf.global_variables_initializer(), {**fed, step.initial_value: _STEP})
        saver = tf.train.Saver(tf.global_variables(), sharded=True)
        saver.save(running, str(folder / "model.ckpt"), step, write_meta_graph=False)
        saving.write_text(folder / checkpoints.OPERATIVE_CONFIG, gin.config_str())


def _value(variable: tf.Variable, draw: np.random.RandomState) -> np.ndarray:
    """Large enough that every variable changes what is written."""
    shape = variable.shape.as_list()
    if variable.op.name.endswith("/scale"):
        return draw.normal(1, 0.3, shape)
    return draw.normal(0, 1 if variable.op.name.endswith("embedding") else 0.3, shape)


def computed(
    folder: pathlib.Path, features: Mapping[str, np.ndarray], steps: int
) -> dict[str, np.ndarray]:
    """Logits of targets, and the tokens that the model writes.

    Args:
      folder: of the model.
      features: int [batch, length]: targets, and inputs, which a language model continues.
      steps: the most tokens to write.

    Returns:
      logits [batch, length, words] and written [batch, steps].
    """
    latest = ModelFolder.at(folder).latest
    wanted = request.for_model(ModelFolder.at(folder), request.Request(modules=("random_models",)))
    with session.configured(wanted, False), tf.Graph().as_default(), tf.Session() as running:
        mesh = mtf.Mesh(mtf.Graph(), "random")
        trained = session.build(folder)
        model = graph.build(trained.model_type, graph.words(trained.vocabulary))
        tensors = {name: _imported(mesh, ids) for name, ids in features.items()}
        targets = tensors["targets"]
        is_pair = isinstance(model, transformer.Bitransformer)
        logits, _ = model.call_simple(
            inputs=tensors["inputs"] if is_pair else transformer.autoregressive_inputs(targets),
            targets=targets,
            compute_loss=False,
            mode=tf.estimator.ModeKeys.EVAL,
            variable_dtype=utils.get_variable_dtype(),
        )
        written = mtf.anonymize(_written(model, tensors["inputs"], steps))
        logits = mtf.cast(logits, tf.float32)
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
        lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
        fetched = {
            "logits": lowering.export_to_tf_tensor(logits),
            "written": lowering.export_to_tf_tensor(written),
        }
        tf.train.Saver(tf.global_variables()).restore(running, latest.path)
        running.run(lowering.copy_masters_to_slices())
        return running.run(fetched)


def _imported(mesh: mtf.Mesh, ids: np.ndarray) -> mtf.Tensor:
    dims = [mtf.Dimension("batch", ids.shape[0]), mtf.Dimension("length", ids.shape[1])]
    return mtf.import_tf_tensor(mesh, tf.constant(ids, tf.int32), mtf.Shape(dims))


def _written(model: graph.Model, inputs: mtf.Tensor, steps: int) -> mtf.Tensor:
    """[batch, steps] in a length of its own; greedy."""
    types = utils.get_variable_dtype()
    if isinstance(model, transformer.Bitransformer):
        return model.decode(
            inputs, variable_dtype=types, beam_size=1, temperature=0.0, max_decode_length=steps
        )
    size = inputs.shape.dims[-1].size
    whole = model.sample_autoregressive(
        mtf.pad(inputs, [0, steps], "length"),
        temperature=0.0,
        variable_dtype=types,
        remove_partial_sequences=True,
    )
    assert whole.shape.dims[-1].size == size + steps
    return mtf.slice(whole, 0, steps, "length")
