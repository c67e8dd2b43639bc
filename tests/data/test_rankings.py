"""Noisy rankings: each ranking as often as Mallows' model says, and the share of wrong pairs that was asked for."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest

from sevenfold.data.rankings import noisy_ranking, spread_of
from sevenfold.errors import UsageError


def wrong_pairs(ranking):
    return sum(first > second for first, second in combinations(ranking, 2))


@pytest.mark.parametrize("error_rate", [0.05, 0.2, 0.45])
def test_every_ranking_has_its_probability(error_rate):
    phi = spread_of(3, error_rate)
    shares = {ranking: phi ** wrong_pairs(ranking) for ranking in permutations(range(3))}
    total = sum(shares.values())
    # the definition of the rate, over all rankings
    assert sum(wrong_pairs(r) * share for r, share in shares.items()) / total / 3 == pytest.approx(error_rate)
    worth = np.array([3.0, 2.0, 1.0])
    found = Counter(tuple(noisy_ranking(worth, error_rate, seed).tolist()) for seed in range(4000))
    for ranking, share in shares.items():
        expected = share / total
        assert abs(found[ranking] / 4000 - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)


def test_equals_stand_in_either_order_and_extremes_are_exact():
    first = Counter(noisy_ranking(np.array([1.0, 1.0, 0.0]), 0.0, seed)[0] for seed in range(400))
    assert set(first) == {0, 1}
    assert abs(first[0] / 400 - 0.5) < 0.1
    assert noisy_ranking(np.array([1.0, 5.0, 3.0, 4.0]), 0.0, 3).tolist() == [1, 3, 2, 0]
    assert spread_of(5, 0.0) == 0
    assert spread_of(5, 0.5) == 1


@pytest.mark.parametrize(("count", "rate"), [(4, 0.6), (4, -0.1), (1, 0.2)])
def test_no_such_labeller(count, rate):
    with pytest.raises(UsageError, match="share of wrong pairs"):
        noisy_ranking(np.arange(float(count)), rate, 0)
