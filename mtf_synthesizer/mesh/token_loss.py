"""Cross entropy of tokens in few passes over the logits.

Mesh computes it from products with one-hot rows, about twenty passes over [batch, length, vocab]
forward and backward. On a CPU these take half of a small model's step. Here TensorFlow's own cross
entropy runs once and keeps what the gradient needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer


@gin.configurable(module="mtf_synthesizer")
def token_cross_entropy(
    model: transformer.Unitransformer,
    context: Any,
    logits: mtf.Tensor,
    targets: mtf.Tensor,
    output_vocab_dim: mtf.Dimension,
) -> mtf.Tensor:
    """Compute the loss that `Unitransformer` computes, with z-loss and label smoothing.

    In gin: `transformer.Unitransformer.loss_fn = @token_cross_entropy`.

    Args:
      model: model with `label_smoothing`, `z_loss` and `loss_on_targets_only`.
      context: context of the model's call.
      logits: [batch, length, vocab].
      targets: int32 [batch, length]; 0 is padding and does not count.
      output_vocab_dim: the dimension `vocab`.

    Returns:
      A scalar: the sum over tokens, divided by the model's loss denominator.
    """
    operation = _CrossEntropy(logits, mtf.maximum(targets, 0), output_vocab_dim)
    loss, log_z, _ = operation.outputs
    if model.label_smoothing:
        evenly = log_z - mtf.reduce_mean(mtf.cast(logits, tf.float32), reduced_dim=output_vocab_dim)
        loss = (1 - model.label_smoothing) * loss + model.label_smoothing * evenly
    if context.train and model.z_loss:
        loss += model.z_loss * mtf.square(log_z)
    counted = mtf.greater(targets, 0)
    if model.loss_on_targets_only:
        inputs = transformer.delimited_lm_inputs_mask(targets)
        counted = mtf.logical_and(counted, mtf.logical_not(inputs))
    total = mtf.reduce_sum(loss * mtf.cast(counted, tf.float32))
    denominator = model.loss_denominator(targets, context.num_microbatches)
    return mtf.cast(total / denominator, context.activation_dtype)


class _CrossEntropy(mtf.Operation):
    """Operation with -log softmax(x)[t], log sum exp(x) and softmax(x) - onehot(t), float32."""

    def __init__(self, logits: mtf.Tensor, targets: mtf.Tensor, vocab: mtf.Dimension):
        tokens = targets.shape
        logits = mtf.transpose(logits, mtf.Shape([*tokens.dims, vocab]))
        super().__init__([logits, targets], name="cross_entropy")
        shapes = (tokens, tokens, logits.shape)
        self._outputs = [mtf.Tensor(self, shape, tf.float32) for shape in shapes]

    def gradient(self, grad_ys: list[mtf.Tensor | None]) -> list[mtf.Tensor | None]:
        to_loss, to_log_z, _ = grad_ys
        logits, targets = self.inputs
        difference = self.outputs[2]
        if to_log_z is None:
            grad = to_loss * difference
        else:  # the gradient of log z is the softmax: the difference, plus 1 at the target
            grad = _AddAtTargets((to_loss + to_log_z) * difference, targets, to_log_z).outputs[0]
        return [mtf.cast(grad, logits.dtype), None]

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        logits, targets = (lowering.tensors[x] for x in self.inputs)
        axis = mesh_impl.tensor_dimension_to_mesh_axis(self.inputs[0].shape.dims[-1])
        if axis is None:
            tensors = mesh_impl.slicewise(_crossed, logits, targets)
        else:
            tensors = _crossed_on_several(mesh_impl, axis, logits, targets)
        for output, result in zip(self.outputs, tensors, strict=True):
            lowering.set_tensor_lowering(output, result)


def _crossed(logits: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    shape = logits.shape.as_list()
    flat = tf.reshape(tf.cast(logits, tf.float32), [-1, shape[-1]])
    indices = tf.reshape(targets, [-1])
    loss, difference = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=flat, labels=indices)
    log_z = loss + tf.gather(flat, indices, batch_dims=1)
    tokens = shape[:-1]
    return tf.reshape(loss, tokens), tf.reshape(log_z, tokens), tf.reshape(difference, shape)


def _crossed_on_several(mesh_impl: Any, axis: int, logits: Any, targets: Any) -> tuple[Any, ...]:
    def summed(function: Callable[..., tf.Tensor], *xs: Any) -> Any:
        return mesh_impl.allreduce(mesh_impl.slicewise(function, *xs), [axis], "SUM")

    slicewise = mesh_impl.slicewise
    logits = slicewise(lambda x: tf.cast(x, tf.float32), logits)
    highest = slicewise(lambda x: tf.reduce_max(x, -1), logits)
    highest = mesh_impl.allreduce(highest, [axis], "MAX")
    powers = slicewise(lambda x, h: tf.exp(x - h[..., None]), logits, highest)
    total = summed(lambda e: tf.reduce_sum(e, -1), powers)
    log_z = slicewise(lambda s, h: tf.math.log(s) + h, total, highest)
    hot = slicewise(_hot, logits, targets, mesh_impl.laid_out_pcoord(axis))
    loss = slicewise(tf.subtract, log_z, summed(lambda x, y: tf.reduce_sum(x * y, -1), logits, hot))
    difference = slicewise(lambda e, s, y: e / s[..., None] - y, powers, total, hot)
    return loss, log_z, difference


def _hot(slice_: tf.Tensor, targets: tf.Tensor, device: tf.Tensor) -> tf.Tensor:
    """Return 1 at the target in the vocabulary slice of its device, else 0."""
    words = slice_.shape[-1]
    return tf.one_hot(targets - device * words, words, dtype=tf.float32)


class _AddAtTargets(mtf.Operation):
    """Operation that adds y [batch, length] to x [batch, length, vocab] at the targets."""

    def __init__(self, x: mtf.Tensor, targets: mtf.Tensor, y: mtf.Tensor):
        super().__init__([x, targets, y], name="add_at_targets")
        self._outputs = [mtf.Tensor(self, x.shape, x.dtype)]

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        x, targets, y = (lowering.tensors[operand] for operand in self.inputs)
        axis = mesh_impl.tensor_dimension_to_mesh_axis(self.inputs[0].shape.dims[-1])
        if axis is None:
            total = mesh_impl.slicewise(_added, x, targets, y)
        else:
            device = mesh_impl.laid_out_pcoord(axis)
            total = mesh_impl.slicewise(
                lambda x, t, y, d: x + y[..., None] * _hot(x, t, d), x, targets, y, device
            )
        lowering.set_tensor_lowering(self.outputs[0], total)


def _added(x: tf.Tensor, targets: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    words = x.shape[-1]
    indices = tf.reshape(targets, [-1])
    rows = tf.range(indices.shape[0], dtype=indices.dtype)
    where = tf.stack([rows, indices], axis=-1)
    flat = tf.tensor_scatter_nd_add(tf.reshape(x, [-1, words]), where, tf.reshape(y, [-1]))
    return tf.reshape(flat, x.shape)
