"""Every synthesizing function and the mixtures of the paper, for tests to run over.

A new leaf that is not listed here fails `test_reference.py`.
"""

from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz, Uniform
from mtf_synthesizer.attention.positions import Tile
from mtf_synthesizer.attention.stretched import Interpolate, LearnedTile
from mtf_synthesizer.attention.synthesizers import (
    Dense,
    DotProduct,
    FactorizedDense,
    FactorizedRandom,
    FixedRandom,
    Mixture,
    QueryProjection,
    Random,
    Sum,
)

N = 12  # 3 * 4, so that a factorized dense function is factorized

VARIANTS = {
    "v": DotProduct,
    "r": lambda: Random(N),
    "fix": lambda: FixedRandom(N),
    "banded": lambda: BandedRandom(N, 2),
    "fr": lambda: FactorizedRandom(N, rank=2),
    "d": lambda: Dense(N),
    "d_shared": lambda: Dense(N, shared_heads=True),
    "fd": lambda: FactorizedDense(N),
    "rv": lambda: Mixture([Random(N), DotProduct()]),
    "dv": lambda: Mixture([Dense(N), DotProduct()]),
    "rd": lambda: Mixture([Random(N), Dense(N)]),
    "frv": lambda: Mixture([FactorizedRandom(N, rank=2), DotProduct()]),
    "frd": lambda: Mixture([FactorizedRandom(N, rank=2), Dense(N)]),
    "rdv": lambda: Mixture([Random(N), Dense(N), DotProduct()]),
    "r_plus_v": lambda: Sum([Random(N), DotProduct()]),
    "d_plus_v": lambda: Sum([Dense(N, hidden=QueryProjection(), shared_heads=True), DotProduct()]),
    "twice": lambda: Mixture([Random(N), DotProduct(), DotProduct(), Random(N)]),
    "toeplitz": lambda: Toeplitz(4),  # distances up to 6 in the rows of the tests
    "uniform": Uniform,
    "nested": lambda: Mixture([Sum([Random(N), FactorizedRandom(N, 2)]), FixedRandom(N)]),
}

# Without the mixtures whose terms, and their sum, are in another one.
DISTINCT = [
    name for name in VARIANTS if name not in {"rv", "dv", "rd", "frv", "frd", "d_plus_v", "twice"}
]

GLOBAL = (
    "r",
    "fix",
    "fr",
    "banded",
    "toeplitz",
    "uniform",
    "nested",
)  # no term depends on the example

T = 4  # tables shorter than the rows of the tests, with the tiling policy

TILED = {
    "r": lambda: Random(T, beyond_max_length=Tile()),
    "fix": lambda: FixedRandom(T, beyond_max_length=Tile()),
    "fr": lambda: FactorizedRandom(T, rank=2, beyond_max_length=Tile()),
    "d": lambda: Dense(T, beyond_max_length=Tile()),
    "fd": lambda: FactorizedDense(T, beyond_max_length=Tile()),
    "banded": lambda: BandedRandom(T, 2, beyond_max_length=Tile()),
    "r stretched": lambda: Random(T, beyond_max_length=Interpolate(N + 1)),
    "d stretched": lambda: Dense(T, beyond_max_length=Interpolate(N + 1)),
    "fd stretched": lambda: FactorizedDense(T, beyond_max_length=Interpolate(N + 1)),
}

# Tables whose rows for the tests' positions are learned mixtures of theirs.
LEARNED = {
    "r learned": lambda: Random(T, beyond_max_length=LearnedTile(N + 1)),
    "fr learned": lambda: FactorizedRandom(T, rank=2, beyond_max_length=LearnedTile(N + 1)),
    "d learned": lambda: Dense(T, beyond_max_length=LearnedTile(N + 1)),
    "fd learned": lambda: FactorizedDense(T, beyond_max_length=LearnedTile(N + 1)),
}
