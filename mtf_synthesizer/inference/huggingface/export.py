"""Write a trained model in the format of transformers."""

from __future__ import annotations

import gc
import os
import pathlib
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import safetensors.numpy
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.files import new_folder, paths, saving
from mtf_synthesizer.inference.huggingface import architecture, card, tokenizer
from mtf_synthesizer.model_folder import scores
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import graph, huggingface, session, tasks, variables
from mtf_synthesizer.upstream import vocabulary as vocabularies
from mtf_synthesizer.upstream.graph import bound
from mtf_synthesizer.upstream.model import Model

_MODEL_TYPES = ("bitransformer", "lm", "delimited_lm")
_PYTORCH = {"format": "pt"}  # without it transformers refuses the weights


def export(
    model: ModelFolder,
    wanted: Configuration,
    checkpoint: Checkpoint,
    *,
    output: str | os.PathLike[str],
    verbose: bool = False,
) -> dict[str, Any]:
    """Write a folder that `from_pretrained` of transformers loads.

    A T5, with its own layers or with the dot product in ours, becomes a
    `T5ForConditionalGeneration`. Any other Synthesizer comes with modeling_synthesizer.py. The
    folder is written under another name and renamed when it is complete.

    Args:
      model: its folder.
      wanted: its configuration.
      checkpoint: one of its checkpoints.
      output: the new folder.
      verbose: whether T5, Mesh and TensorFlow log.

    Returns:
      architecture, step, checkpoint, sequence_length, vocabulary, has_tokenizer and parameters.

    Raises:
      UserError: the folder exists, or the model computes what transformers and the modelling file
        do not have.
    """
    new_folder.check("--output", output)
    with session.configured(wanted, verbose), new_folder.create(output) as folder:
        trained = session.build(model.path)
        errors.check("type of model for --format huggingface", trained.model_type, _MODEL_TYPES)
        tasks.check_vocabulary(tasks.configured_task(), model.path)
        described, tensors = _converted(trained, checkpoint)
        _save(folder, tensors)
        record = {
            "architecture": described.config["architectures"][0],
            "step": checkpoint.step,
            "checkpoint": checkpoint.fingerprint,
            "sequence_length": trained.sequence_length,
            "parameters": sum(tensor.size for tensor in tensors.values()),
            **_tokenizer(folder, trained),
        }
        found = [score for score in scores.read(model) if score.step == checkpoint.step]
        _describe(folder, described, record, found)
    return record


def _converted(
    trained: Model, checkpoint: Checkpoint
) -> tuple[architecture.Exported, dict[str, np.ndarray]]:
    """The exported form of the model, and its tensors by name."""
    kind = trained.model_type
    with tf.Graph().as_default():
        tf.train.get_or_create_global_step()
        model = graph.build(kind, graph.words(trained.vocabulary))
        mesh = mtf.Mesh(mtf.Graph(), "export")
        ids = np.ones((1, 2), np.int32)
        graph.call(model, mesh, {"inputs": ids, "targets": ids}, kind)
        variables.check_variables(checkpoint.path)
        epsilon = bound("transformer.sublayer_rms_norm.epsilon", 1e-6)
        described = architecture.describe(model, epsilon)
        names = [variable.name for variable in mesh.graph.all_variables]
    gc.collect()
    reader = tf.train.load_checkpoint(checkpoint.path)
    return described, dict(
        described.tensor(name, np.asarray(reader.get_tensor(name), np.float32)) for name in names
    )


def _save(folder: paths.Path, tensors: dict[str, np.ndarray]) -> None:
    # safetensors writes the memory of an array as it lies there, so a view must become an array.
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    safetensors.numpy.save_file(whole, str(folder / huggingface.WEIGHTS), metadata=_PYTORCH)


def _tokenizer(folder: paths.Path, trained: Model) -> dict[str, Any]:
    inputs = utils.inputs_vocabulary(trained.vocabulary)
    targets = utils.targets_vocabulary(trained.vocabulary)
    lengths = trained.sequence_length
    longest = lengths.get("inputs", lengths["targets"])
    found = vocabularies.describe(targets)
    return {
        "vocabulary": f"{found['kind']} of {found['size']} ids",
        "has_tokenizer": tokenizer.write(folder, inputs, targets, longest),
    }


def _describe(
    folder: paths.Path,
    described: architecture.Exported,
    record: dict[str, Any],
    found: list[scores.Score],
) -> None:
    """Write the configurations, the modelling file where one is needed, and the card."""
    saving.write_json(folder / huggingface.CONFIG, described.config)
    saving.write_json(
        folder / "generation_config.json",
        {**described.tokens, "max_new_tokens": record["sequence_length"]["targets"]},
    )
    if not described.is_t5:
        source = pathlib.Path(__file__).with_name(architecture.MODELLING_FILE)
        saving.write_bytes(folder / architecture.MODELLING_FILE, source.read_bytes())
    saving.write_text(folder / "README.md", card.text(described.config, record, found))
