"""The ledger pairs by seed, calls a loss that is not finite a failure, and prints the flags of what it ran."""

from __future__ import annotations

import math

import pytest
from synthetic import RECIPE, Record

from sevenfold.diagnosis.ledger import BASELINE, Ledger, Setting, shown_setting
from sevenfold.diagnosis.probes import SELECTION, ProbeOutcome, measurement
from sevenfold.spec import parse_assignments

FAST = Setting("optimizer.lr", "0.004", {"optimizer.lr": 0.004})


def add(ledger: Ledger, setting: Setting, seed: int, loss: float | None, error: str | None = None) -> None:
    recipe = ledger.recipe(setting, seed)
    record = None if loss is None else Record(recipe.run_id(), {"validation_loss": loss, "test_loss": 2 * loss})
    ledger.add(ProbeOutcome(recipe, recipe.run_id(), record, error, False, 1.0))


def test_gains_pair_equal_seeds() -> None:
    ledger = Ledger(RECIPE)
    for seed, (base, fast) in enumerate([(1.0, 0.9), (2.0, 1.8), (3.0, 3.1)]):
        add(ledger, BASELINE, seed, base)
        add(ledger, FAST, seed, fast)
    add(ledger, BASELINE, 3, 9.0)  # without its pair
    assert ledger.gains(FAST, range(4)) == pytest.approx({0: 0.1, 1: 0.2, 2: -0.1})
    assert ledger.gains(FAST, range(2), key="test_loss") == pytest.approx({0: 0.2, 1: 0.4})
    assert ledger.recipe(FAST, 3).seed == RECIPE.seed + 3
    assert ledger.missing(FAST, range(5)) == [(FAST, 3), (FAST, 4)]


def test_equal_changes_are_one_run() -> None:
    ledger = Ledger(RECIPE)
    same = Setting("another name", "x", {"optimizer.lr": RECIPE.optimizer.lr})
    assert ledger.run_id(same, 1) == ledger.run_id(BASELINE, 1)


@pytest.mark.parametrize(("loss", "error"), [(math.nan, None), (math.inf, None), (None, "out of memory")])
def test_failures_have_no_value_and_an_infinite_score(loss: float | None, error: str | None) -> None:
    ledger = Ledger(RECIPE)
    add(ledger, FAST, 0, 1.0)
    assert ledger.score(FAST, SELECTION) is None
    add(ledger, FAST, 1, loss, error)
    assert ledger.score(FAST, SELECTION) == math.inf
    assert ledger.failure(FAST, SELECTION) == (error or "the validation loss is not finite")
    assert ledger.values(FAST, SELECTION) == {0: 1.0}
    assert ledger.runs(FAST, SELECTION) == [ledger.run_id(FAST, 0), ledger.run_id(FAST, 1)]


def test_selection_and_measurement_seeds_never_meet() -> None:
    assert not set(SELECTION) & set(measurement(12))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer.lr": 0.004},
        {"optimizer.clip_norm": None, "steps": 250},
        {"model.name": "other", "model.settings": {"width": 48, "dropout": 0.1}},
        {"model.width": 64, "schedule.name": "constant", "compile": True},
    ],
)
def test_the_flags_that_are_printed_give_the_recipe_that_was_run(changes: dict[str, object]) -> None:
    flags = Setting("x", "y", changes).change()
    typed = parse_assignments(flags.removeprefix("--set ").split(" --set "))
    assert RECIPE.with_changes(typed) == RECIPE.with_changes(changes)


def test_a_setting_that_the_recipe_refuses_says_why() -> None:
    reason = Ledger(RECIPE).allows(Setting("x", "y", {"optimizer.lr": -1.0}))
    assert reason is not None
    assert "optimizer.lr" in reason
    assert Ledger(RECIPE).allows(FAST) is None
    assert shown_setting(True) == "true"
