"""Peak memory is that of the steps, and of nothing that came before them."""

import sys

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer_layers

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.studies.bench.lineup import BenchEntry
from mtf_synthesizer.studies.bench.memory import of_entry, of_steps
from mtf_synthesizer.studies.bench.program import Program
from mtf_synthesizer.studies.bench.setting import Setting, Size

SIZE = Size(16, 24, 2, 8, 1, 32, 2, 12, 8)
MIB = 2**20
BIG = mtf.Dimension("big", 300 * MIB // (SIZE.batch * SIZE.inputs_length * SIZE.d_model * 4))


class Hungry(transformer_layers.SelfAttention):
    """Makes a tensor of 300 MiB in the encoder."""

    def call(self, context, x, losses=None):
        if context.model.autoregressive:
            return super().call(context, x, losses)
        scaled = x * mtf.cast(mtf.range(x.mesh, BIG, tf.int32), x.dtype)
        return mtf.reduce_max(scaled, reduced_dim=BIG)


def needed(layer):
    step = Program(
        lambda size, dropout: layer(num_heads=SIZE.num_heads, key_value_size=SIZE.d_kv),
        Setting(SIZE, mode="evaluate"),
    )
    np.ones(500 * MIB, np.uint8)  # before the base, so no part of what steps need
    memory = of_steps(step)
    step.close()
    assert memory.base_rss_mib > 0
    return memory.peak_rss_mib - memory.base_rss_mib


@pytest.mark.slow
def test_a_tensor_is_seen():
    plain = needed(transformer_layers.SelfAttention)
    assert 0 <= plain < 150
    assert 290 < needed(Hungry) < 290 + 2 * 300 + 150


@pytest.mark.slow
def test_a_fresh_process():
    ballast = np.ones(1000 * MIB, np.uint8)
    memory = of_entry(BenchEntry("r", "float32", Setting(SIZE, threads=1)))
    assert 100 < memory.base_rss_mib <= memory.peak_rss_mib < 1000  # without this one's ballast
    assert ballast[-1]


def test_a_process_that_fails(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=r"r: .* status 1 .*--no_memory"):
        of_entry(BenchEntry("r", "float32", Setting(SIZE)))
