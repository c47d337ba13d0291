"""Initial values of synthesizing functions beside a dot product whose output must not change.

Its logits are 0, so that softmax(α_V (q / α_V) k + 0 + bias) is what T5 computes; and a gradient
reaches it, so of two factors only one is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import mtf_synthesizer.runtime.compat

import numpy as np

from mtf_synthesizer import errors
from mtf_synthesizer.attention.controls import Toeplitz
from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import (
    Dense,
    DotProduct,
    FactorizedDense,
    FactorizedRandom,
    Mixture,
    Random,
    Sum,
)
from mtf_synthesizer.training.warm_start.plan import Beginning, Own

# Class -> the variable that is 0. A table that is not trained would stay so: Fix has no place here.
_ZERO: Mapping[type[SynthesizingFunction], str] = {
    Random: "table",
    FactorizedRandom: "r2",
    Dense: "w2",
    FactorizedDense: "wb",
    Toeplitz: "table",
}
_ALPHA = f"{Mixture.scope}/alpha"


def beginning(scope: str, layer: SyntheticAttention, share: float) -> Beginning:
    """The initial values of a layer.

    Args:
      scope: its variable scope.
      layer: the layer.
      share: α of V in a `Mixture`; the other terms have equal parts of the rest.

    Raises:
      errors.UserError: it has groups of heads, or something beside V that can't begin with zeros.
    """
    if isinstance(layer.synthesizer, Heads):
        raise errors.UserError(
            f"{scope}: each group of Heads has projections of its own, which a T5 has not; train "
            "this model from its beginning, or choose a Mixture"
        )
    terms = _terms(layer.synthesizer)
    count = sum(isinstance(term, DotProduct) for term in terms)
    if not count:
        return Beginning(scope)
    _check(scope, layer, terms, count)
    own = {name: Own("zero", lambda zeros: zeros) for name in _zeros(terms)}
    if not isinstance(layer.synthesizer, Mixture):
        return Beginning(scope, 1.0, True, own)
    logits = _alpha_logits([isinstance(term, DotProduct) for term in terms], share)
    alphas = _softmax(logits)
    shown = ", ".join(f"{alpha:.4g}" for alpha in alphas)
    own[_ALPHA] = Own(f"α = {shown}", lambda zeros: zeros + logits)
    of_v = alphas[[isinstance(term, DotProduct) for term in terms].index(True)]
    return Beginning(scope, float(1 / of_v), True, own)


def _terms(function: SynthesizingFunction) -> Sequence[SynthesizingFunction]:
    return function.functions if isinstance(function, Mixture | Sum) else (function,)


def _check(
    scope: str, layer: SyntheticAttention, terms: Sequence[SynthesizingFunction], count: int
) -> None:
    unknown = [type(term).__name__ for term in terms if type(term) not in (*_ZERO, DotProduct)]
    if unknown or count > 1:
        what = ", ".join(unknown) or f"{count} dot products"
        raise errors.UserError(
            f"{scope}: {what} beside the dot product: only "
            f"{', '.join(kind.__name__ for kind in _ZERO)} can begin with logits that are 0 and be "
            "trained from there, beside one DotProduct in a Mixture or Sum"
        )
    if layer.relative_attention_type == "contextual" and isinstance(layer.synthesizer, Mixture):
        raise errors.UserError(
            f"{scope}: SyntheticAttention.relative_attention_type = 'contextual' reads the query, "
            "whose scale is changed; choose 'bias' or 'bias_shared', as T5's models have it"
        )


def _zeros(terms: Sequence[SynthesizingFunction]) -> Iterator[str]:
    """Variables below the layer's scope, where a class that is repeated is numbered."""
    used: Counter[str] = Counter()
    for term in terms:
        number = used[term.scope]
        used[term.scope] += 1
        if type(term) in _ZERO:
            scope = f"{term.scope}_{number}" if number else term.scope
            yield f"{scope}/{_ZERO[type(term)]}"


def _alpha_logits(is_dot_product: Sequence[bool], share: float) -> np.ndarray:
    """float32 [terms], whose softmax gives V its share, with the mean 1 of a fresh mixture.

    Adafactor's steps are proportional to the size of a variable.
    """
    others = len(is_dot_product) - 1
    shares = [share if is_v else (1 - share) / others for is_v in is_dot_product] if others else [1]
    logits = np.log(np.array(shares, np.float64))
    return (1 + logits - logits.mean()).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits.astype(np.float64) - float(logits.max()))
    result: np.ndarray = exponentials / exponentials.sum()
    return result
