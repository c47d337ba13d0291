"""Functions that gin chooses instead of Mesh's own; importing this module changes no result."""

from __future__ import annotations

import functools

from mtf_synthesizer.upstream import dot_product, optimizer, products, relu, sublayers


@functools.cache
def install() -> None:
    """Let gin choose attention, norms and Adafactor, and install products and ReLU's gradient."""
    for part in (dot_product, optimizer, products, relu, sublayers):
        part.install()


install()  # gin files import this module before they bind the choices
