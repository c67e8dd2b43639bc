"""Every recipe of the catalogue builds, runs two steps, and says what it takes and gives."""

from __future__ import annotations

import numpy as np
import pytest

from sevenfold.recipes import RECIPES, recipe_from
from sevenfold.runs.recipe import Recipe
from sevenfold.training import train_run
from sevenfold.training.workload import build_workload

# What a two-step check may shrink: sizes say nothing about whether the parts of a recipe fit together.
QUICK: dict[str, dict[str, object]] = {
    "gpt-10m": {"model.layers": 1, "model.width": 48, "model.heads": 6, "data.context": 32, "model.context": 32}
}


def test_the_names_of_the_catalogue() -> None:
    assert RECIPES.names() == ["digits-cnn", "digits-mlp", "gpt-10m", "python-docs-gpt"]
    assert set(QUICK) < set(RECIPES.names())


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_builds_as_it_is(name: str) -> None:
    entry = RECIPES[name]
    recipe = entry.recipe()
    assert recipe.name == name
    workload = build_workload(recipe)
    inputs, targets = workload.dataset.train.batch(np.arange(2))
    assert inputs.shape[1:] == workload.dataset.input_shape
    assert len(targets) == 2
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_runs_two_steps(name: str) -> None:
    changes = {"steps": 2, "batch_size": 4, "evaluate_examples": 8, **QUICK.get(name, {})}
    recipe = recipe_from(name, changes)
    assert isinstance(recipe, Recipe)
    record = train_run(recipe, keep_weights=False)
    assert record.state == "finished"
    assert record.summary["steps"] == 2
    # Two steps from initialization: the loss is near that of a guess, ln(outputs).
    assert 0.5 < float(record.summary["validation_loss"] or 0) < 8


@pytest.mark.parametrize("name", RECIPES.names())
def test_a_recipe_says_command_hardware_time_and_result(name: str) -> None:
    words = RECIPES[name].help
    assert RECIPES[name].summary.endswith(".")
    for line in (f"Command:  sevenfold train {name}", "Hardware: ", "Time:     ", "Result:   "):
        assert line in words
    assert "TODO" not in words


def test_the_gpt_for_step_times_has_the_shape_that_was_asked_for() -> None:
    workload = build_workload(RECIPES["gpt-10m"].recipe())
    assert workload.recipe.batch_size == 12
    assert workload.dataset.input_shape == (256,)
    assert 10.0e6 < workload.parameters < 11.5e6


@pytest.mark.slow
def test_the_demo_recipe_reaches_its_stated_result() -> None:
    recipe = recipe_from("digits-cnn")
    assert isinstance(recipe, Recipe)
    losses, accuracies = [], []
    for seed in range(3):
        record = train_run(recipe.with_changes({"seed": seed}), keep_weights=False)
        losses.append(float(record.summary["validation_loss"] or 0))
        accuracies.append(float(record.summary["test_accuracy"] or 0))
    assert 0.05 < sum(losses) / 3 < 0.15
    assert sum(accuracies) / 3 > 0.96
