"""Every recipe of the catalogue builds, runs two steps, and says what it takes and gives."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import sevenfold
from sevenfold.errors import SevenfoldError
from sevenfold.models import MODELS
from sevenfold.recipes import RECIPES, chained, recipe_from
from sevenfold.runs.recipe import Recipe
from sevenfold.training import train_run
from sevenfold.training.reinforcement import replay
from sevenfold.training.reinforcement.playing import build_playing
from sevenfold.training.workload import build_workload

# What a two-step check may shrink: sizes say nothing about whether the parts of a recipe fit together.
QUICK: dict[str, dict[str, object]] = {
    "gpt-10m": {"model.layers": 1, "model.width": 48, "model.heads": 6, "data.context": 32, "model.context": 32},
    "lenet5-digits": {"optimizer.lr": 1e-4},  # its logits are squared distances, up to some hundreds
    "wgan-digits": {"batch_size": 10},  # five updates a step
    "wgan-gp-digits": {"batch_size": 10},
    "reward-requests": {"data.num_prompts": 8, "data.answers": 2},  # each answer is drawn from a model
    "dpo-requests": {"data.num_prompts": 8, "data.answers": 2},
}


ACTING = [name for name in RECIPES.names() if RECIPES[name].recipe().task == "control"]
NAMES = [name for name in RECIPES.names() if not RECIPES[name].paper and name not in ACTING]
PAPER = [name for name in RECIPES.names() if RECIPES[name].paper and name not in ACTING]


def begun(recipe: Recipe) -> Recipe:
    """The recipe with runs of two steps in place of those that it begins from."""

    def two_steps(needed: Recipe) -> str:
        few = {"steps": 2, "batch_size": 4, "evaluate_examples": 8, **QUICK.get(needed.name, {})}
        return train_run(needed.with_changes(few)).id

    return chained(recipe, two_steps)


def test_the_names_of_the_catalogue() -> None:
    assert {"digits-cnn", "digits-mlp", "gpt-10m", "python-docs-gpt"} <= set(RECIPES.names())
    assert set(QUICK) < set(NAMES)


@pytest.mark.parametrize("name", PAPER)
def test_a_paper_size_recipe_says_what_it_needs_and_that_it_is_not_here(name: str, home: Path) -> None:
    """Its data set is not on this machine: one line that names it, before anything is built."""
    entry = RECIPES[name]
    recipe = entry.recipe()
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert MODELS[recipe.model.name].spec(recipe.model.settings)
    assert recipe.data.name in entry.help or recipe.data.name.partition(":")[2] in entry.help
    with pytest.raises(SevenfoldError) as told:
        train_run(recipe, keep_weights=False)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ACTING)
def test_a_recipe_of_an_agent_builds_and_plays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of paper size it builds, as where there is the memory; a replay of millions of frames is not made."""
    monkeypatch.setattr(replay, "_SHARE_OF_MEMORY", 1e3)
    entry = RECIPES[name]
    recipe = entry.recipe()
    assert recipe.name == name
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    if recipe.data.name.startswith("atari:"):
        pytest.importorskip("ale_py")
    playing = build_playing(recipe)
    assert playing.model(torch.zeros(2, *playing.frame.observation)).shape == (2, playing.frame.actions)
    if entry.paper:
        assert recipe.data.name in entry.help
        return
    few = recipe.with_changes({"steps": 300, "data.evaluation_episodes": 2, "checkpoint_every": 10**9})
    if (
        "exact_discount" in recipe.data.settings
    ):  # solving 4 x 4 takes seconds: tests/training/test_boards.py, on 3 x 3
        few = few.with_changes({"data.exact_discount": 0.0})
    record = train_run(few, keep_weights=False)
    assert record.state == "finished"
    assert int(record.summary["steps"] or 0) >= 300
    played = record.summary["test_return"]
    assert isinstance(played, float)
    assert math.isfinite(played)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_builds_as_it_is(name: str) -> None:
    entry = RECIPES[name]
    recipe = entry.recipe()
    assert recipe.name == name
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    if recipe.task in ("reward", "preference"):
        recipe = recipe.with_changes(QUICK[name])
    recipe = begun(recipe)
    workload = build_workload(recipe)
    inputs, targets = workload.dataset.train.batch(np.arange(2))
    of_any_length = recipe.data.name in ("requests", "drawn-comparisons")  # as long as the longest of the batch
    if isinstance(inputs, torch.Tensor) and recipe.task != "word-vectors" and not of_any_length:
        assert inputs.shape[1:] == workload.dataset.input_shape
    assert len(targets) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_runs_two_steps(name: str) -> None:
    changes = {"steps": 2, "batch_size": 4, "evaluate_examples": 8, **QUICK.get(name, {})}
    recipe = recipe_from(name, changes)
    assert isinstance(recipe, Recipe)
    record = train_run(begun(recipe), keep_weights=False)
    assert record.state == "finished"
    assert record.summary["steps"] == 2
    # Two steps from initialization: the loss is near that of a guess, ln(outputs).
    if recipe.task in ("classification", "causal-lm", "masked-lm", "seq2seq", "segmentation"):
        assert 0.3 < float(record.summary["validation_loss"] or 0) < 12
    shown = "test_true_reward" if recipe.task == "rlhf" else "validation_loss"
    assert math.isfinite(float(record.summary[shown] or math.nan))


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
@pytest.mark.parametrize("name", [name for name in RECIPES.names() if RECIPES[name].measured is not None])
def test_a_laptop_recipe_reaches_its_stated_result(name: str) -> None:
    measured = RECIPES[name].measured
    assert measured is not None
    recipe = RECIPES[name].recipe()
    record = sevenfold.train(recipe, keep_weights=recipe.task == "generation")  # a probe draws no samples
    found = record.summary[measured.metric]
    assert isinstance(found, float)
    assert abs(found - measured.mean) <= 4 * measured.spread + measured.slack


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
