"""What is measured: real training steps, evaluation without gradients, and whole decoding."""

import dataclasses
import functools

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.studies.bench import program as benchmark_model
from mtf_synthesizer.studies.bench.program import Program, flops
from mtf_synthesizer.studies.bench.rows import layers, recurrent
from mtf_synthesizer.studies.bench.setting import PUBLIC_TABLES, Setting, Size

SIZE = Size(16, 24, 2, 8, 1, 32, 2, 12, 8)
D, FF, HEADS, KV, _, _, BATCH, INPUTS, TARGETS = dataclasses.astuple(SIZE)
WORDS = 128  # 32, as Mesh rounds it up
EOS = 1


def program(row, **options):
    return Program.of_row(row, Setting(SIZE, **options))


# One row of each kind of layer. tests/config/test_gin.py trains a step with every gin file.
KINDS = ("t5", "mesh-rv", "mesh-lightconv", "rdv", "heads_rv", "lightconv", "linformer")
KINDS += ("universal", "none")


@pytest.mark.parametrize("row", KINDS)
def test_a_row_of_each_kind_trains(row, monkeypatch):
    few = {"universal": functools.partial(recurrent, steps=2)}  # 24 take long to build
    monkeypatch.setattr(benchmark_model, "_STACKS", few)
    # The public layer only trains with tables of 512.
    lengths = {"inputs_length": 512, "targets_length": 512} if row in PUBLIC_TABLES else {}
    setting = Setting(dataclasses.replace(SIZE, **lengths), packed=2)
    step = Program.of_row(row, setting)
    losses = [step.run() for _ in range(30 if row in PUBLIC_TABLES else 60)]
    step.close()
    assert sum(losses[-5:]) < sum(losses[:5])


def test_encoders_train():
    setting = Setting(SIZE, encoder_only=True).as_trained
    step = Program.of_row("frv", setting)
    losses = [step.run() for _ in range(40)]
    assert sum(losses[-5:]) < sum(losses[:5])
    heads, tokens = HEADS * KV, BATCH * INPUTS
    products = 4 * D * heads + 2 * heads * INPUTS + 2 * D * FF + D * WORDS
    # Of FR+V's own products this is V's part.
    assert flops("v", Setting(SIZE, mode="evaluate", encoder_only=True)) == 2 * tokens * products


def test_a_step_by_type_of_operation():
    step = program("t5", mode="evaluate")
    found = step.operations()
    assert sum(found.values()) > 0
    assert [*found.values()] == sorted(found.values(), reverse=True)
    # oneDNN's own operations, which depend on the processor's instructions, have a prefix.
    names = {name.removeprefix("_Mkl") for name in found}
    assert {"Einsum", "MatMul", "BatchMatMulV2"} & names


def test_only_the_whole_step_trains():
    step = program("r", dropout=0.0)
    before = step.run("forward")
    assert step.run("backward") == before == step.run()
    assert step.run("forward") < before


@pytest.mark.slow
def test_the_backward_pass_is_run():
    """TensorFlow leaves out whatever nothing is fetched of."""
    step = program("t5")

    def products(part):
        trace = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        ran = tf.RunMetadata()
        step._session.run(step._fetches[part], options=trace, run_metadata=ran)
        [device] = ran.step_stats.dev_stats
        return sum("Einsum" in node.node_name for node in device.node_stats)

    # A product more for each factor that has a gradient.
    assert products("backward") > 2 * products("forward") > 0
    assert products("step") >= products("backward")


def test_evaluation_neither_drops_out_nor_trains():
    step = program("rv", mode="evaluate", dropout=0.5)
    assert step.run() == step.run()


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "beams"), [("greedy", 1), ("beam", 4)])
def test_cache(mode, beams):
    token = HEADS * KV * 4
    for row, tensors in (("t5", 2), ("r", 1), ("rv", 2), ("none", 0)):
        assert program(row, mode=mode).cache_bytes == beams * BATCH * TARGETS * tensors * token
    # The kernel's width of inputs, however many tokens there are.
    assert program("lightconv", mode=mode).cache_bytes == beams * BATCH * 8 * D * 4


@pytest.mark.slow
def test_cache_of_all_layers():
    deeper = Setting(dataclasses.replace(SIZE, num_layers=3), mode="greedy")
    cache = Program(layers()["r"], deeper).cache_bytes
    assert cache == 3 * program("r", mode="greedy").cache_bytes


class Ending(transformer.VocabEmbedding):
    """Wants to end at once."""

    def hidden_to_logits(self, hidden, context):
        logits = super().hidden_to_logits(hidden, context)
        end = mtf.constant(hidden.mesh, EOS, dtype=tf.int32)
        return logits + mtf.one_hot(end, logits.shape.dims[-1], on_value=1e4)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["greedy", "beam"])
def test_decoding_goes_on_to_the_end(monkeypatch, mode):
    """As many steps as tokens, with a model that would stop after the first."""
    steps = []

    class Counted(transformer_layers.SelfAttention):
        def call(self, context, x, losses=None):
            y = super().call(context, x, losses)
            if context.mode != "incremental":
                return y
            return mtf.slicewise(noted(steps.append), [y], splittable_dims=[])

    monkeypatch.setattr(benchmark_model, "GatheredEmbedding", Ending)
    made = Program(
        lambda size, dropout: Counted(num_heads=HEADS, key_value_size=KV),
        Setting(SIZE, mode=mode, gathered=True),
    )
    assert made.run().shape == (BATCH, TARGETS)
    assert len(steps) == TARGETS


def noted(note):
    """An identity that tells `note` of every value it is run with."""

    def run(value):
        note(value)
        return value

    def identity(x):
        result = tf.py_func(run, [x], x.dtype)
        result.set_shape(x.shape)
        return result

    return identity


def test_flops():
    def products(tokens, *widths):
        return 2 * tokens * np.prod(widths)

    heads = HEADS * KV
    encoder, decoder = BATCH * INPUTS, BATCH * TARGETS
    forward = (
        4 * products(encoder, D, heads)
        + 2 * products(encoder, heads, INPUTS)
        + 2 * products(encoder, D, FF)
        + 4 * products(decoder, D, heads)
        + 2 * products(decoder, heads, TARGETS)
        + 2 * products(decoder, D, heads)  # of the attention to the encoder
        + 2 * products(encoder, D, heads)
        + 2 * products(decoder, heads, INPUTS)
        + 2 * products(decoder, D, FF)
        + products(decoder, D, WORDS)
    )
    assert flops("t5", Setting(SIZE, mode="evaluate")) == forward
    assert flops("t5", Setting(SIZE)) == 3 * forward
    assert flops("t5", Setting(SIZE, mode="greedy")) is None
