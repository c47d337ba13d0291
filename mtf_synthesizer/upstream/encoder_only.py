"""Encoder-only models: Mesh's model type "aligned", with one target for each input token.

Mesh gives such a model no mask of the padding and no decoding. gin/encoder_only.gin adds both. A
first sublayer marks padding, as in the encoder of an encoder-decoder. Functions read predictions
off the output.
"""

from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.upstream import vocabulary

BLANK = 3  # of the synthetic tasks: the first id behind padding, EOS and unknown


@gin.configurable(module="mtf_synthesizer")
def sublayer_mark_padding(x: mtf.Tensor, layer_stack: Any, context: Any) -> mtf.Tensor:
    """Tell the following layers which positions of an unpacked row are padding.

    Args:
      x: the embedded inputs [batch, length, d_model], returned unchanged.
      layer_stack: unused.
      context: Mesh's context, whose `sequence_id` becomes min(inputs, 1) if it is None.
    """
    if context.sequence_id is None:
        context.sequence_id = mtf.minimum(context.inputs, 1)
    return x


@gin.configurable(module="mtf_synthesizer")
def predict_aligned(
    model: Any, features: dict[str, mtf.Tensor], variable_dtype: mtf.VariableDType
) -> mtf.Tensor:
    """Return the most likely token at each position; 0 where the inputs are padding.

    Returns:
      An int32 tensor [batch, length].
    """
    inputs = features["inputs"]
    return _likeliest(model, inputs, variable_dtype) * mtf.minimum(inputs, 1)


@gin.configurable(module="mtf_synthesizer")
def predict_class(
    model: Any, features: dict[str, mtf.Tensor], variable_dtype: mtf.VariableDType
) -> mtf.Tensor:
    """Return the most likely token at the first position, which stands for the text, then EOS.

    Returns:
      An int32 tensor [batch, length]: the token of the class, 1, 1, ...
    """
    inputs = features["inputs"]
    length = inputs.shape.dims[-1]
    first = mtf.cast(mtf.equal(mtf.range(inputs.mesh, length, tf.int32), 0), tf.int32)
    return _likeliest(model, inputs, variable_dtype) * first + vocabulary.EOS * (1 - first)


@gin.configurable(module="mtf_synthesizer")
def predict_blanks(
    model: Any,
    features: dict[str, mtf.Tensor],
    variable_dtype: mtf.VariableDType,
    blank: int = BLANK,
) -> mtf.Tensor:
    """Predict the likeliest token at each blank; elsewhere the output is 0.

    Args:
      model, features, variable_dtype: as Mesh gives them.
      blank: the id that stands in the inputs where a token is to be predicted. A value bound in gin
        must be bound for evaluation again: a training run records only what it uses.

    Returns:
      An int32 tensor [batch, length].
    """
    inputs = features["inputs"]
    is_blank = mtf.cast(mtf.equal(inputs, blank), tf.int32)
    # Padding and EOS are never right, and would move the answers behind them.
    return mtf.maximum(_likeliest(model, inputs, variable_dtype), vocabulary.EOS + 1) * is_blank


def _likeliest(model: Any, inputs: mtf.Tensor, variable_dtype: mtf.VariableDType) -> mtf.Tensor:
    logits, _ = model.call_simple(
        inputs=inputs,
        targets=None,
        compute_loss=False,
        mode=tf.estimator.ModeKeys.EVAL,  # the whole row at once, without dropout
        variable_dtype=variable_dtype,
    )
    return mtf.argmax(logits, logits.shape.dims[-1])
