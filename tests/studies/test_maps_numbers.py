"""Numbers of attention and of tables, by hand."""

import numpy as np
import pytest

from mtf_synthesizer.studies.maps import numbers

DRAW = np.random.RandomState(0)
N = 7


def test_a_toeplitz_table_is_explained_by_distances():
    """Also with other means of rows, which change no attention, and below a causal mask."""
    behind = np.arange(N)[:, None] - np.arange(N) + N - 1
    table = DRAW.normal(size=2 * N - 1)[behind] + DRAW.normal(size=(N, 1))
    for causal in (False, True):
        assert numbers.of_table(table, causal)[1] > 0.99
        assert numbers.of_table(DRAW.normal(size=(N, N)), causal)[1] < 0.7


@pytest.mark.parametrize("rank", [1, 3])
def test_effective_rank(rank):
    """Equal singular values count fully; small ones hardly."""
    left = np.linalg.qr(np.c_[np.ones(N), DRAW.normal(size=(N, N - 1))])[0][:, 1:]
    table = left[:, :rank] @ left[:, :rank].T  # rows of mean 0
    np.testing.assert_allclose(numbers.of_table(table, False)[0], rank, rtol=1e-6)
    nearly = table + 1e-3 * np.outer(left[:, 4], left[:, 5])
    np.testing.assert_allclose(numbers.of_table(nearly, False)[0], rank, rtol=1e-3)


def test_shares():
    assert numbers.share_between(np.array([0.05, 0.1, 0.15, 0.2, 0.3])) == 0.6
    weights = np.zeros((2, 3, 3))
    weights[0] = np.eye(3)
    weights[1] = 1 / 3
    np.testing.assert_allclose(numbers.near([weights], 1), [1, 7 / 9])
    np.testing.assert_allclose(numbers.near([weights], 5), [1, 1])


@pytest.mark.parametrize(
    ("tokens", "place"),
    [
        (["mrpc", "▁sentence", "1:", "▁a", "▁b", "▁sentence", "2:", "▁c"], 5),
        (["same", "▁verse", ":", "▁first", ":", "▁x", "▁second", ":", "▁y"], 6),
        (["sst2", "▁sentence", ":", "▁good"], None),
        (list("mnli hypothesis: a premise: b"), 19),
        (["modern", ":", "▁the", "▁second", ":", "▁day"], None),
    ],
)
def test_where_the_second_text_begins(tokens, place):
    assert numbers.second_text(tokens) == place
