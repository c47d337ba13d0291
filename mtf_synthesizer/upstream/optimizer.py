"""Updates of Adafactor, as chosen by gin."""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf

from mtf_synthesizer.mesh.adafactor import adafactor_core, offers

_apply_grad = mtf.optimize.AdafactorOptimizer.apply_grad


def install() -> None:
    """Make Adafactor use `adafactor_core`: Mesh's updates unless gin binds it."""
    mtf.optimize.AdafactorOptimizer.apply_grad = _apply_chosen


def _apply_chosen(
    optimizer: mtf.optimize.AdafactorOptimizer, grad: mtf.Tensor | None, variable: mtf.Variable
) -> list[mtf.Operation]:
    update = adafactor_core()
    if update is None or grad is None or not offers(optimizer, variable):
        return _apply_grad(optimizer, grad, variable)
    return update(optimizer, grad, variable)
