"""The learning rate is a pure function of the step."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.runs.recipe import Schedule
from sevenfold.training.schedules import rate_share, warmup_steps


def test_by_hand() -> None:
    schedule = Schedule(name="cosine", warmup_fraction=0.2, final_fraction=0.1)
    shares = [rate_share(schedule, step, 10) for step in range(10)]
    assert warmup_steps(schedule, 10) == 2
    assert shares[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert shares[6] == pytest.approx(0.55)  # half way through the cosine: the mean of 1 and 0.1
    assert rate_share(schedule, 10, 10) == pytest.approx(0.1)


def test_constant_stays_at_the_peak_after_the_warm_up() -> None:
    schedule = Schedule(name="constant", warmup_fraction=0.5)
    assert [rate_share(schedule, step, 4) for step in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_no_warm_up_begins_at_the_peak() -> None:
    assert rate_share(Schedule(warmup_fraction=0.0), 0, 100) == 1.0


@given(
    name=st.sampled_from(["cosine", "constant"]),
    warmup=st.floats(0, 1),
    final=st.floats(0, 1),
    steps=st.integers(1, 300),
)
def test_rises_to_the_peak_then_never_rises(name: str, warmup: float, final: float, steps: int) -> None:
    schedule = Schedule.from_dict({"name": name, "warmup_fraction": warmup, "final_fraction": final})
    shares = [rate_share(schedule, step, steps) for step in range(steps)]
    border = warmup_steps(schedule, steps)
    assert all(0 < share <= 1 for share in shares[: border + 1])
    assert all(a < b for a, b in itertools.pairwise(shares[: border + 1]))
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(shares[border:]))
    assert all(share >= final - 1e-12 for share in shares[border:])
