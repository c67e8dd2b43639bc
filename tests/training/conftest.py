"""Small recipes and a run of one, for the tests of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe


@pytest.fixture
def small() -> Callable[..., Recipe]:
    """A recipe of a tiny perceptron on digits: 1 ms a step; keywords are changes by dotted key."""

    def make(**changes: Any) -> Recipe:
        recipe = Recipe(
            name="small",
            task="classification",
            model=ModelChoice(name="mlp-small", settings={"width": 8}),
            data=DataChoice(name="digits"),
            batch_size=24,
            steps=20,
            evaluate_every=8,
            evaluate_examples=64,
        )
        return recipe.with_changes({key.replace("__", "."): value for key, value in changes.items()})

    return make


@pytest.fixture
def weights_of() -> Callable[[Path, str], dict[str, Any]]:
    """The final weights of a run in a home, verified."""
    from sevenfold.checkpoints import load_weights

    return lambda home, run_id: load_weights(home / "runs" / run_id)
