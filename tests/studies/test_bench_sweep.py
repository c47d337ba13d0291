"""Growth with the length: the fit on times that are known, and shapes with as many tokens."""

import pytest

from mtf_synthesizer.studies.bench import sweep
from mtf_synthesizer.studies.bench.setting import SIZES, Setting


@pytest.mark.parametrize("power", [0, 1, 2])
def test_powers(power):
    lengths = [128, 256, 512, 1024]
    times = [3.0 * length**power for length in lengths]
    assert sweep.exponent(lengths, times) == pytest.approx(power)
    assert sweep.exponents(lengths, times) == pytest.approx([power] * 3)


def test_least_squares():
    # Logarithms (0, 0), (1, 1), (2, 3): the slope is 3 / 2.
    assert sweep.exponent([1, 2, 4], [1, 2, 8]) == pytest.approx(1.5)
    assert sweep.exponents([1, 2, 4], [1, 2, 8]) == pytest.approx([1, 2])
    assert sweep.exponents([1, 4], [1, 2]) == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("length", "batch", "targets"),
    [(128, 32, 28), (256, 16, 57), (512, 8, 114), (1024, 4, 228), (2048, 2, 456)],
)
def test_as_many_tokens(length, batch, targets):
    small = Setting(SIZES["small"])
    size = sweep.at_length(small, length).size
    assert (size.inputs_length, size.batch, size.targets_length) == (length, batch, targets)
    assert sweep.at_length(small, 512) == small
