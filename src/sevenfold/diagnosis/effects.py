"""Effects with their uncertainty: paired differences, t intervals, and the joint bootstrap over seeds.

With three to ten seeds a plain bootstrap is too narrow: it has no tails and its variance is short by (n - 1)/n.
Here a draw moves every mean by the seeds' own deviations times normal weights, scaled to the t law of n - 1
degrees of freedom; a seed has the same weight wherever it occurs, so that effects which share seeds move together.
For a mean that gives the exact t interval, for anything fitted to means its percentiles.

>>> draws = JointDraws(random_seed=0)
>>> effect = paired_mean({2: 0.03, 3: 0.05, 4: 0.04}, draws)
>>> [round(end, 3) for end in effect.interval(0.95)]
[0.015, 0.065]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sevenfold.diagnosis.result import Effect

CONFIDENCE = 0.95
NUM_DRAWS = 8000

Array = NDArray[np.float64]


class JointDraws:
    """The random weights of one diagnosis: one column a seed, the same in every row."""

    def __init__(self, random_seed: int = 0, num_draws: int = NUM_DRAWS) -> None:
        self.random_seed = random_seed
        self.num_draws = num_draws
        self._weights: dict[int, Array] = {}
        self._scales: dict[int, Array] = {}
        # Stratified, so that the tails of few draws are not a matter of luck.
        places = (np.arange(num_draws) + 0.5) / num_draws
        self._uniform = np.random.default_rng([random_seed, 0]).permutation(places)

    def mean(self, values: Mapping[int, float]) -> Array:
        """Draws of the mean of values by seed index: its point estimate moved by t-scaled noise."""
        assert len(values) >= 2, "a mean of one seed has no interval"
        centre = math.fsum(values.values()) / len(values)
        size = math.sqrt(len(values) * (len(values) - 1))
        moved = np.zeros(self.num_draws)
        for seed, value in values.items():
            moved += (value - centre) / size * self._weight(seed)
        return centre + moved * self._scale(len(values) - 1)

    def noise(self, stream: int) -> Array:
        """Standard normal draws that belong to no seed: errors of a law."""
        return np.random.default_rng([self.random_seed, 2, stream]).standard_normal(self.num_draws)

    def _weight(self, seed: int) -> Array:
        if seed not in self._weights:
            rng = np.random.default_rng([self.random_seed, 1, seed])
            self._weights[seed] = rng.standard_normal(self.num_draws)
        return self._weights[seed]

    def _scale(self, df: int) -> Array:
        if df not in self._scales:
            self._scales[df] = np.sqrt(df / stats.chi2.ppf(self._uniform, df))
        return self._scales[df]


@dataclass(frozen=True)
class Estimate:
    """An effect in nats: its value, its joint draws, and how its interval is taken.

    ``widen`` is an error that more seeds would not shrink (an extrapolation's), added to both ends of any interval.
    """

    value: float
    draws: Array
    num_seeds: int
    standard_error: float | None = None  # of a plain mean: the exact t interval is used
    widen: float = 0.0

    def interval(self, confidence: float) -> tuple[float, float]:
        """Low and high at this confidence."""
        if self.standard_error is not None:
            half = float(stats.t.ppf((1 + confidence) / 2, self.num_seeds - 1)) * self.standard_error
            return self.value - half - self.widen, self.value + half + self.widen
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.draws, [tail, 1 - tail])
        return min(float(low), self.value) - self.widen, max(float(high), self.value) + self.widen

    def effect(self, num_compared: int = 1) -> Effect:
        """The effect with its 95% interval and the one that covers ``num_compared`` effects together."""
        low, high = self.interval(CONFIDENCE)
        wide_low, wide_high = self.interval(simultaneous_confidence(num_compared))
        return Effect(value=self.value, low=low, high=high, simultaneous_low=wide_low, simultaneous_high=wide_high)

    def scaled(self, factor: float) -> Estimate:
        """The same effect times a known factor."""
        error = None if self.standard_error is None else abs(factor) * self.standard_error
        return Estimate(self.value * factor, self.draws * factor, self.num_seeds, error, self.widen * abs(factor))


def simultaneous_confidence(num_compared: int) -> float:
    """The confidence that each of several intervals needs so that all hold together with 95% (Šidák).

    >>> round(simultaneous_confidence(7), 4)
    0.9927
    """
    return float(CONFIDENCE ** (1 / max(1, num_compared)))


def paired_mean(differences: Mapping[int, float], draws: JointDraws) -> Estimate:
    """The mean of paired differences by seed, with the t interval of their number."""
    values = np.array(list(differences.values()))
    error = float(values.std(ddof=1) / math.sqrt(len(values)))
    return Estimate(float(values.mean()), draws.mean(differences), len(values), standard_error=error)


def derived(value: float, draws: Array, num_seeds: int, *, widen: float = 0.0) -> Estimate:
    """An effect computed from drawn means; draws that are not finite would be a mistake of the law."""
    assert math.isfinite(value)
    assert np.isfinite(draws).all()
    return Estimate(value, draws, num_seeds, widen=widen)
