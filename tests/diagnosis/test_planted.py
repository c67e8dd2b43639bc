"""Real training: a constraint that was built in is named, and named alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import NUM_EXAMPLES, PLANTED, InProcessRunner, diagnose_planted, noisy_classes, planted

from sevenfold.diagnosis.result import ConstraintName
from sevenfold.training import train_run


@pytest.mark.parametrize("constraint", PLANTED)
def test_the_planted_constraint_is_named(constraint: ConstraintName, home: Path) -> None:
    for seed in range(2):
        found = diagnose_planted(constraint, seed, home)
        assert found.binding == [constraint], found.sentence
        assert not any(row.method == "failed" for row in found.constraints.values())


@pytest.mark.slow
@pytest.mark.parametrize("constraint", PLANTED)
def test_the_planted_constraint_is_named_in_9_of_10_seeds(constraint: ConstraintName, home: Path) -> None:
    named = [diagnose_planted(constraint, seed, home).binding for seed in range(10)]
    assert named.count([constraint]) >= 9, named


def test_the_price_of_data_is_what_more_data_really_gives(home: Path) -> None:
    """The law's promise for twice the examples, against training on twice as many."""
    found = diagnose_planted("data", 0, home)
    price = found.constraints["data"].shadow_price
    assert price is not None
    recipe, _ = planted("data", 0)
    runner = InProcessRunner(home)
    more = recipe.with_changes({"data.name": noisy_classes(2 * NUM_EXAMPLES, 5).register().name})
    losses = [
        float(train_run(one.with_changes({"seed": seed}), store=runner.store, home=home, keep_weights=False)
              .summary["validation_loss"] or 0.0)
        for one in (recipe, more) for seed in range(6)
    ]  # fmt: skip
    real = sum(losses[:6]) / 6 - sum(losses[6:]) / 6
    assert price.low <= real <= price.high
