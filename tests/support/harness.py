"""Builds a tiny model, lowers it on a layout of virtual devices, sets its weights and runs it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from eager_meshes import eager
from mesh_tensorflow.transformer import transformer, transformer_layers

Build = Callable[[mtf.Mesh], Mapping[str, mtf.Tensor]]
Layer = transformer.TransformerLayer

# Prime sizes: a swapped axis can't pass.
D_MODEL, D_KV, HEADS, D_FF, VOCAB = 13, 5, 3, 17, 19


def run(
    build: Build,
    weights: Mapping[str, np.ndarray] | None = None,
    mesh_shape: str = "",
    layout: str = "",
    gradients_of: str | None = None,
    scale: float = 0.5,
) -> dict[str, np.ndarray]:
    """Builds a Mesh graph, lowers it and so runs it once.

    Args:
      build: makes the graph on a mesh and returns its named outputs.
      weights: values of variables by name; the others are drawn from a generator seeded by their
        name, so that two graphs with equal names have equal weights.
      mesh_shape: for example "all:2"; each processor is the CPU.
      layout: for example "batch:all".
      gradients_of: an output (a scalar) whose gradient to each trainable variable is added to
        the result as "grad/<variable>".
      scale: standard deviation of drawn weights.

    Returns:
      The outputs by name, gradients, and the weights as "weight/<variable>".
    """

    def get_variable(getter, name, shape, initializer=None, **options):
        del initializer
        value = _value(name, shape, weights or {}, scale)
        return getter(name, shape, initializer=tf.constant_initializer(value), **options)

    with eager(), tf.variable_scope("", custom_getter=get_variable):
        graph = mtf.Graph()
        mesh = mtf.Mesh(graph, "test")
        outputs = dict(build(mesh))
        if gradients_of:
            variables = graph.trainable_variables
            grads = mtf.gradients([outputs[gradients_of]], [v.outputs[0] for v in variables])
            for variable, grad in zip(variables, grads, strict=True):
                assert grad is not None, f"no gradient for {variable.name}"
                outputs[f"grad/{variable.name}"] = grad
        shape = mtf.convert_to_shape(mesh_shape)
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl(
            shape, mtf.convert_to_layout_rules(layout), ["cpu:0"] * max(shape.size, 1)
        )
        lowering = mtf.Lowering(graph, {mesh: implementation})
        result = {name: lowering.export_to_tf_tensor(t).numpy() for name, t in outputs.items()}
        for name, variable in graph.name_to_variable.items():
            result[f"weight/{name}"] = variable.get_master().numpy()
        return result


def weights_of(result: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights in what `run` returns, by variable."""
    return {k.removeprefix("weight/"): v for k, v in result.items() if k.startswith("weight/")}


def assert_same_results(
    actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> None:
    """Two results of `run` differ by no more than the order in which float32 numbers are added.

    A sum of large numbers that cancel keeps their rounding, so the bound grows with the largest
    entry of an array.
    """
    assert set(actual) == set(expected)
    for key, value in expected.items():
        bound = 2e-5 * max(1, np.abs(value).max(initial=0))
        np.testing.assert_allclose(actual[key], value, rtol=1e-4, atol=bound, err_msg=key)


def assert_bfloat16_is_near(
    call: Callable[..., Mapping[str, np.ndarray]], real: np.ndarray
) -> None:
    """Values and gradients of `call` with bfloat16 activations are near those with float32.

    The weights are small: with large ones a softmax is a choice, whose gradient is a difference of
    nearly equal numbers.

    Args:
      call: `call_layer` with all but the activations' type.
      real: [batch, length, 1], 0 for padding, whose values say nothing.
    """
    exact, rough = (call(activation_dtype=dtype, scale=0.25) for dtype in (tf.float32, tf.bfloat16))
    for key in exact:
        if key == "y" or key.startswith("grad/"):
            a, b = (r[key] * (real if key in ("y", "grad/x") else 1) for r in (exact, rough))
            # Seen: 0.02, with AVX2 alone, which rounds partial sums more often than AVX-512.
            assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(a) + 1e-6, key


def _value(
    name: str, shape: Sequence[int], weights: Mapping[str, np.ndarray], scale: float
) -> np.ndarray:
    if name in weights:
        return np.reshape(weights[name], shape)
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("/scale"):
        return 1 + 0.1 * draw.normal(size=shape)
    return draw.normal(size=shape, scale=scale)


def stack(layers: Sequence[Layer]) -> transformer.LayerStack:
    """Layers with T5's norms and residuals, without dropout."""
    per_layer = [
        transformer.sublayer_rms_norm,
        transformer.sublayer_call_layer,
        transformer.sublayer_residual,
    ]
    for number, layer in enumerate(layers):
        layer.set_name(f"layer_{number:03d}")
    return transformer.LayerStack(
        layers=list(layers),
        sublayers_initial=[],
        sublayers_per_layer=per_layer,
        sublayers_final=[transformer.sublayer_rms_norm],
    )


def unitransformer(layers: Sequence[Layer], autoregressive: bool = True, **options):
    """A `Unitransformer` of test sizes: a language model, or an encoder."""
    return transformer.Unitransformer(
        layer_stack=stack(layers),
        d_model=D_MODEL,
        input_vocab_size=VOCAB,
        output_vocab_size=VOCAB if autoregressive else None,
        autoregressive=autoregressive,
        max_length=64,
        vocab_divisor=1,
        positional_embedding=False,
        **options,
    )


def bitransformer(
    layer: Callable[[], Layer],
    layers: int = 1,
    heads: int = HEADS,
    feeds: bool = True,
    cross: Callable[[], Layer] | None = None,
) -> transformer.Bitransformer:
    """An encoder and a decoder with `layer()` as self-attention; `feeds`: with feed-forward.

    Attention over the encoder's output is `cross()`, T5's unless given.
    """
    feed = [feed_forward] if feeds else []
    encoding = [layer, *feed] * layers
    decoding = [layer, cross or (lambda: cross_attention(heads)), *feed] * layers
    encoder = unitransformer([make() for make in encoding], autoregressive=False, name="encoder")
    decoder = unitransformer([make() for make in decoding], name="decoder")
    return transformer.Bitransformer(encoder, decoder)


def feed_forward() -> Layer:
    return transformer_layers.DenseReluDense(hidden_size=D_FF)


def cross_attention(heads: int) -> Layer:
    return transformer_layers.EncDecAttention(num_heads=heads, key_value_size=D_KV)


def constant(mesh: mtf.Mesh, value, dims: Sequence[mtf.Dimension | str]) -> mtf.Tensor:
    """An array as a tensor; a dimension may be given by its name."""
    value = np.asarray(value)
    if value.dtype == np.int64:
        value = value.astype(np.int32)
    named = [
        d if isinstance(d, mtf.Dimension) else mtf.Dimension(d, size)
        for d, size in zip(dims, value.shape, strict=True)
    ]
    return mtf.import_tf_tensor(mesh, tf.constant(value), mtf.Shape(named))


def layer_context(
    mesh: mtf.Mesh,
    batch: int,
    length: int,
    autoregressive: bool,
    mode: str = "eval",
    sequence_id: mtf.Tensor | None = None,
    activation_dtype: tf.DType = tf.float32,
) -> transformer.Context:
    """The context that a stack of T5 shows to a layer."""
    batch_dim, length_dim = mtf.Dimension("batch", batch), mtf.Dimension("length", length)
    positions = mtf.range(mesh, length_dim, tf.int32)
    priority = positions if autoregressive else None
    return transformer.Context(
        model=unitransformer([], autoregressive=autoregressive),
        mesh=mesh,
        batch_dims=[batch_dim],
        length_dim=length_dim,
        variable_dtype=mtf.VariableDType(activation_dtype=activation_dtype),
        mode=mode,
        position=positions,
        position_is_default=True,
        sequence_id=sequence_id,
        losses=[],
        read_priority=priority,
        write_priority=priority,
    )


def unpacked_ids(mesh: mtf.Mesh, tokens: np.ndarray) -> mtf.Tensor:
    """Ids as `Bitransformer` makes them for rows that are not packed."""
    return mtf.minimum(constant(mesh, tokens, ["batch", "length"]), 1)


def call_layer(
    layer: Layer,
    x: np.ndarray,
    autoregressive: bool = False,
    sequence_id: Callable[[mtf.Mesh], mtf.Tensor] | None = None,
    mode: str = "eval",
    cotangent: np.ndarray | None = None,
    activation_dtype: tf.DType = tf.float32,
    **run_options,
) -> dict[str, np.ndarray]:
    """Calls one layer on x [batch, length, d_model]; "y" is its output.

    With a cotangent (of x's shape) gradients of sum(y * cotangent) are there too, "grad/x" and
    "grad/<variable>".
    """

    def build(mesh: mtf.Mesh) -> dict[str, mtf.Tensor]:
        ids = sequence_id(mesh) if sequence_id else None
        context = layer_context(mesh, *x.shape[:2], autoregressive, mode, ids, activation_dtype)
        dims = ["batch", "length", "d_model"]
        inputs = mtf.cast(constant(mesh, x.astype(np.float32), dims), activation_dtype)
        y = mtf.cast(layer.call(context, inputs), tf.float32)
        outputs = {"y": y}
        if cotangent is not None:
            weight = constant(mesh, cotangent.astype(np.float32), dims)
            outputs["objective"] = mtf.reduce_sum(y * weight)
            outputs["grad/x"] = mtf.gradients([outputs["objective"]], [inputs])[0]
        return outputs

    gradients_of = None if cotangent is None else "objective"
    return run(build, gradients_of=gradients_of, **run_options)
