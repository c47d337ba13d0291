"""The baselines at test sizes, and the stacks that each is for."""

import functools

import numpy as np
from harness import D_KV, D_MODEL, HEADS

from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.baselines.convolutions import DynamicConv, LightConv
from mtf_synthesizer.baselines.linformer import Linformer
from mtf_synthesizer.baselines.mixer import TokenMixing
from mtf_synthesizer.baselines.raganato import FixedPatterns

BATCH, LENGTH, WIDTH, RANK, N = 2, 11, 5, 3, 13
X = np.random.RandomState(0).normal(size=(BATCH, LENGTH, D_MODEL))
COTANGENT = np.random.RandomState(1).normal(size=X.shape)
TOKENS = np.array([[3, 1, 4, 1, 5, 9, 2, 0, 0, 0, 0], [2] * LENGTH])


def fixed_patterns(num_heads, **options):
    """The patterns have 8 heads, whatever the others are asked for."""
    return SyntheticAttention(FixedPatterns(), num_heads=8, **options)


CONVOLUTIONS = {"lightconv": LightConv, "dynconv": DynamicConv}
MAKERS = {name: functools.partial(c, kernel_width=WIDTH) for name, c in CONVOLUTIONS.items()} | {
    "mixer": functools.partial(TokenMixing, max_length=N),
    "linformer": functools.partial(Linformer, max_length=N, rank=RANK),
    "linformer shared": functools.partial(Linformer, max_length=N, rank=RANK, shared_heads=True),
    "raganato": fixed_patterns,
}
DECODERS = ("lightconv", "dynconv", "mixer")
STACKED = [(name, False) for name in MAKERS] + [(name, True) for name in DECODERS]


def layer(name, **options):
    """A layer with the sizes of the tests unless `options` say otherwise."""
    return MAKERS[name](**{"num_heads": HEADS, "key_value_size": D_KV, **options})
