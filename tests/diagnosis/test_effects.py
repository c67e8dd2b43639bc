"""Intervals cover what they say, and pairing and the t law are what makes them do so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from sevenfold.diagnosis.effects import JointDraws, derived, paired_mean, simultaneous_confidence
from sevenfold.diagnosis.laws import fit_power

NUM_WORLDS = 600


def coverage(
    make: Callable[[np.random.Generator, int], tuple[float, float]], true: float, num_worlds: int = NUM_WORLDS
) -> float:
    rng = np.random.default_rng(1)
    hits = [low <= true <= high for low, high in (make(rng, world) for world in range(num_worlds))]
    return float(np.mean(hits))


def near_95(share: float, num_worlds: int = NUM_WORLDS) -> bool:
    """Within four standard errors of 95%."""
    return abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / num_worlds)


def test_the_interval_of_a_mean_is_the_t_interval() -> None:
    values = {2: 0.1, 3: 0.4, 5: 0.3, 6: 0.25}
    found = paired_mean(values, JointDraws()).interval(0.95)
    expected = stats.ttest_1samp(list(values.values()), 0).confidence_interval(0.95)
    assert found == pytest.approx((expected.low, expected.high))


def test_draws_have_the_same_interval_as_the_formula() -> None:
    values = dict(enumerate([0.1, 0.4, 0.3, 0.25, 0.31]))
    mean = paired_mean(values, JointDraws(num_draws=40_000))
    low, high = np.quantile(mean.draws, [0.025, 0.975])
    assert (low, high) == pytest.approx(mean.interval(0.95), abs=0.01)


@pytest.mark.parametrize("num_seeds", [3, 5, 8])
def test_paired_means_cover(num_seeds: int) -> None:
    draws = JointDraws(num_draws=10)

    def one(rng: np.random.Generator, world: int) -> tuple[float, float]:
        return paired_mean(dict(enumerate(0.3 + 0.1 * rng.standard_normal(num_seeds))), draws).interval(0.95)

    assert near_95(coverage(one, 0.3))


def test_a_plain_bootstrap_would_be_too_narrow() -> None:
    """The mutation of the test above: percentiles over resampled seeds."""

    def one(rng: np.random.Generator, world: int) -> tuple[float, float]:
        values = 0.3 + 0.1 * rng.standard_normal(3)
        means = values[rng.integers(0, 3, (500, 3))].mean(1)
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)

    assert coverage(one, 0.3) < 0.85


@pytest.mark.parametrize(("num_seeds", "noise"), [(3, 0.003), (3, 0.01), (5, 0.01)])
def test_gains_extrapolated_by_a_law_cover(num_seeds: int, noise: float) -> None:
    loss = {share: 0.2 + 0.1 * share**-0.5 for share in (0.25, 0.5, 1.0)}

    def one(rng: np.random.Generator, world: int) -> tuple[float, float]:
        draws = JointDraws(world, 600)
        base = loss[1.0] + noise * rng.standard_normal(num_seeds)
        gains = [
            paired_mean(dict(enumerate(base - loss[x] - noise * rng.standard_normal(num_seeds))), draws)
            for x in (0.25, 0.5)
        ]
        means = np.array([[loss[1.0] - gains[0].value, loss[1.0] - gains[1].value, loss[1.0]]])
        drawn = np.stack([*(loss[1.0] - gain.draws for gain in gains), np.full(600, loss[1.0])], axis=1)
        law, laws = fit_power([0.25, 0.5, 1.0], means), fit_power([0.25, 0.5, 1.0], drawn)
        return derived(float(law.gain(1, 2)[0]), laws.gain(1, 2), num_seeds).interval(0.95)

    assert near_95(coverage(one, 0.1 * (1 - 2**-0.5), 250), 250)


def test_pairing_narrows_what_seeds_share() -> None:
    """The mutation of pairing: the same runs, subtracted across seeds that do not match."""
    rng = np.random.default_rng(3)
    shared, draws = rng.standard_normal(6), JointDraws(num_draws=10)
    base, probe = 1.0 + 0.1 * shared, 0.9 + 0.1 * shared + 0.005 * rng.standard_normal(6)
    paired = paired_mean(dict(enumerate(base - probe)), draws).interval(0.95)
    unpaired = paired_mean(dict(enumerate(base - np.roll(probe, 1))), draws).interval(0.95)
    assert unpaired[1] - unpaired[0] > 5 * (paired[1] - paired[0])


def test_effects_of_shared_seeds_move_together() -> None:
    draws = JointDraws()
    noise = {2: 0.01, 3: -0.03, 4: 0.02, 5: 0.0, 6: 0.01, 7: -0.01, 8: -0.02, 9: 0.02}
    one, other = draws.mean(noise), draws.mean({seed: 2 * value + 1 for seed, value in noise.items()})
    apart = draws.mean({seed + 10: value for seed, value in noise.items()})
    assert stats.spearmanr(one, other).statistic == pytest.approx(1.0)
    assert abs(stats.spearmanr(one, apart).statistic) < 0.1


def test_more_seeds_leave_the_draws_of_the_others() -> None:
    first = JointDraws(7).mean({2: 0.1, 3: 0.3})
    assert np.array_equal(first, JointDraws(7).mean({2: 0.1, 3: 0.3}))
    assert not np.array_equal(first, JointDraws(8).mean({2: 0.1, 3: 0.3}))


def test_simultaneous_intervals_cover_all_together() -> None:
    rng, draws = np.random.default_rng(5), JointDraws(num_draws=10)
    confidence = simultaneous_confidence(7)
    hits = 0
    for _ in range(NUM_WORLDS):
        shared = rng.standard_normal(5)
        rows = [paired_mean(dict(enumerate(shared + rng.standard_normal(5))), draws) for _ in range(7)]
        hits += all(low <= 0 <= high for low, high in (row.interval(confidence) for row in rows))
    assert hits / NUM_WORLDS > 0.95 - 0.03
    assert all(row.effect(7).simultaneous_low < row.effect(7).low for row in rows)


def test_widening_adds_to_both_ends() -> None:
    draws = JointDraws().mean({2: 0.1, 3: 0.2, 4: 0.3})
    plain, wide = derived(0.2, draws, 3), derived(0.2, draws, 3, widen=0.05)
    assert wide.interval(0.95)[0] == pytest.approx(plain.interval(0.95)[0] - 0.05)
    assert wide.interval(0.95)[1] == pytest.approx(plain.interval(0.95)[1] + 0.05)
