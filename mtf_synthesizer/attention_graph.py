"""The graph that gives the attention weights of every layer, T5's own layers included.

Needs the gin configuration of the model while it is made, not afterwards.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import mtf_synthesizer.compat  # noqa: F401  isort: skip  # before Mesh

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import attention as mesh_attention
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer import attention, evaluation_graph, names
from mtf_synthesizer.attention import Recorded, SyntheticAttention

_BLOCK = re.compile(r"block_(\d+)")
# Layers that do not mix positions: nobody misses weights of theirs.
_FEED_FORWARD = ("DenseReluDense", "MoE1D", "MoE2D")
# The paper's letters.
_LETTERS = {
    "DotProduct": "V",
    "Random": "R",
    "FixedRandom": "Fix",
    "FactorizedRandom": "FR",
    "Dense": "D",
    "FactorizedDense": "FD",
}
_T5_LETTER = {"SelfAttention": "V (T5)"}


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with attention weights.

    Attributes:
      kind: its class.
      stack: variable scope of its stack: encoder or decoder.
      block: number of its block, from 1 as the paper counts layers.
      over_encoder: whether its keys are the encoder's positions.
      same_for_all: whether its logits are the same for all examples.
      terms: what its mixture mixes, in the order of α; empty without a mixture.
    """

    kind: str
    stack: str
    block: int
    over_encoder: bool
    same_for_all: bool
    terms: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Positions:
    """What stands at the positions of a stack.

    Attributes:
      feature: inputs or targets, whose tokens they are.
      ids: int [example, length], the tokens fed in; a decoder's begin with the 0 it starts from.
      lengths: how many positions of each example are no padding.
    """

    feature: str
    ids: np.ndarray
    lengths: tuple[int, ...]


@contextlib.contextmanager
def recording() -> Iterator[list[Recorded]]:
    """As `attention.recording`, but also of T5's own attention, over the encoder's output too."""
    own = mesh_attention.attention
    with attention.recording() as recorded:

        def observed(*args: Any, **kwargs: Any) -> mtf.Tensor:
            with _recorded_softmax(recorded):
                return own(*args, **kwargs)

        mesh_attention.attention = observed
        try:
            yield recorded
        finally:
            mesh_attention.attention = own


@contextlib.contextmanager
def _recorded_softmax(recorded: list[Recorded]) -> Iterator[None]:
    """Inside Mesh's attention, its weights are what a softmax returns."""
    softmax = mtf.softmax

    def observed(*args: Any, **kwargs: Any) -> mtf.Tensor:
        weights = softmax(*args, **kwargs)
        recorded.append(Recorded(tf.get_variable_scope().name, weights))
        return weights

    mtf.softmax = observed
    try:
        yield
    finally:
        mtf.softmax = softmax


class AttentionGraph:
    """A model on some examples, and the attention weights of its layers.

    Args:
      features: int32 [batch, length] for each of inputs and targets.
      model_type: as for Mesh's `run`.
      vocabulary: likewise.

    Attributes:
      title: which synthesizing functions the model has, in the paper's letters.
      layers: layers by the scope of their place, such as encoder/block_000/layer_000.
      left_out: layers without weights -> why.
      positions: what stands at the positions of each stack.

    Raises:
      names.UserError: no layer of the model has weights.
    """

    def __init__(self, features: Mapping[str, np.ndarray], model_type: str, vocabulary: Any):
        self._graph = tf.Graph()
        with self._graph.as_default(), recording() as recorded:
            tf.set_random_seed(0)
            mesh = mtf.Mesh(mtf.Graph(), "attention")
            model = evaluation_graph.build(model_type, vocabulary)
            tensors = evaluation_graph.call(model, mesh, features, model_type)
            kept = {_place(r.layer): r for r in recorded if _is_in(mesh.graph, r.weights)}
            objects = _objects(model)
            self.title = _title(objects)
            self.layers = {place: _described(place, r, objects) for place, r in kept.items()}
            self.left_out = _left_out(objects, recorded, kept)
            if not kept:
                missing = "; ".join(f"{place}: {why}" for place, why in self.left_out.items())
                raise names.UserError(f"this model has no attention weights to show: {missing}")
            ordered = {place: evaluation_graph.in_order(r.weights) for place, r in kept.items()}
            exported = {place: mtf.anonymize(w) for place, w in ordered.items()}
            masks = {place: r.present for place, r in kept.items() if r.present is not None}
            present = {place: mtf.anonymize(mask) for place, mask in masks.items()}
            ids = {name: mtf.anonymize(tensor) for name, tensor in tensors.items()}
            implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
            lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
            export = lowering.export_to_tf_tensor
            self._weights = {place: export(tensor) for place, tensor in exported.items()}
            self._present = {place: export(tensor) for place, tensor in present.items()}
            self._ids = {name: export(tensor) for name, tensor in ids.items()}
            self._saver = tf.train.Saver()
            self._initial_values = tf.global_variables_initializer()
            self._to_slices = lowering.copy_masters_to_slices()
        self._session = tf.Session(graph=self._graph)
        self.positions = self._positions(model)

    def trained(self, checkpoint: str) -> dict[str, np.ndarray]:
        """The weights with the variables of a checkpoint.

        Returns:
          Place -> float32 [example, heads, length, memory_length]. Rows add to 1 over the keys that
          their query sees; the rows of padding hold anything.
        """
        self._saver.restore(self._session, checkpoint)
        return self._evaluated()

    def initial(self) -> dict[str, np.ndarray]:
        """As `trained`, with variables as a training would begin with: a draw of its own."""
        self._session.run(self._initial_values)
        return self._evaluated()

    def close(self) -> None:
        """Frees the memory of the session."""
        self._session.close()

    def _evaluated(self) -> dict[str, np.ndarray]:
        self._session.run(self._to_slices)
        weights, present = self._session.run([self._weights, self._present])
        examples = len(next(iter(self.positions.values())).lengths)
        return {k: of_examples(w, present.get(k), examples) for k, w in weights.items()}

    def _positions(self, model: evaluation_graph.Model) -> dict[str, Positions]:
        ids = self._session.run(self._ids)
        found = {}
        for stack in evaluation_graph.stacks(model):
            feature = "targets" if stack.autoregressive else "inputs"
            tokens = ids[feature]
            lengths = tuple(int(n) for n in np.count_nonzero(tokens, axis=1))
            fed = np.pad(tokens, [(0, 0), (1, 0)])[:, :-1] if stack.autoregressive else tokens
            found[stack.name] = Positions(feature, fed, lengths)
        return found


def of_examples(weights: np.ndarray, present: np.ndarray | None, examples: int) -> np.ndarray:
    """The weights of each example, where all have the same logits.

    Args:
      weights: [(batch,) heads, length, memory_length].
      present: bool [batch, memory_length], keys that are no padding, or None.
      examples: how many there are.
    """
    if weights.ndim == 4:
        return weights
    repeated = np.broadcast_to(weights, (examples, *weights.shape))
    if present is None:
        return np.array(repeated)
    kept = repeated * present[:, np.newaxis, np.newaxis, :]
    return kept / np.maximum(kept.sum(-1, keepdims=True), np.finfo(np.float32).tiny)


def _is_in(graph: mtf.Graph, tensor: mtf.Tensor) -> bool:
    """Whether it can be computed; what a loop computes can't be looked at from outside."""
    return any(operation is tensor.operation for operation in graph.operations)


def _place(scope: str) -> str:
    """encoder/block_000/layer_000/SelfAttention -> encoder/block_000/layer_000."""
    return scope.rpartition("/")[0]


def _objects(model: evaluation_graph.Model) -> dict[str, transformer.TransformerLayer]:
    """Place -> layer, of every stack."""
    return {
        f"{stack.name}/{layer.name}" if layer.name else stack.name: layer
        for stack in evaluation_graph.stacks(model)
        for layer in stack.layer_stack._layers
    }


def _described(
    place: str, recorded: Recorded, objects: Mapping[str, transformer.TransformerLayer]
) -> Layer:
    layer = objects.get(place)
    block = _BLOCK.search(place)
    functions = getattr(getattr(layer, "synthesizer", None), "functions", ())
    has_alpha = type(getattr(layer, "synthesizer", None)).__name__ == "Mixture"
    return Layer(
        kind=recorded.layer.rpartition("/")[2],
        stack=place.partition("/")[0],
        block=1 + int(block[1]) if block else 1,
        over_encoder=isinstance(layer, transformer_layers.EncDecAttention),
        same_for_all="batch" not in recorded.weights.shape.dimension_names,
        terms=tuple(notation(each) for each in functions) if has_alpha else (),
    )


def _left_out(
    objects: Mapping[str, transformer.TransformerLayer],
    recorded: list[Recorded],
    kept: Mapping[str, Recorded],
) -> dict[str, str]:
    looped = {_place(r.layer) for r in recorded} - set(kept)
    found = dict.fromkeys(sorted(looped), "applied again and again in a loop")
    for place, layer in objects.items():
        kind = type(layer).__name__
        if place not in kept and place not in looped and kind not in _FEED_FORWARD:
            found[place] = f"{kind} has no weights from each position to each"
    return found


def _title(objects: Mapping[str, transformer.TransformerLayer]) -> str:
    mixing = [
        layer
        for layer in objects.values()
        if type(layer).__name__ not in _FEED_FORWARD
        and not isinstance(layer, transformer_layers.EncDecAttention)
    ]
    return " / ".join(dict.fromkeys(_letters(layer) for layer in mixing))


def _letters(layer: transformer.TransformerLayer) -> str:
    if isinstance(layer, SyntheticAttention):
        return notation(layer.synthesizer)
    kind = type(layer).__name__
    return _T5_LETTER.get(kind, kind)


def notation(function: Any) -> str:
    """A synthesizing function in the paper's letters: R, FR+V; R+V (sum) without α."""
    kind = type(function).__name__
    if kind in ("Mixture", "Sum"):
        letters = "+".join(notation(term) for term in function.functions)
        return letters if kind == "Mixture" else f"{letters} (sum)"
    return _LETTERS.get(kind, kind)
