"""Mesh's products on CPUs, computed by `mesh.products`."""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.mesh import products


def install() -> None:
    """Make every product of a mesh of CPUs follow the precision of this process.

    Float32 processes, GPUs and TPUs multiply as before. A second call changes nothing.
    """
    mtf.placement_mesh_impl.PlacementMeshImpl.einsum = _einsum


def _einsum(
    mesh_impl: mtf.placement_mesh_impl.PlacementMeshImpl, equation: str, *operands: tf.Tensor
) -> tf.Tensor:
    if products.on_processors(mesh_impl):
        return products.einsum(equation, *operands)
    return tf.einsum(equation, *operands)
