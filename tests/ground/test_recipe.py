"""Recipes: everything that determines a run is in its id, and nothing else."""

from __future__ import annotations

import pickle

import pytest

from sevenfold.errors import SpecError, UnknownNameError
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.spec import settings_of


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="digits-cnn",
        task="classification",
        model=ModelChoice(name="lecun1989-small"),
        data=DataChoice(name="digits"),
        seed=3,
    )


OTHER = {
    "task": "causal-lm",
    "model.name": "mlp",
    "model.settings": {"width": 9},
    "data.name": "python-docs",
    "data.settings": {"context": 9},
    "optimizer.name": "sgd",
    "schedule.name": "constant",
    "precision": "bf16",
    "compile": True,
    "device": "cpu",
    "optimizer.clip_norm": 2.0,
    "limits.time_s": 60.0,
    "limits.energy_j": 500.0,
    "data.fraction": 0.5,
    "schedule.warmup_fraction": 0.5,
    "schedule.final_fraction": 0.5,
    "objective.label_smoothing": 0.1,
    "objective.comparison": "best",
    "objective.teacher": "digits-mlp-s0",
    "objective.teacher_share": 0.5,
    "start": "digits-mlp-s0",
    "feedback.reward": "requests-reward-s0",
    "feedback.trace": 0.5,
    "feedback.discount": 0.5,
    "optimizer.beta1": 0.5,
    "optimizer.beta2": 0.5,
    "optimizer.momentum": 0.5,
}


@pytest.mark.parametrize("key", [key for key, *_ in settings_of(Recipe) if key not in ("name", "checkpoint_every")])
def test_every_setting_determines_the_run(recipe: Recipe, key: str) -> None:
    default = next(default for name, _, default, _ in settings_of(Recipe) if name == key)
    other = OTHER.get(key, 2 * default + 1 if isinstance(default, (int, float)) else None)
    changed = recipe.with_changes({key: other})
    assert changed != recipe
    assert changed.run_id() != recipe.run_id()


def test_the_name_and_checkpoints_do_not(recipe: Recipe) -> None:
    assert recipe.with_changes({"checkpoint_every": 10}).run_id() == recipe.run_id()
    renamed = recipe.with_changes({"name": "other"}).run_id()
    assert renamed.split("-s3-")[1] == recipe.run_id().split("-s3-")[1]


def test_the_id_can_be_read_and_never_changes(recipe: Recipe) -> None:
    # A literal: a change of it makes every stored run another run.
    assert recipe.run_id() == "digits-cnn-s3-9af57f3fe135"
    assert pickle.loads(pickle.dumps(recipe)).run_id() == recipe.run_id()
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("key", [key for key, *_ in settings_of(Recipe)])
def test_every_setting_has_its_help(key: str) -> None:
    text = next(text for name, _, _, text in settings_of(Recipe) if name == key)
    assert len(text) > 5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"optimizer.lr": "0"}, "greater than 0"),
        ({"data.fraction": "1.5"}, "less than or equal to 1"),
        ({"data.fraction": "0"}, "greater than 0"),
        ({"steps": "0"}, "greater than or equal to 1"),
        ({"seed": "-1"}, "greater than or equal to 0"),
        ({"precision": "fp16"}, "'fp32' or 'bf16'"),
        ({"batch_size": "0"}, "greater than or equal to 1"),
    ],
)
def test_values_without_a_meaning_are_refused(recipe: Recipe, changes: dict[str, str], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        recipe.with_changes(changes)


def test_a_typo_is_never_a_default(recipe: Recipe) -> None:
    with pytest.raises(UnknownNameError, match=r"try optimizer\.lr"):
        recipe.with_changes({"optimizer.lrate": "1"})
