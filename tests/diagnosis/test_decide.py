"""The verdict: one name when the evidence is clear, several when it is not, none below the floor."""

from __future__ import annotations

import numpy as np
import pytest

from sevenfold.diagnosis.decide import Verdict, decide
from sevenfold.diagnosis.effects import Estimate, JointDraws, paired_mean
from sevenfold.diagnosis.result import ConstraintName

DRAWS = JointDraws()


def effect(mean: float, spread: float, first_seed: int, num_seeds: int = 6) -> Estimate:
    values = np.linspace(-1, 1, num_seeds)
    return paired_mean({first_seed + i: mean + spread * v for i, v in enumerate(values)}, DRAWS)


def verdict(min_effect: float = 0.01, **effects: Estimate) -> Verdict:
    named: dict[ConstraintName, Estimate] = dict(effects)  # type: ignore[arg-type]
    return decide(named, min_effect, DRAWS, len(named))


def test_a_clear_winner_is_alone() -> None:
    found = verdict(data=effect(0.5, 0.05, 0), compute=effect(0.1, 0.05, 10))
    assert found.binding == ("data",)
    assert found.is_clear
    assert found.p_best["data"] > 0.99


def test_equals_tie() -> None:
    found = verdict(data=effect(0.50, 0.05, 0), compute=effect(0.51, 0.05, 10), energy=effect(0.1, 0.01, 20))
    assert set(found.binding) == {"data", "compute"}
    assert sum(found.p_best.values()) == pytest.approx(1)


def test_nothing_binds_below_the_smallest_effect() -> None:
    assert verdict(data=effect(0.008, 0.001, 0), compute=effect(0.002, 0.001, 10)).binding == ()
    assert verdict(data=effect(0.05, 0.2, 0), compute=effect(0.0, 0.1, 10)).binding == ()
    assert verdict().binding == ()


def test_nobody_is_named_alone_who_is_not_sure() -> None:
    """Data is probably the best and not sure to be anything; compute is sure and small."""
    found = verdict(data=effect(1.0, 1.1, 0), compute=effect(0.05, 0.005, 10))
    assert found.p_best["data"] > 0.95
    assert found.binding == ("data", "compute")


def test_an_extrapolation_error_counts_in_the_probability() -> None:
    data, compute = effect(0.50, 0.01, 0), effect(0.45, 0.01, 10)
    sure = verdict(data=data, compute=compute)
    unsure = verdict(data=Estimate(data.value, data.draws, 6, data.standard_error, widen=0.3), compute=compute)
    assert sure.binding == ("data",)
    assert unsure.p_best["data"] < 0.8
