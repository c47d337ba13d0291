"""A model with functions of their own in each layer, fitted to another model's attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer import errors
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention, recording
from mtf_synthesizer.attention.synthesizers import Dense
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.training.warm_start import fitting, matching
from mtf_synthesizer.training.warm_start.fitting import AttentionSums, DenseFit, Variables
from mtf_synthesizer.upstream import probe, session
from mtf_synthesizer.upstream.examples import example_sets, padded
from mtf_synthesizer.upstream.graph import in_order, stacks

_BATCH = 4  # examples whose weights are held at once
_MODEL_TYPES = ("bitransformer", "lm", "aligned")  # whose rows are the features themselves


@dataclasses.dataclass(frozen=True)
class FitRequest:
    """The data of a fit.

    Attributes:
      task: a seqio task; its train split is fitted, its validation split gives the losses.
      examples: the number of examples of each.
      passes: number of passes over the examples in which each layer is then trained to match the
        attention (`matching`); 0 for none.
      seed: seed of drawn variables.
    """

    task: str
    examples: int
    passes: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A layer's function, fitted.

    Attributes:
      variables: variables of the function, below its scope.
      divergence: KL divergence of its attention from the model's for each head, in nats a query.
      unmatched: divergence of the fit alone, before it was trained to match; None if it was not.
    """

    variables: Variables
    divergence: np.ndarray
    unmatched: np.ndarray | None = None


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
    asked: FitRequest,
    functions: Mapping[str, SyntheticAttention],
) -> dict[str, Fitted]:
    """Fit functions to the attention of a model on the first examples of a task's train split.

    Args:
      folder: folder of a model whose layers have dot products.
      configuration: configuration of that model.
      asked: the data.
      functions: scope of a layer -> the layer that takes its place.

    Raises:
      errors.UserError: a function can't be fitted, or the task has no examples.
    """
    for scope, layer in functions.items():
        fitting.check(scope, layer.synthesizer)
    model = _Observations(folder, configuration, asked, functions)
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
                    dense[scope] = DenseFit(function, shape, asked.seed + len(dense))
                dense[scope].add(*_parts(observed))
            else:
                of_batch = fitting.summed(observed.weights, observed.sizes, observed.causal)
                sums[scope] = fitting.joined(sums[scope], of_batch) if scope in sums else of_batch
    for fitted in dense.values():
        fitted.solve()
    _compare(dense, model)
    result = _of_dense(dense, model, asked.passes)
    model.close()
    for scope, attention in sums.items():
        result[scope] = _of_positions(functions[scope].synthesizer, attention, asked.passes)
    return {scope: result[scope] for scope in functions}


def _of_positions(function: Any, attention: AttentionSums, passes: int) -> Fitted:
    assert isinstance(function, SynthesizingFunction)
    variables, divergence = fitting.by_position(function, attention)
    if not passes:
        return Fitted(variables, divergence)
    return Fitted(*matching.by_position(function, variables, attention, passes), divergence)


def _of_dense(
    dense: Mapping[str, DenseFit], model: _Observations, passes: int
) -> dict[str, Fitted]:
    """Train solved fits of D; where that makes a layer worse, it stays as it was."""
    if not passes:
        return {scope: Fitted(fit.variables, fit.divergence) for scope, fit in dense.items()}
    matched = {scope: matching.DenseMatching(fit) for scope, fit in dense.items()}
    for _ in range(passes if dense else 0):
        for batch in model.batches():
            for scope, match in matched.items():
                match.step(*_parts(batch[scope]))
    _compare({scope: match.fit for scope, match in matched.items()}, model)
    result = {}
    for scope, fit in dense.items():
        best = min((fit, matched[scope].fit), key=lambda each: each.divergence.mean())
        result[scope] = Fitted(best.variables, best.divergence, fit.divergence)
    return result


def _compare(dense: Mapping[str, DenseFit], model: _Observations) -> None:
    for batch in model.batches() if dense else ():
        for scope, fit in dense.items():
            fit.compare(*_parts(batch[scope]))


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
        asked: FitRequest,
        scopes: Mapping[str, SyntheticAttention],
    ):
        with session.configured(configuration, False):
            model = session.build(folder.path)
            errors.check(
                "model type for --fit", model.model_type, ("bitransformer", "lm", "aligned")
            )
            rows = example_sets(asked.task, "train", model, asked.examples)[0].arrays()
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
