"""Adafactor's updates of a matrix in fewer passes over the matrix.

Mesh writes nine tensors of the size of a variable in turn: g², g² + ε, x and its parts, x², and so
on. Here sums of squares write nothing else, and scalars multiply the factors instead of the matrix.
"""

from __future__ import annotations

from collections.abc import Callable

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.mesh.sums import sum_of_squares

# Function from an optimizer, a gradient and its variable to the updates.
Update = Callable[[mtf.optimize.AdafactorOptimizer, mtf.Tensor, mtf.Variable], list[mtf.Operation]]


@gin.configurable(module="mtf_synthesizer")
def adafactor_core(function: Update | None = None) -> Update | None:
    """Return the function that updates a factored variable of Adafactor; None for Mesh's own.

    In gin: `adafactor_core.function = @adafactor_update`.
    """
    return function


def offers(optimizer: mtf.optimize.AdafactorOptimizer, variable: mtf.Variable) -> bool:
    """Return whether `adafactor_update` supports the optimizer's settings for this variable.

    Mesh updates variables with momentum, stacked variables, and small variables without factors.
    """
    return (
        not optimizer._beta1
        and not optimizer._stacked_dim_names
        and optimizer._factored_dims(variable.shape) is not None
    )


@gin.configurable(module="mtf_synthesizer")
def adafactor_update(
    optimizer: mtf.optimize.AdafactorOptimizer, grad: mtf.Tensor, variable: mtf.Variable
) -> list[mtf.Operation]:
    """Return the updates of Mesh's Adafactor, up to float32 rounding, with the same slot variables.

    The second moment of a gradient g is v_ij = r_i c_j / mean(r), with r and c moving means of g²
    over columns and over rows. The update is u = g / sqrt(v), times learning rate and scale of the
    variable, divided by max(1, rms(u) / threshold).

    Args:
      optimizer: the optimizer with its parameters.
      grad: the gradient, of the variable's shape.
      variable: a variable that `offers` accepts.

    Returns:
      The assignments.
    """
    rows, columns = _slots(optimizer, variable)
    with tf.variable_scope(variable.name + "/adafactor"):
        grad = mtf.to_float(grad)
        new_rows, new_columns = (
            _moved(optimizer, grad, slot, variable) for slot in (rows, columns)
        )
        d1 = optimizer._factored_dims(variable.shape)[1]
        by_row = mtf.rsqrt(new_rows / mtf.reduce_mean(new_rows, reduced_dim=d1))
        scaled = grad * mtf.rsqrt(new_columns)
        squares = sum_of_squares(scaled, by_row.shape) * mtf.square(by_row)
        factor = by_row * _step_size(optimizer, squares, variable)
        return [
            mtf.assign(rows, new_rows),
            mtf.assign(columns, new_columns),
            mtf.assign_sub(variable, scaled * factor),
        ]


def _slots(
    optimizer: mtf.optimize.AdafactorOptimizer, variable: mtf.Variable
) -> tuple[mtf.Tensor, mtf.Tensor]:
    d0, d1 = optimizer._factored_dims(variable.shape)

    def slot(name: str, shape: mtf.Shape) -> mtf.Tensor:
        return mtf.get_variable(
            variable.mesh,
            variable.name + name,
            shape,
            initializer=tf.zeros_initializer(),
            trainable=False,
        )

    return slot("_slot_vr", variable.shape - d0), slot("_slot_vc", variable.shape - d1)


def _moved(
    optimizer: mtf.optimize.AdafactorOptimizer,
    grad: mtf.Tensor,
    slot: mtf.Tensor,
    variable: mtf.Variable,
) -> mtf.Tensor:
    """Return the moving mean of squares after this step."""
    averaged = variable.shape.size // slot.shape.size
    mean = sum_of_squares(grad, slot.shape) * (1 / averaged) + optimizer._epsilon1
    decay_rate = optimizer._decay_rate
    return slot * decay_rate + mean * (1.0 - decay_rate)


def _step_size(
    optimizer: mtf.optimize.AdafactorOptimizer, squares: mtf.Tensor, variable: mtf.Variable
) -> mtf.Tensor:
    """Return learning rate, scale of the variable and clipping as one number.

    Args:
      optimizer: the optimizer with its parameters.
      squares: partial sums of the squares of u, whose sum is that of all squares.
      variable: the variable.
    """
    size = mtf.import_tf_tensor(
        variable.mesh, tf.cast(optimizer._learning_rate, tf.float32), mtf.Shape([])
    )
    excluded = any(name in variable.name for name in optimizer._exclude_from_parameter_scale)
    if optimizer._multiply_by_parameter_scale and not excluded:
        value = mtf.to_float(variable.value)
        size *= mtf.maximum(
            _root_mean(sum_of_squares(value, mtf.Shape([])), variable), optimizer._epsilon2
        )
    if optimizer._clipping_threshold is None:
        return size
    rms = _root_mean(mtf.reduce_sum(squares), variable)
    return size / mtf.maximum(1.0, rms / optimizer._clipping_threshold)


def _root_mean(total: mtf.Tensor, variable: mtf.Variable) -> mtf.Tensor:
    return mtf.sqrt(total * (1 / variable.shape.size))
