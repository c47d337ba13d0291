"""A model with functions of their own in each layer, fitted to another model's attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer import errors
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention, recording
from mtf_synthesizer.attention.synthesizers import Dense
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.training.warm_start import fitting
from mtf_synthesizer.training.warm_start.fitting import AttentionSums, DenseFit, Variables
from mtf_synthesizer.upstream import probe, session
from mtf_synthesizer.upstream.examples import example_sets, padded
from mtf_synthesizer.upstream.graph import in_order, stacks

_BATCH = 4  # examples whose weights are held at once
_MODEL_TYPES = ("bitransformer", "lm", "aligned")  # whose rows are the features themselves


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A layer's function, fitted.

    Attributes:
      variables: variables of the function, below its scope.
      divergence: KL divergence of its attention from the model's for each head, in nats a query.
    """

    variables: Variables
    divergence: np.ndarray


@dataclasses.dataclass(frozen=True)
class Observed:
    """The attention of one layer on a batch.

    Attributes:
      weights: float [examples, heads, length, memory_length].
      inputs: float [examples, length, d_model].
      bias: relative position bias, [heads, length, memory_length], or 0.
      sizes: int [examples, 2], real queries and keys.
      causal: whether a query sees no later key.
    """

    weights: np.ndarray
    inputs: np.ndarray
    bias: np.ndarray
    sizes: np.ndarray
    causal: bool


def fit(
    folder: ModelFolder,
    configuration: Configuration,
    task: str,
    limit: int,
    functions: Mapping[str, SyntheticAttention],
    seed: int,
) -> dict[str, Fitted]:
    """Fit functions to the attention of a model on the first examples of a task's train split.

    Args:
      folder: folder of a model whose layers have dot products.
      configuration: configuration of that model.
      task: a seqio task.
      limit: the number of examples.
      functions: scope of a layer -> the layer that takes its place.
      seed: seed of W1 of dense functions.

    Raises:
      errors.UserError: a function can't be fitted, or the task has no examples.
    """
    for scope, layer in functions.items():
        fitting.check(scope, layer.synthesizer)
    model = _Observations(folder, configuration, task, limit, functions)
    sums: dict[str, AttentionSums] = {}
    dense: dict[str, DenseFit] = {}
    for batch in model.batches():
        for scope, observed in batch.items():
            function = functions[scope].synthesizer
            if isinstance(function, Dense):
                if scope not in dense:
                    shape = (
                        observed.inputs.shape[2],
                        observed.weights.shape[1],
                        _width(functions[scope]),
                    )
                    dense[scope] = DenseFit(function, shape, seed + len(dense))
                dense[scope].add(*_parts(observed))
            else:
                of_batch = fitting.summed(observed.weights, observed.sizes, observed.causal)
                sums[scope] = fitting.joined(sums[scope], of_batch) if scope in sums else of_batch
    variables = {scope: fitted.solve() for scope, fitted in dense.items()}
    for batch in model.batches() if dense else ():
        for scope in dense:
            dense[scope].compare(*_parts(batch[scope]))
    model.close()
    result = {scope: Fitted(variables[scope], dense[scope].divergence) for scope in dense}
    for scope, attention in sums.items():
        function = functions[scope].synthesizer
        assert isinstance(function, SynthesizingFunction)
        result[scope] = Fitted(*fitting.by_position(function, attention))
    return {scope: result[scope] for scope in functions}


def _width(layer: SyntheticAttention) -> int:
    return int(layer.kv_dim.size)


def _parts(observed: Observed) -> tuple[np.ndarray, ...]:
    shown = fitting.visible(observed.sizes, observed.weights.shape[2:], observed.causal)
    return observed.weights, observed.inputs, observed.bias, shown


class _Observations:
    """The attention of a model on the examples of a task, batch by batch."""

    def __init__(
        self,
        folder: ModelFolder,
        configuration: Configuration,
        task: str,
        limit: int,
        scopes: Mapping[str, SyntheticAttention],
    ):
        with session.configured(configuration, False):
            model = session.build(folder.path)
            errors.check(
                "model type for --fit", model.model_type, ("bitransformer", "lm", "aligned")
            )
            rows = example_sets(task, "train", model, limit)[0].arrays()
            self._sizes = {name: np.count_nonzero(row, 1) for name, row in rows.items()}
            self._arrays = padded(rows, _BATCH)
            with tf.Graph().as_default():
                shapes = {name: (_BATCH, row.shape[1]) for name, row in self._arrays.items()}
                self._places = {n: tf.placeholder(tf.int32, s) for n, s in shapes.items()}
                recorded = probe.record(self._places, model.model_type, model.vocabulary, recording)
                self._autoregressive = {s.name: s.autoregressive for s in stacks(recorded.model)}
                attentions = {
                    attention.layer: attention
                    for attention in recorded.attention
                    if attention.layer in scopes
                }
                missing = [scope for scope in scopes if scope not in attentions]
                if missing:
                    raise errors.UserError(
                        f"--fit: the other model has no attention weights in {missing[0]}. Give a "
                        "model of the same shape with dot products"
                    )
                self._lowered = probe.Lowered(
                    recorded.mesh,
                    {scope: in_order(attention.weights) for scope, attention in attentions.items()},
                    {
                        s: attention.inputs
                        for s, attention in attentions.items()
                        if attention.inputs is not None
                    },
                    {
                        scope: in_order(attention.relative_bias)
                        for scope, attention in attentions.items()
                        if attention.relative_bias is not None
                    },
                )
                self._lowered.restore(folder.choose("latest")[-1].path)

    def batches(self) -> Iterator[dict[str, Observed]]:
        """Yield the attention of each layer on the next examples."""
        count = len(next(iter(self._sizes.values())))
        for start in range(0, count, _BATCH):
            fed = {
                place: self._arrays[name][start : start + _BATCH]
                for name, place in self._places.items()
            }
            weights, inputs, biases = self._lowered.run(self._lowered.tensors, fed)
            real = slice(0, min(_BATCH, count - start))
            yield {
                scope: Observed(
                    array[real],
                    inputs[scope][real],
                    biases.get(scope, np.zeros(1)),
                    self._of_tokens(scope, start)[real],
                    self._is_causal(scope),
                )
                for scope, array in weights.items()
            }

    def _of_tokens(self, scope: str, start: int) -> np.ndarray:
        queries, keys = self._features(scope)
        chosen = slice(start, start + _BATCH)
        return np.stack([self._sizes[queries][chosen], self._sizes[keys][chosen]], 1)

    def _features(self, scope: str) -> tuple[str, str]:
        """The features along the queries and keys of a layer."""
        if not self._autoregressive[scope.partition("/")[0]]:
            return "inputs", "inputs"
        return "targets", "inputs" if _is_over_encoder(scope) else "targets"

    def _is_causal(self, scope: str) -> bool:
        return self._autoregressive[scope.partition("/")[0]] and not _is_over_encoder(scope)

    def close(self) -> None:
        """Free the memory of the session."""
        self._lowered.close()


def _is_over_encoder(scope: str) -> bool:
    return "EncDecAttention" in scope
