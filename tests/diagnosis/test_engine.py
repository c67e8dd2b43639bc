"""The diagnosis from end to end on an analytic world whose binding row is known."""

from __future__ import annotations

from synthetic import FACTS, RECIPE, SyntheticRunner, World

from sevenfold.diagnosis.engine import diagnose_recipe
from sevenfold.diagnosis.result import CONSTRAINTS


def test_too_few_examples_bind_data() -> None:
    runner = SyntheticRunner(World(data=0.2))
    found = diagnose_recipe(RECIPE, FACTS, runner)
    assert found.binding == ["data"]
    assert tuple(found.constraints) == CONSTRAINTS
    price = found.constraints["data"].shadow_price
    assert price is not None
    assert price.low <= runner.world.data_price() <= price.high
    assert found.sentence.startswith("Data binds: doubling the training set would lower validation loss by 0.0")
    assert found.constraints["efficiency"].method == "unavailable"
