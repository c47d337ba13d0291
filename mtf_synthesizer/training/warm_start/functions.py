"""Initial values of synthesizing functions beside the dot product V of a T5 checkpoint.

Their logits begin at 0, so the attention softmax(α_V (q / α_V) k + 0 + bias) equals T5's. Gradients
must reach them, so only one of two factors is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import mtf_synthesizer.runtime.compat

import numpy as np
import scipy.special

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

# Class -> the variable that begins at 0. Fix is missing: its table is not trained and would stay 0.
_ZERO: Mapping[type[SynthesizingFunction], str] = {
    Random: "table",
    FactorizedRandom: "r2",
    Dense: "w2",
    FactorizedDense: "wb",
    Toeplitz: "table",
}
_ALPHA = f"{Mixture.scope}/alpha"


def beginning(
    scope: str,
    layer: SyntheticAttention,
    share: float,
    fitted: Mapping[str, np.ndarray] | None = None,
) -> Beginning:
    """Return the initial values of a layer.

    Args:
      scope: variable scope of the layer.
      layer: the layer.
      share: α of V in a `Mixture`; the other terms share the rest equally.
      fitted: variables of a function without V that was fitted.

    Raises:
      errors.UserError: the layer has `Heads`, or a function beside V that can't begin at 0.
    """
    if isinstance(layer.synthesizer, Heads):
        raise errors.UserError(
            f"{scope}: each group of Heads has its own projections, which a T5 checkpoint lacks. "
            "Train this model from initial values, or choose a Mixture"
        )
    terms = _terms(layer.synthesizer)
    count = sum(isinstance(term, DotProduct) for term in terms)
    if not count:
        return Beginning(scope, own=_fitted(layer.synthesizer, fitted or {}))
    _check(scope, layer, terms, count)
    own = {name: Own("zero", lambda zeros: zeros) for name in _zeros(terms)}
    if not isinstance(layer.synthesizer, Mixture):
        return Beginning(scope, 1.0, True, own)
    logits = _alpha_logits([isinstance(term, DotProduct) for term in terms], share)
    alphas = scipy.special.softmax(logits.astype(np.float64))
    shown = ", ".join(f"{alpha:.4g}" for alpha in alphas)
    own[_ALPHA] = Own(f"α = {shown}", lambda zeros: zeros + logits)
    of_v = alphas[[isinstance(term, DotProduct) for term in terms].index(True)]
    return Beginning(scope, float(1 / of_v), True, own)


def _fitted(function: SynthesizingFunction, fitted: Mapping[str, np.ndarray]) -> Mapping[str, Own]:
    """The variables of a fitted function, without the dimension of heads in a layer with one."""

    def own(value: np.ndarray) -> Own:
        return Own("fitted", lambda zeros: value.reshape(zeros.shape).astype(zeros.dtype))

    return {f"{function.scope}/{name}": own(value) for name, value in fitted.items()}


def _terms(function: SynthesizingFunction) -> Sequence[SynthesizingFunction]:
    return function.functions if isinstance(function, Mixture | Sum) else (function,)


def _check(
    scope: str, layer: SyntheticAttention, terms: Sequence[SynthesizingFunction], count: int
) -> None:
    unknown = [type(term).__name__ for term in terms if type(term) not in (*_ZERO, DotProduct)]
    if unknown or count > 1:
        functions = ", ".join(unknown) or f"{count} DotProduct"
        raise errors.UserError(
            f"{scope}: {functions} can't begin with logits of 0. Give a Mixture or Sum of one "
            f"DotProduct with {', '.join(kind.__name__ for kind in _ZERO)}"
        )
    if layer.relative_attention_type == "contextual" and isinstance(layer.synthesizer, Mixture):
        raise errors.UserError(
            f"{scope}: SyntheticAttention.relative_attention_type = 'contextual' reads the query, "
            "whose scale changes. Choose 'bias' or 'bias_shared', as in T5's models"
        )


def _zeros(terms: Sequence[SynthesizingFunction]) -> Iterator[str]:
    """Yield names of zero variables below the layer's scope; repeated classes are numbered."""
    used: Counter[str] = Counter()
    for term in terms:
        number = used[term.scope]
        used[term.scope] += 1
        if type(term) in _ZERO:
            scope = f"{term.scope}_{number}" if number else term.scope
            yield f"{scope}/{_ZERO[type(term)]}"


def _alpha_logits(is_dot_product: Sequence[bool], share: float) -> np.ndarray:
    """Return logits, float32 [terms], whose softmax gives V its share.

    Their mean is 1, as in a new mixture, because Adafactor's steps are proportional to the size of
    a variable.
    """
    others = len(is_dot_product) - 1
    shares = [share if is_v else (1 - share) / others for is_v in is_dot_product] if others else [1]
    logits = np.log(np.array(shares, np.float64))
    return (1 + logits - logits.mean()).astype(np.float32)
