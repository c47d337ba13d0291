"""Models built for evaluation, outside T5's and Mesh's training and evaluation loops.

All functions need the gin configuration of the model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, utils
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer import errors

Model: TypeAlias = "transformer.Unitransformer | transformer.Bitransformer"
Features: TypeAlias = "Mapping[str, np.ndarray] | Mapping[str, tf.Tensor]"


def build(
    model_type: str,
    words: tuple[int, int],
    layout_rules: mtf.LayoutRules | str = "",
    mesh_shape: mtf.Shape | str = "",
) -> Model:
    """The configured model, without any variable yet.

    Args:
      model_type: as for Mesh's `run`.
      words: sizes of the vocabularies of inputs and targets.
      layout_rules, mesh_shape: layout and shape of the mesh, which some layers read.
    """
    return utils.build_model(
        model_type=model_type,
        input_vocab_size=words[0],
        output_vocab_size=words[1],
        layout_rules=layout_rules,
        mesh_shape=mesh_shape,
    )


def words(vocabulary: Any) -> tuple[int, int]:
    """Sizes of the vocabularies of inputs and targets, as Mesh's `run` has them."""
    inputs, targets = utils.inputs_vocabulary(vocabulary), utils.targets_vocabulary(vocabulary)
    return inputs.vocab_size, targets.vocab_size


def call(
    model: Model, mesh: mtf.Mesh, features: Features, model_type: str
) -> dict[str, mtf.Tensor]:
    """Call the model in evaluation mode.

    Args:
      model: a model from `build`.
      mesh: the mesh of its variables.
      features: feature -> int32 [batch, length], arrays or placeholders.
      model_type: as for `build`.

    Returns:
      The features that the model sees: for "delimited_lm" inputs and targets form one text.
    """
    tensors = {}
    for name, array in features.items():
        batch, length = map(int, array.shape)
        dims = [mtf.Dimension("batch", batch), mtf.Dimension("length", length)]
        value = tf.convert_to_tensor(array, tf.int32)
        tensors[name] = mtf.import_tf_tensor(mesh, value, mtf.Shape(dims))
    tensors, inputs = _READERS.get(model_type, _two_texts)(tensors)
    model.call_simple(
        inputs=inputs,
        targets=tensors["targets"],
        compute_loss=False,
        mode=tf_estimator.ModeKeys.EVAL,
        variable_dtype=utils.get_variable_dtype(),
    )
    return tensors


Tensors = dict[str, mtf.Tensor]


def _two_texts(tensors: Tensors) -> tuple[Tensors, mtf.Tensor]:
    return tensors, tensors["inputs"]


def _targets_alone(tensors: Tensors) -> tuple[Tensors, mtf.Tensor]:
    return tensors, transformer.autoregressive_inputs(tensors["targets"])


def _both_as_one_text(tensors: Tensors) -> tuple[Tensors, mtf.Tensor]:
    return _targets_alone(utils._dynamic_text2self(tensors))  # Mesh has no public function for it


# Model types of Mesh with a single autoregressive stack.
_READERS = {"lm": _targets_alone, "delimited_lm": _both_as_one_text}


def stacks(model: Model) -> Iterable[transformer.Unitransformer]:
    """Return encoder and decoder, or the only stack; `name` is the variable scope of each."""
    if isinstance(model, transformer.Bitransformer):
        return (model.encoder, model.decoder)
    return (model,)


def in_order(weights: mtf.Tensor) -> mtf.Tensor:
    """Reorder to [(batch,) heads, length, memory_length]; a missing heads dimension becomes 1."""
    dims = {dim.name: dim for dim in weights.shape.dims}
    last = [dims.pop("length"), dims.pop("memory_length")]
    first = [dims.pop("batch")] if "batch" in dims else []
    heads = mtf.Dimension("heads", int(np.prod([dim.size for dim in dims.values()])))
    named = mtf.transpose(weights, mtf.Shape([*first, *dims.values(), *last]))
    return mtf.reshape(named, mtf.Shape([*first, heads, *last]))


def model_type() -> str:
    """Return the configured model type, as Mesh names it.

    Raises:
      errors.UserError: a model type whose rows have an unknown length.
    """
    kind: str = bound("run.model_type", "bitransformer")
    errors.check("model type", kind, LENGTHS)
    return kind


def is_packed() -> bool:
    """Return whether the configuration packs several sequences into a row."""
    return bool(bound("mesh_train_dataset_fn.pack", True))


# Model type -> length of a row in each stack.
LENGTHS: dict[str, Callable[[dict[str, int]], tuple[int, ...]]] = {
    "bitransformer": lambda lengths: (lengths["inputs"], lengths["targets"]),
    "lm": lambda lengths: (lengths["targets"],),
    "delimited_lm": lambda lengths: (lengths["inputs"] + lengths["targets"],),
    "aligned": lambda lengths: (lengths["inputs"],),
}


def bound(parameter: str, default: Any) -> Any:
    """Return the value of a binding with its macros resolved, or `default`."""
    try:
        return copy.deepcopy(gin.query_parameter(parameter))  # copying resolves references
    except ValueError:
        return default
