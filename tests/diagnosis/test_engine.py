"""The diagnosis from end to end on an analytic world: rows, failures, resuming, progress."""

from __future__ import annotations

import dataclasses

import pytest
from synthetic import FACTS, RECIPE, SyntheticRunner, World

from sevenfold.diagnosis.engine import MIN_SEEDS, diagnose_recipe
from sevenfold.diagnosis.facts import Facts
from sevenfold.diagnosis.probes import SELECTION
from sevenfold.diagnosis.result import CONSTRAINTS, Diagnosis
from sevenfold.errors import RunError, UsageError
from sevenfold.runs.recipe import Recipe

PLAIN = World()
POOR = World(data=0.2)


def diagnose(world: World = PLAIN, facts: Facts = FACTS, **options: object) -> tuple[Diagnosis, SyntheticRunner]:
    runner = SyntheticRunner(world)
    return diagnose_recipe(RECIPE, facts, runner, **options), runner  # type: ignore[arg-type]


def test_too_few_examples_bind_data() -> None:
    found, runner = diagnose(World(data=0.2))
    assert found.binding == ["data"]
    assert tuple(found.constraints) == CONSTRAINTS
    price = found.constraints["data"].shadow_price
    assert price is not None
    assert price.low <= runner.world.data_price() <= price.high
    assert found.sentence.startswith("Data binds: doubling the training set would lower validation loss by 0.0")
    assert Diagnosis.from_dict(found.to_dict()) == found
    assert len(set(found.baseline_runs)) == len(found.baseline_runs) >= MIN_SEEDS + len(SELECTION)


def test_every_row_shows_its_runs_and_its_interval() -> None:
    found, runner = diagnose()
    for name in ("data", "parameters", "optimization", "architecture", "compute"):
        row = found.constraints[name]
        assert row.interval is not None
        assert set(row.evidence) <= set(runner.finished)
        assert len(row.evidence) >= 2 * MIN_SEEDS
        assert row.points
        assert row.p_best is not None
    assert found.constraints["data"].method == "predicted"
    assert found.constraints["compute"].method == "measured"
    for name in ("efficiency", "energy"):
        assert found.constraints[name].method == "unavailable"
        assert found.constraints[name].p_best is None


def test_a_rate_far_too_small_binds_optimization_and_nothing_that_it_distorts() -> None:
    found, _ = diagnose(World(best_rate=0.2, data=0.0, parameters=0.0, compute=0.0, architecture=0.0))
    assert found.binding == ["optimization"]
    assert found.advice[0].constraint == "optimization"
    assert found.advice[0].change is not None
    rate = float(found.advice[0].change.removeprefix("--set optimizer.lr=").split()[0])
    assert 0.1 < rate < 0.4
    alternative = found.constraints["architecture"].headroom
    assert alternative is not None
    assert alternative.high < 0.05  # equal at equal tuning: no credit for the rate


def test_the_gain_of_the_winner_is_measured_on_seeds_that_did_not_choose_it() -> None:
    found, runner = diagnose(World(decay_gain=0.03))
    row = found.constraints["optimization"]
    seeds = {runner.finished[run].id.split("-s")[1].split("-")[0] for run in row.evidence}
    assert not seeds & {str(RECIPE.seed + one) for one in SELECTION}
    assert row.headroom is not None
    assert row.headroom.value == pytest.approx(0.03, abs=0.01)
    assert found.advice[0].test_gain is not None
    assert found.advice[0].test_gain.value == pytest.approx(0.03, abs=0.02)
    assert found.advice[0].test_gain.value != row.headroom.value


def test_data_left_unused_is_measured_and_free() -> None:
    runner = SyntheticRunner(World(data=0.1))
    found = diagnose_recipe(RECIPE.with_changes({"data.fraction": 0.25}), FACTS, runner)
    row = found.constraints["data"]
    assert row.method == "measured"
    assert not row.active
    assert row.slack is not None
    assert row.slack.value == 750
    assert "data" not in found.binding
    assert found.advice[0].constraint == "data"
    assert found.advice[0].kind == "free"
    assert found.advice[0].change == "--set data.fraction=0.5"


def test_an_interrupted_diagnosis_goes_on_and_ends_the_same() -> None:
    whole, first = diagnose(World(data=0.05, number=3))
    half = dict(list(first.finished.items())[: len(first.finished) // 2])
    second = SyntheticRunner(first.world, finished=half)
    again = diagnose_recipe(RECIPE, FACTS, second)
    assert len(second.carried_out) == len(first.carried_out) - len(first.finished) // 2
    assert again.budget.num_reused == len(first.finished) // 2
    same = {"created": "", "budget": whole.budget}
    assert again.model_copy(update=same) == whole.model_copy(update=same)


def test_the_same_run_is_never_carried_out_twice() -> None:
    _, runner = diagnose(World(data=0.05, architecture=0.03, decay_gain=0.03))
    ids = [recipe.run_id() for recipe in runner.carried_out]
    assert len(set(ids)) == len(ids)


def test_progress_counts_up_to_its_plan() -> None:
    events: list[tuple[str, str, int, int, float | None]] = []
    _, runner = diagnose(on_event=lambda *event: events.append(event))
    assert [event[2] for event in events] == list(range(1, len(runner.carried_out) + 1))
    assert all(done <= planned for _, _, done, planned, _ in events)
    assert events[-1][2] == events[-1][3]
    assert any("optimizer.lr" in event[1] for event in events)


# Failures --------------------------------------------------------------------------------------------------------


def failing(words: str, facts: Facts = FACTS, world: World = POOR) -> tuple[Diagnosis, SyntheticRunner]:
    """A diagnosis in which every recipe whose settings contain these words fails."""

    def fails(recipe: Recipe) -> str | None:
        text = f"width={recipe.model.settings.get('width', 32)} model={recipe.model.name} "
        text += f"fraction={recipe.data.fraction} steps={recipe.steps} lr={recipe.optimizer.lr} seed={recipe.seed}"
        return "out of memory: got 9 GB" if words in text else None

    runner = SyntheticRunner(world, fails=fails)
    return diagnose_recipe(RECIPE, facts, runner), runner


def test_a_probe_that_fails_is_a_row_that_says_so() -> None:
    found, _ = failing("width=64")
    row = found.constraints["parameters"]
    assert row.method == "failed"
    assert "out of memory" in row.why
    assert row.points[0].failed == "out of memory: got 9 GB"
    assert found.binding == ["data"]
    assert "parameters failed" in found.sentence


@pytest.mark.parametrize(
    ("words", "row"), [("model=other", "architecture"), ("fraction=0.25", "data"), ("steps=1000", "compute")]
)
def test_any_row_may_fail_alone(words: str, row: str) -> None:
    found, _ = failing(words, world=World(decay_gain=0.1))
    assert [name for name, one in found.constraints.items() if one.method == "failed"] == [row]
    assert found.binding == ["optimization"]


def test_rates_that_diverge_end_the_search_and_nothing_else() -> None:
    found, _ = failing("lr=0.004", world=World(decay_gain=0.1))
    assert found.constraints["optimization"].method == "measured"
    assert found.binding == ["optimization"]


def test_a_seed_that_fails_is_left_out_and_told() -> None:
    found, _ = failing("fraction=0.5 steps=500 lr=0.002 seed=3")
    row = found.constraints["data"]
    assert row.method == "predicted"
    assert "failed on some seeds" in row.why
    point = next(point for point in row.points if point.setting == "0.5")
    assert point.failed is not None
    assert point.num_runs == len(point.runs) - 1


def test_a_winner_that_fails_when_it_is_measured_gives_way_to_the_next() -> None:
    def fails(recipe: Recipe) -> str | None:
        chosen = recipe.optimizer.weight_decay == 0.1 and recipe.steps == 500
        return "diverged" if chosen and recipe.seed >= 2 else None

    found = diagnose_recipe(RECIPE, FACTS, SyntheticRunner(World(decay_gain=0.05), fails=fails))
    row = found.constraints["optimization"]
    assert row.method == "measured"
    assert row.change is not None
    assert "weight_decay=0.1 " not in row.change + " "


def test_a_baseline_that_fails_ends_it_with_one_line() -> None:
    with pytest.raises(RunError, match="the baseline recipe cannot be trained"):
        failing("seed=")
    with pytest.raises(RunError, match="out of memory"):
        failing("fraction=1.0 steps=500 lr=0.002")


def test_bad_options_are_refused() -> None:
    with pytest.raises(UsageError, match="too few seeds"):
        diagnose(seeds=2)
    with pytest.raises(UsageError, match="min_effect"):
        diagnose(min_effect=1.5)


def test_levers_that_cannot_be_pulled_say_why() -> None:
    facts = dataclasses.replace(FACTS, dial=None, no_dial_reason="MyNet has no width argument", alternatives=())
    found, _ = diagnose(World(data=0.2), facts)
    assert found.constraints["parameters"].why == "MyNet has no width argument"
    assert found.constraints["parameters"].method == "unavailable"
    assert not found.constraints["parameters"].active
    assert found.constraints["architecture"].method == "unavailable"
    assert found.binding == ["data"]
