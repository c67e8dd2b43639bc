"""A budget is kept, what matters most comes first, and what was not reached says so."""

from __future__ import annotations

import pytest
from synthetic import FACTS, RECIPE, SyntheticRunner, World

from sevenfold.diagnosis.engine import diagnose_recipe
from sevenfold.diagnosis.pace import Pace
from sevenfold.diagnosis.probes import ProbeOutcome
from sevenfold.diagnosis.result import Diagnosis

WORLD = World(data=0.3)


def within(budget_s: float, world: World = WORLD) -> tuple[Diagnosis, SyntheticRunner]:
    """A baseline run takes 2 s on one of two workers: a second of wall clock."""
    runner = SyntheticRunner(world)
    found = diagnose_recipe(RECIPE, FACTS, runner, budget_s=budget_s, clock=lambda: runner.clock[0])
    return found, runner


@pytest.mark.parametrize("budget_s", [10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 300.0])
def test_the_budget_is_kept(budget_s: float) -> None:
    found, runner = within(budget_s)
    assert runner.clock[0] <= budget_s
    assert found.budget.used_s == runner.clock[0]
    assert found.budget.seconds == budget_s
    for name in found.budget.not_reached:
        assert found.constraints[name].method == "not reached"  # type: ignore[index]
        assert found.constraints[name].shadow_price is None  # type: ignore[index]
    if found.budget.not_reached:
        assert "not reached" in found.sentence


def test_more_budget_reaches_more_rows_until_all_are_reached() -> None:
    missed = [len(within(budget_s)[0].budget.not_reached) for budget_s in (10.0, 25.0, 60.0, 120.0)]
    assert missed == sorted(missed, reverse=True)
    assert missed[0] >= 4
    assert missed[-1] == 0


def test_a_tight_budget_still_finds_what_binds() -> None:
    found, _ = within(60.0)
    assert found.binding == ["data"]


def test_time_that_is_left_goes_to_ties() -> None:
    tie = World(architecture=0.05, decay_gain=0.05)
    short, _ = within(55.0, tie)
    long, _ = within(240.0, tie)
    assert long.budget.num_runs > short.budget.num_runs
    gain = long.constraints["architecture"].headroom
    assert gain is not None
    assert gain.low <= 0.05 <= gain.high


def test_a_budget_too_small_for_a_pair_is_an_answer_all_the_same() -> None:
    found, runner = within(0.1)
    assert len(runner.carried_out) == 2
    assert found.binding == []
    assert "not reached" in found.sentence
    assert found.sentence.startswith("No verdict: no effect was measured")


def test_reused_runs_cost_nothing_and_teach_no_speed() -> None:
    first, runner = within(60.0)
    again = SyntheticRunner(WORLD, finished=dict(runner.finished))
    found = diagnose_recipe(RECIPE, FACTS, again, budget_s=60.0, clock=lambda: again.clock[0])
    assert found.budget.num_reused > 0.8 * first.budget.num_runs
    assert found.budget.used_s < 0.5 * first.budget.used_s
    assert set(found.budget.not_reached) <= set(first.budget.not_reached)


def test_pace_counts_only_what_was_carried_out() -> None:
    now = [0.0]
    pace = Pace(10.0, 1, lambda: now[0])
    pace.start_batch()
    now[0] = 2.0
    pace.finished(1.0, ProbeOutcome(RECIPE, "a", None, None, False, 2.0))
    pace.finished(1.0, ProbeOutcome(RECIPE, "b", None, None, True, 0.0))
    assert (pace.num_done, pace.num_reused, pace.units_done, pace.unit_s()) == (2, 1, 1.0, 2.0)
    assert pace.fits(3.0)
    assert not pace.fits(4.0)
    assert pace.seconds_left(2.0) == 4.0
    assert pace.seconds_left(100.0) == 8.0
