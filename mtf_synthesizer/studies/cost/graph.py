"""Parameters and FLOPs counted from the Mesh graph of a model with any layers.

Variables and matrix products are counted. A matrix product is an einsum that contracts a dimension
and in which no operand has all dimensions. Other einsums are element-wise products and their
gradients. Two products by which Mesh implements other operations are not counted: look-ups with a
one-hot matrix, and cumulative sums over the tokens of a batch, which involve no variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention.cost import Cost
from mtf_synthesizer.studies.cost.model import Batch, Model

_LAYER = re.compile(r"([^/]+)/(?:block_\d+/)?layer_\d+/([^/]+)/")
_NORM = re.compile(r"([^/]+)/(?:.*/)?[^/]*norm[^/]*/")


def component(name: str) -> str:
    """The component that a variable or operation belongs to, by its scope.

    Returns:
      "embedding", "softmax", or a stack followed by "norms" or the class of a layer.
    """
    norm, layer = _NORM.match(name), _LAYER.match(name)
    if norm:
        return f"{norm[1]} norms"
    if layer:
        return f"{layer[1]} {layer[2]}"
    return "embedding" if "embedding" in name else "softmax"


def of_model(model: Model, batch: Batch) -> dict[str, Cost]:
    """Build a training step up to the gradients; return component -> cost."""
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "cost")
        loss = _loss(mesh, model, batch)
        forward = _needed_for([loss])
        trained = mesh.graph.trainable_variables
        gradients = mtf.gradients([loss], [v.outputs[0] for v in trained])
        training = _needed_for([loss, *(g for g in gradients if g is not None)])
        total: dict[str, Cost] = {}
        for variable in mesh.graph.all_variables:
            _add(total, variable.name, _variable(variable, variable in set(trained)))
        for operation in training & _that_depend_on(mesh.graph.all_variables, mesh.graph):
            _add(total, operation.name, _product(operation, operation in forward))
    return total


def variables_of(model: Model, batch: Batch) -> dict[str, list[int]]:
    """Build the forward pass of a training step; return variable -> shape."""
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "variables")
        _loss(mesh, model, batch)
        return {v.name: v.shape.to_integer_list for v in mesh.graph.all_variables}


def _loss(mesh: mtf.Mesh, model: Model, batch: Batch) -> mtf.Tensor:
    ids = [_ones(mesh, batch.rows, length) for length in batch.lengths]
    packed = [_ones(mesh, batch.rows, n) if batch.packed else None for n in batch.lengths]
    stacks = ("encoder_", "decoder_") if isinstance(model, transformer.Bitransformer) else ("",)
    sequences = {f"{stack}sequence_id": x for stack, x in zip(stacks, packed, strict=True)}
    _, loss = model.call_simple(ids[0], ids[-1], compute_loss=True, mode="train", **sequences)
    return loss


def _ones(mesh: mtf.Mesh, rows: int, length: int) -> mtf.Tensor:
    shape = mtf.Shape([mtf.Dimension("batch", rows), mtf.Dimension("length", length)])
    return mtf.import_tf_tensor(mesh, tf.ones(shape.to_integer_list, tf.int32), shape)


def _needed_for(results: Iterable[mtf.Tensor]) -> set[mtf.Operation]:
    """The operations that results depend on: others never run."""
    needed: set[mtf.Operation] = set()
    waiting = [tensor.operation for tensor in results]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting.extend(tensor.operation for tensor in operation.inputs)
    return needed


def _that_depend_on(variables: Iterable[mtf.Operation], graph: mtf.Graph) -> set[mtf.Operation]:
    dependent = set(variables)
    for operation in graph.operations:
        if any(tensor.operation in dependent for tensor in operation.inputs):
            dependent.add(operation)
    return dependent


def _add(total: dict[str, Cost], name: str, cost: Cost) -> None:
    if cost != Cost():
        total[component(name)] = total.get(component(name), Cost()) + cost


def _variable(variable: mtf.Variable, trained: bool) -> Cost:
    size = variable.shape.size
    return Cost(parameters=size, trainable_parameters=size if trained else 0)


def _product(operation: mtf.Operation, is_forward: bool) -> Cost:
    if not isinstance(operation, mtf.ops.EinsumOperation) or _is_lookup(operation):
        return Cost()
    operands = [set(tensor.shape.dims) for tensor in operation.inputs]
    dims = set[mtf.Dimension]().union(*operands)
    contracted = dims - set(operation.outputs[0].shape.dims)
    if not contracted or any(operand == dims for operand in operands):
        return Cost()
    flops = 2 * mtf.Shape(list(dims)).size
    return Cost(forward_flops=flops if is_forward else 0, training_flops=flops)


def _is_lookup(operation: mtf.ops.EinsumOperation) -> bool:
    makers: Sequence[mtf.Operation] = [tensor.operation for tensor in operation.inputs]
    return any(isinstance(maker, mtf.ops.OneHotOperation) for maker in makers)
