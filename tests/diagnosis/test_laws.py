"""The fitted law: it recovers constants, keeps its bounds, and predicts what it did not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sevenfold.diagnosis.laws import EXPONENTS, fit_power

positive = st.floats(0.01, 3.0)


@settings(max_examples=60, deadline=None)
@given(floor=positive, scale=positive, exponent=st.floats(0.1, 1.8))
def test_recovers_the_constants_of_a_law(floor: float, scale: float, exponent: float) -> None:
    x = [0.25, 0.5, 1.0]
    law = fit_power(x, np.array([[floor + scale * one**-exponent for one in x]]))
    assert law.exponent[0] == pytest.approx(exponent, rel=0.004)  # the finest step is 0.6%
    true_gain = scale * (1 - 2**-exponent)
    assert law.gain(1, 2)[0] == pytest.approx(true_gain, rel=0.01)
    assert law.at(1.0)[0] == pytest.approx(floor + scale, rel=0.005)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.0, 10.0), min_size=3, max_size=3))
def test_any_losses_give_a_law_within_its_bounds(losses: list[float]) -> None:
    law = fit_power([0.25, 0.5, 1.0], np.array([losses]))
    assert EXPONENTS[0] * 0.999 <= law.exponent[0] <= EXPONENTS[1] * 1.001
    assert law.floor[0] >= 0
    assert law.scale[0] >= 0
    assert law.gain(1, 2)[0] <= law.at(1.0)[0] + 1e-9  # doubling cannot save more than there is


def test_draws_are_fitted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    losses = 1.0 + rng.random((50, 3))
    together = fit_power([0.5, 1.0, 2.0], losses)
    alone = [fit_power([0.5, 1.0, 2.0], losses[row : row + 1]) for row in range(50)]
    assert together.floor == pytest.approx(np.concatenate([one.floor for one in alone]))
    assert together.at(np.array([[1.0, 2.0]])).shape == (50, 2)


def test_losses_that_rise_with_data_promise_nothing() -> None:
    law = fit_power([0.25, 0.5, 1.0], np.array([[1.0, 1.1, 1.2]]))
    assert law.gain(1, 2)[0] == 0.0


def test_an_unbounded_exponent_would_promise_a_cliff() -> None:
    """Why b is bounded: gains that grow with every doubling fit a law that goes on for ever."""
    losses = np.array([[1.50, 1.49, 1.40]])
    bounded = fit_power([0.25, 0.5, 1.0], losses)
    steep = fit_power([0.25, 0.5, 1.0], np.array([[1.5, 1.1, 1.09]]), exponents=(0.05, 40.0))
    assert bounded.gain(1, 2)[0] < 0.1
    assert steep.exponent[0] > EXPONENTS[1]
    assert bounded.text("d").startswith("L = ")
