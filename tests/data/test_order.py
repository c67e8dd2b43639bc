"""The data order is a bijection of every epoch, the same in any slices, well mixed, and without state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sevenfold.data import order as module
from sevenfold.data.order import order
from sevenfold.errors import UsageError

LARGE = module._SORTED_UP_TO + 1
GOLDEN_SMALL = [9, 784, 623, 375, 297, 304, 746, 161]
GOLDEN_LARGE = [79098739, 81159282, 90630660, 63972579, 9253076, 40682176, 96739910, 49227620]
seeds = st.integers(0, 2**80)
epochs = st.integers(0, 10**6)


@given(seeds, epochs, st.integers(1, 3000))
@settings(max_examples=60, deadline=None)
def test_an_epoch_is_a_bijection(seed: int, epoch: int, size: int) -> None:
    assert sorted(order(seed, epoch, 0, size, size).tolist()) == list(range(size))


@given(seeds, epochs, st.one_of(st.integers(1, 5000), st.sampled_from([1, 2, 3, 4, 9, 16, 17, 4096, 4097])))
@settings(max_examples=60, deadline=None)
def test_the_network_for_large_sets_is_a_bijection_at_any_size(seed: int, epoch: int, size: int) -> None:
    positions = np.arange(size, dtype=np.uint64)
    indices = module._feistel(positions, module._keys("batches", seed, epoch), size)
    assert sorted(indices.tolist()) == list(range(size))


@pytest.mark.parametrize("size", [LARGE, LARGE + 12_345, 447**2])
def test_a_large_epoch_is_a_bijection(size: int) -> None:
    indices = order(3, 1, 0, size, size)
    assert indices.dtype == np.int64
    assert np.array_equal(np.sort(indices), np.arange(size))


@given(seeds, epochs, st.sampled_from([1, 2, 3, 64, 1797, LARGE, LARGE + 9000]), st.data())
@settings(max_examples=40, deadline=None)
def test_slices_agree_with_the_whole(seed: int, epoch: int, size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size))
    count = data.draw(st.integers(0, size - start))
    whole = order(seed, epoch, 0, size, size)
    assert np.array_equal(order(seed, epoch, start, count, size), whole[start : start + count])


@pytest.mark.parametrize("size", [1797, LARGE])
def test_seeds_epochs_and_purposes_give_orders_of_their_own(size: int) -> None:
    base = order(0, 0, 0, 1000, size)
    for other in (
        order(1, 0, 0, 1000, size),
        order(0, 1, 0, 1000, size),
        order(2**64, 0, 0, 1000, size),
        order(0, 0, 0, 1000, size, purpose="splits"),
    ):
        # Two random orders agree at one position in a size of `size`: at 8 of 1000 positions with p < 1e-6.
        assert np.count_nonzero(base == other) < 8


def test_positions_are_uniform_over_seeds() -> None:
    size, trials = 12, 6000
    counts = np.zeros((size, size))
    for seed in range(trials):
        counts[np.arange(size), order(seed, 0, 0, size, size)] += 1
    statistic = ((counts - trials / size) ** 2 / (trials / size)).sum()
    # A random permutation matrix has (size - 1)^2 degrees of freedom and variance size / (size - 1) of its cells.
    assert 1e-4 < stats.chi2.sf(statistic * (size - 1) / size, (size - 1) ** 2) < 1 - 1e-4


def test_all_permutations_of_four_are_equally_frequent() -> None:
    trials = 12_000
    seen: dict[tuple[int, ...], int] = {}
    for epoch in range(trials):
        permutation = tuple(order(7, epoch, 0, 4, 4).tolist())
        seen[permutation] = seen.get(permutation, 0) + 1
    assert len(seen) == 24
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4


def test_a_large_order_is_well_mixed() -> None:
    size = 1_000_003
    indices = order(5, 2, 0, 65_536, size)
    cells = np.histogram(indices, bins=256, range=(0, size))[0]
    assert 1e-4 < stats.chisquare(cells).pvalue < 1 - 1e-4
    assert abs(np.corrcoef(indices[:-1], indices[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.arange(len(indices)), indices)[0, 1]) < 0.02


def test_what_is_returned_belongs_to_the_caller() -> None:
    before = order(0, 0, 0, 10, 10)
    order(0, 0, 0, 10, 10)[:] = -1
    assert np.array_equal(order(0, 0, 0, 10, 10), before)


def test_the_order_never_moves() -> None:
    # Golden: a recorded run resumes with the order that it began with, so these numbers must never move.
    assert order(0, 0, 0, 8, 1078).tolist() == GOLDEN_SMALL
    assert order(0, 0, 70_000, 8, 100_000_000).tolist() == GOLDEN_LARGE


@pytest.mark.parametrize(("start", "count", "size"), [(0, 1, 0), (-1, 1, 4), (0, 5, 4), (4, 1, 4), (0, -1, 4)])
def test_positions_outside_the_epoch_are_refused(start: int, count: int, size: int) -> None:
    with pytest.raises(UsageError, match="no such positions"):
        order(0, 0, start, count, size)
