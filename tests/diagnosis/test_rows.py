"""Limits, usage, slack and prices: complementary slackness, and how a measured gain becomes a price."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from synthetic import FACTS, RECIPE, SyntheticRunner, World

from sevenfold.diagnosis.engine import diagnose_recipe
from sevenfold.diagnosis.facts import Alternative, EnergyCost, Facts, StatedLimits, StepCost
from sevenfold.diagnosis.result import Constraint, Diagnosis
from sevenfold.runs.recipe import Recipe

STEP = StepCost(step_flops=1e6, attainable_step_s=1e-3, measured_step_s=3e-3, predicted_step_s=None, chip="laptop")
JOULES = EnergyCost(joules_per_step=0.5, method="modelled", bound_joules_per_step=0.2, source="chip model")


def diagnosed(
    world: World, recipe: Recipe = RECIPE, stopped_by: str = "steps", facts: Facts = FACTS, **known: Any
) -> Diagnosis:
    runner = SyntheticRunner(world, stopped_by=stopped_by)
    return diagnose_recipe(recipe, dataclasses.replace(facts, **known), runner)


def amount_texts(row: Constraint) -> tuple[str | None, ...]:
    return tuple(None if one is None else one.text for one in (row.limit, row.usage, row.slack))


def test_steps_that_ran_out_make_compute_active_and_energy_not() -> None:
    found = diagnosed(World(compute=0.2), step=STEP, energy=JOULES)
    compute, energy = found.constraints["compute"], found.constraints["energy"]
    assert compute.active
    assert amount_texts(compute) == ("500 steps", "500 steps", "none")
    assert not energy.active
    assert energy.p_best is None
    assert energy.shadow_price is not None
    assert "what the price would be" in energy.why
    assert energy.method == "modelled"
    assert energy.headroom_factor == pytest.approx(2.5)
    assert "energy" not in found.binding


def test_joules_that_ran_out_make_energy_active_and_compute_not() -> None:
    recipe = RECIPE.with_changes({"limits.energy_j": 250.0})
    found = diagnosed(World(compute=0.2), recipe, "energy", energy=JOULES)
    energy, compute = found.constraints["energy"], found.constraints["compute"]
    assert found.stopped_by == "energy"
    assert energy.active
    assert found.binding == ["energy"]
    assert energy.slack_share == pytest.approx(0.0)
    assert amount_texts(energy)[0] == "250 J"
    assert not compute.active
    assert compute.p_best is None
    assert compute.shadow_price is not None
    assert "energy stopped the run" in compute.why
    assert "modelled" in found.sentence


def test_time_that_ran_out_is_the_limit_of_compute() -> None:
    recipe = RECIPE.with_changes({"limits.time_s": 2.0})
    found = diagnosed(World(compute=0.2), recipe, "time", limits=StatedLimits(usd=0.01))
    compute = found.constraints["compute"]
    assert compute.active
    assert amount_texts(compute)[:2] == ("2 s (of $0.01 stated)", "2 s")
    assert compute.change == "--set steps=1000 --set limits.time_s=4"


def test_a_price_an_hour_gives_nats_a_dollar_and_orders_what_to_buy() -> None:
    found = diagnosed(World(compute=0.2, data=0.3), price_usd_per_hour=3.6)
    compute = found.constraints["compute"]
    assert compute.shadow_price is not None
    assert compute.per_usd == pytest.approx(compute.shadow_price.value / 0.002)
    assert [one.constraint for one in found.advice if one.kind == "buy"][:2] == ["compute", "data"]
    unpriced = diagnosed(World(compute=0.2, data=0.3))
    assert [one.constraint for one in unpriced.advice if one.kind == "buy"][:2] == ["data", "compute"]


def test_examples_never_seen_are_slack() -> None:
    found = diagnosed(World(), RECIPE.with_changes({"batch_size": 1, "steps": 400}))
    data = found.constraints["data"]
    assert not data.active
    assert data.usage is not None
    assert data.usage.value == 400
    assert data.slack_share == pytest.approx(0.6)
    assert data.p_best is None


def test_efficiency_goes_through_the_compute_curve() -> None:
    world = World(compute=0.2, noise_alone=0.001)
    found = diagnosed(world, step=STEP)
    row = found.constraints["efficiency"]
    assert row.method == "predicted"
    assert row.headroom_factor == pytest.approx(3.0)
    assert row.headroom is not None
    assert row.headroom.value == pytest.approx(world.gain(steps=1500), rel=0.1)
    assert row.headroom.low <= world.gain(steps=1500) <= row.headroom.high
    assert row.slack_share == pytest.approx(2 / 3)
    assert "extrapolation" in row.why
    assert found.binding == ["efficiency"]  # three times the steps beat twice the steps


def test_an_extrapolation_stops_at_four_times_what_was_measured() -> None:
    world = World(compute=0.2, noise_alone=0.001)
    slow = dataclasses.replace(STEP, measured_step_s=1.0)
    row = diagnosed(world, step=slow).constraints["efficiency"]
    assert row.headroom_factor == pytest.approx(1000)
    assert row.headroom is not None
    assert row.headroom.value == pytest.approx(world.gain(steps=4000), rel=0.1)
    assert "taken to 8 times" in row.why


def test_faster_than_the_roofline_has_no_headroom() -> None:
    row = diagnosed(World(), step=dataclasses.replace(STEP, measured_step_s=5e-4)).constraints["efficiency"]
    assert row.headroom is not None
    assert row.headroom.value == 0.0
    assert row.headroom_factor == 1.0


def test_the_price_of_parameters_is_per_doubling_of_their_number() -> None:
    world = World(parameters=0.3, noise_alone=0.001)
    row = diagnosed(world).constraints["parameters"]
    assert row.points[0].x == 4.0  # twice the width
    assert row.shadow_price is not None
    assert row.shadow_price.value == pytest.approx(world.parameters_price(), rel=0.05)
    assert row.interval == [row.shadow_price.low, row.shadow_price.high]
    assert row.headroom is None  # its own count is the limit
    assert row.slack_share == 0.0


def test_memory_to_spare_is_slack_and_the_wider_net_a_headroom() -> None:
    world = World(parameters=0.3, noise_alone=0.001)
    found = diagnosed(world, memory_limit_bytes=16e6, limits=StatedLimits(parameters=4096))
    row = found.constraints["parameters"]
    assert row.limit is not None
    assert row.limit.value == 4096
    assert row.limit.text == "4,096 parameters (stated)"
    assert row.slack_share == pytest.approx(0.75)
    assert row.headroom is not None
    assert row.headroom.value == pytest.approx(world.gain(model__width=64), rel=0.05)
    assert found.binding == ["parameters"]
    advice = next(one for one in found.advice if one.constraint == "parameters")
    assert advice.gain.value == pytest.approx(row.headroom.value)
    assert advice.change == "--set model.width=64"


def test_a_wider_net_keeps_its_distance_to_the_best_rate() -> None:
    """The recipe's rate is four times too small at every size: no width may be credited with the cure."""
    found = diagnosed(World(best_rate=8e-3, parameters=0.0))
    row = found.constraints["parameters"]
    assert row.change == "--set model.width=64"
    assert row.shadow_price is not None
    assert abs(row.shadow_price.value) < 0.01


def test_a_net_one_unit_wide_has_no_half() -> None:
    facts = dataclasses.replace(FACTS, dial_value=1, parameters=1)
    recipe = RECIPE.with_changes({"model.width": 1})
    row = diagnosed(World(), recipe, facts=facts).constraints["parameters"]
    assert [point.setting for point in row.points] == ["2"]


def test_alternatives_show_macs_and_time_and_none_found_when_they_lose() -> None:
    row = diagnosed(World(architecture=-0.2)).constraints["architecture"]
    assert row.points[0].macs_ratio == 1.02
    assert row.points[0].time_ratio == 0.9
    assert row.headroom is not None
    assert row.headroom.high < 0
    assert row.slack is not None
    assert row.slack.text == "none found"


def test_the_best_of_several_alternatives_is_measured() -> None:
    others = (
        Alternative("poor", {"model.name": "third"}, 0.95, 1.5),
        Alternative("good", {"model.name": "other"}, 1.05, 1.2),
    )
    row = diagnosed(World(architecture=0.1), alternatives=others).constraints["architecture"]
    assert row.change == "--set model.name=other"
    assert row.headroom is not None
    assert row.headroom.low <= 0.1 <= row.headroom.high
    assert {point.setting for point in row.points} == {"good", "poor"}


def test_overfitting_judges_regularizers_at_full_length() -> None:
    class Overfitted(SyntheticRunner):
        def _run(self, recipe: Recipe) -> Any:
            outcome = super()._run(recipe)
            assert outcome.record is not None
            outcome.record.summary["final_train_loss_eval"] = 0.01  # type: ignore[index]
            return outcome

    runner = Overfitted(World(decay_gain=0.05))
    diagnose_recipe(RECIPE, FACTS, runner)
    decays = {recipe.steps for recipe in runner.carried_out if recipe.optimizer.weight_decay > 0.01}
    assert decays == {500}
    runner_plain = SyntheticRunner(World(decay_gain=0.05))
    diagnose_recipe(RECIPE, FACTS, runner_plain)
    assert {one.steps for one in runner_plain.carried_out if one.optimizer.weight_decay > 0.01} == {250, 500}


def test_an_alternative_promises_what_its_change_gains_and_is_ranked_at_equal_tuning() -> None:
    found = diagnosed(World(best_rate=8e-3, architecture=0.2, noise_alone=0.001))
    row = found.constraints["architecture"]
    assert row.headroom is not None
    assert row.headroom.value == pytest.approx(0.2, abs=0.01)
    advice = next(one for one in found.advice if one.constraint == "architecture")
    assert advice.gain.value == pytest.approx(0.2 + 0.02 * 4, abs=0.01)
    assert "nats better at equally tuned rates" in found.sentence
