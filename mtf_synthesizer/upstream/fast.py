"""What `fast_cpu.gin` binds, installed into Mesh: importing this module changes no result."""

from __future__ import annotations

from mtf_synthesizer.upstream import dot_product, optimizer, products, relu, sublayers

for part in (dot_product, optimizer, products, relu, sublayers):
    part.install()
