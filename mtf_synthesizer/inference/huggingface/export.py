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
from mtf_synthesizer.model_folder import kept_best, scores
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import graph, huggingface, session, tasks, variables
from mtf_synthesizer.upstream import vocabulary as vocabularies
from mtf_synthesizer.upstream.graph import bound
from mtf_synthesizer.upstream.model import Model

_MODEL_TYPES = ("bitransformer", "lm", "delimited_lm")
_PYTORCH = {"format": "pt"}  # transformers refuses weights without it


def export(
    model: ModelFolder,
    configuration: Configuration,
    checkpoint: Checkpoint,
    *,
    output: str | os.PathLike[str],
    verbose: bool = False,
) -> dict[str, Any]:
    """Write a folder that `from_pretrained` of transformers loads.

    A T5 whose self-attention is the dot product becomes a `T5ForConditionalGeneration`. The folder
    of any other model also holds modeling_synthesizer.py. It is written under a temporary name and
    renamed when it is complete.

    Args:
      model: folder of the model.
      configuration: configuration of the model.
      checkpoint: checkpoint of the folder to export.
      output: the new folder.
      verbose: whether T5, Mesh and TensorFlow log.

    Returns:
      architecture, step, checkpoint, sequence_length, vocabulary, has_tokenizer, parameters, and
      the prefix of every input of a model of --data.

    Raises:
      UserError: the folder exists, or the model has a layer or setting that neither transformers
        nor modeling_synthesizer.py has.
    """
    new_folder.check("--output", output)
    with session.configured(configuration, verbose), new_folder.create(output) as folder:
        trained = session.build(model.path)
        errors.check("type of model for --format huggingface", trained.model_type, _MODEL_TYPES)
        tasks.check_vocabulary(tasks.configured_task(), model.path)
        exported, tensors = _convert(trained, checkpoint)
        _save(folder, tensors)
        record = {
            "architecture": exported.config["architectures"][0],
            "step": checkpoint.step,
            "checkpoint": checkpoint.fingerprint,
            "sequence_length": trained.sequence_length,
            "parameters": sum(tensor.size for tensor in tensors.values()),
            "prefix": model.own_data.prefix if model.own_data else None,
            **_tokenizer(folder, trained),
        }
        reported = scores.read(model, checkpoint)
        validated = kept_best.of_checkpoint(model.path, checkpoint)
        text = card.text(exported.config, record, reported, validated)
        _write_descriptions(folder, exported, text, trained.sequence_length["targets"])
    return record


def _convert(
    trained: Model, checkpoint: Checkpoint
) -> tuple[architecture.Exported, dict[str, np.ndarray]]:
    """Return the exported form of the model, and its tensors by name."""
    kind = trained.model_type
    with tf.Graph().as_default():
        tf.train.get_or_create_global_step()
        model = graph.build(kind, graph.words(trained.vocabulary))
        mesh = mtf.Mesh(mtf.Graph(), "export")
        ids = np.ones((1, 2), np.int32)
        graph.call(model, mesh, {"inputs": ids, "targets": ids}, kind)
        variables.check_variables(checkpoint.path)
        epsilon = bound("transformer.sublayer_rms_norm.epsilon", 1e-6)
        exported = architecture.describe(model, epsilon)
        names = [variable.name for variable in mesh.graph.all_variables]
    gc.collect()
    reader = tf.train.load_checkpoint(checkpoint.path)
    return exported, dict(
        exported.tensor(name, np.asarray(reader.get_tensor(name), np.float32)) for name in names
    )


def _save(folder: paths.Path, tensors: dict[str, np.ndarray]) -> None:
    # safetensors writes the memory of an array as it is, so a transposed view must be copied.
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    # Its own `save_file` lets nobody else read the file.
    content = safetensors.numpy.save(contiguous, metadata=_PYTORCH)
    saving.write_bytes(folder / huggingface.WEIGHTS, content)


def _tokenizer(folder: paths.Path, trained: Model) -> dict[str, Any]:
    inputs = utils.inputs_vocabulary(trained.vocabulary)
    targets = utils.targets_vocabulary(trained.vocabulary)
    lengths = trained.sequence_length
    longest = lengths.get("inputs", lengths["targets"])
    described = vocabularies.describe(targets)
    return {
        "vocabulary": f"{described['kind']} of {described['size']} ids",
        "has_tokenizer": tokenizer.write(folder, inputs, targets, longest),
    }


def _write_descriptions(
    folder: paths.Path,
    exported: architecture.Exported,
    text: str,
    longest: int,
) -> None:
    """Write the configurations, the modelling file if the model needs it, and the model card."""
    saving.write_json(folder / huggingface.CONFIG, exported.config)
    saving.write_json(
        folder / "generation_config.json",
        {**exported.tokens, "max_new_tokens": longest},
    )
    if not exported.is_t5:
        source = pathlib.Path(__file__).with_name(architecture.MODELLING_FILE)
        saving.write_bytes(folder / architecture.MODELLING_FILE, source.read_bytes())
    saving.write_text(folder / "README.md", text)
