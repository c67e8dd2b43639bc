"""Recipes that begin where another's run ended: what is trained, with which seed, and what the run says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import sevenfold
from sevenfold import checkpoints
from sevenfold.errors import InputFileError, SevenfoldError, UsageError
from sevenfold.recipes import RECIPES, chained, needed_recipes, recipe_from
from sevenfold.recipes._catalogue import RecipeEntry
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run


def _small(**changes: object) -> Recipe:
    few = {"steps": 3, "batch_size": 8, "evaluate_examples": 16}
    return RECIPES["digits-mlp"].recipe().with_changes(few | changes)


@pytest.fixture
def ring() -> Iterator[None]:
    """Two recipes that need each other."""
    for name, other in (("ring-a", "ring-b"), ("ring-b", "ring-a")):
        recipe = _small(name=name, start=f"recipe:{other}")
        RECIPES.add(name, RecipeEntry(name, lambda recipe=recipe: recipe, "A ring."))
    yield
    for name in ("ring-a", "ring-b"):
        del RECIPES._entries[name]


def test_the_recipe_that_is_needed_is_trained_first_with_the_same_seed() -> None:
    trained: list[Recipe] = []

    def train(recipe: Recipe) -> str:
        trained.append(recipe)
        return "some-run"

    wanted = _small(seed=7, start="recipe:digits-cnn/features")
    assert needed_recipes(wanted) == {"start": "digits-cnn/features"}
    assert chained(wanted, train).start == "some-run/features"
    assert [(recipe.name, recipe.seed) for recipe in trained] == [("digits-cnn", 7)]


def test_recipes_that_need_each_other_are_told(ring: None) -> None:
    with pytest.raises(UsageError, match="ring-a -> ring-b -> ring-a"):
        chained(RECIPES["ring-b"].recipe().with_changes({"start": "recipe:ring-a"}), lambda recipe: recipe.name)


def test_a_run_starts_from_the_weights_of_another() -> None:
    """A step of no size leaves the weights that were taken; a new head stays as its seed made it."""
    first = train_run(_small())
    still = {"optimizer.lr": 1e-12, "optimizer.weight_decay": 0.0, "seed": 1, "start": first.id}
    second = train_run(_small(**still))
    before, after = (checkpoints.load_weights(data_home() / "runs" / run.id) for run in (first, second))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-8)
    assert second.summary["started_parameters"] == second.summary["parameters"]
    assert first.summary["started_parameters"] is None
    assert train_run(_small(**(still | {"start": None}))).id != second.id


def test_what_a_run_begins_with_is_part_of_its_identity_only_where_it_begins_with_something() -> None:
    plain = _small()
    assert plain.with_changes({"start": "a-run"}).identity() != plain.identity()
    assert "start" in plain.to_dict()
    # The identity of before the setting was there: runs of then are found again.
    assert RECIPES["digits-cnn"].recipe().run_id() == "digits-cnn-s0-1704c5a020ff"


def test_nothing_that_fits_and_nothing_that_is_there() -> None:
    first = train_run(_small())
    with pytest.raises(UsageError, match="no weight of the run fits"):
        train_run(_small(start=f"{first.id}/nowhere"))
    with pytest.raises(InputFileError, match="no run of this id"):
        train_run(_small(start="no-such-run"))
    with pytest.raises(UsageError, match="trained after it"):
        train_run(_small(start="recipe:digits-cnn"))
    with pytest.raises(UsageError, match="from the beginning"):
        sevenfold.diagnose("digits-mlp", changes={"start": first.id})


def test_the_action_trains_both_and_finds_them_again() -> None:
    few = {"steps": 3, "batch_size": 8, "evaluate_examples": 16}
    needed = train_run(_small())
    told: list[str] = []
    RECIPES.add("begun-digits", RecipeEntry("begun-digits", lambda: _small(), "A beginning."))
    try:
        record = sevenfold.train("digits-mlp", few | {"start": "recipe:begun-digits"}, on_event=told.append)
    finally:
        del RECIPES._entries["begun-digits"]
    assert record.run_recipe().start == needed.id  # the finished run, not trained again
    assert "needs the run of" in told[0]
    short = sevenfold.train("digits-mlp", few | {"start": needed.id[:-3]})
    assert short.id == record.id


def test_what_cannot_be_is_told_before_what_is_needed_is_trained(tmp_path: Path, home: Path) -> None:
    """A circle of comparisons, a setting, a run that is not there: nothing has been trained when they are told."""
    circle = tmp_path / "circle.jsonl"
    pairs = (("a", "b"), ("b", "c"), ("c", "a"))
    circle.write_text("".join(json.dumps({"prompt": "p", "answers": pair}) + "\n" for pair in pairs))
    wrong: dict[str, dict[str, object]] = {
        "contradict each other": {"data.name": f"comparisons:{circle}"},
        "unknown setting": {"data.nonsense": 1},
        "unknown run": {"objective.teacher": "no-such-run"},
    }
    for words, changes in wrong.items():
        with pytest.raises(SevenfoldError, match=words):
            sevenfold.train("reward-requests", changes)
    with pytest.raises(SevenfoldError, match="unknown run"):
        sevenfold.train("ppo-requests", {"feedback.reward": "no-such-run"})
    assert RunStore(home / "runs.sqlite").ids() == []


def test_settings_of_another_data_set_fall_away() -> None:
    """What the recipe says about its own data; what a person says stays, and is told where it does not fit."""
    assert RECIPES["reward-requests"].recipe().data.settings
    changed = recipe_from("reward-requests", {"data.name": "comparisons:mine.jsonl", "data.encoding": "requests"})
    assert isinstance(changed, Recipe)
    assert changed.data.settings == {"encoding": "requests"}
    other = recipe_from("ppo-snake-4", {"data.name": "gymnasium:CartPole-v1"})
    assert isinstance(other, Recipe)
    assert set(other.data.settings) == {"environments", "evaluation_episodes"}
    kept = recipe_from("ppo-snake-4", {"data.name": "gymnasium:CartPole-v1", "data.size": 5})
    assert isinstance(kept, Recipe)
    assert kept.data.settings["size"] == 5


def test_none_starts_from_no_other_run() -> None:
    changed = recipe_from("reward-requests", {"start": "none", "data.name": "comparisons:mine.jsonl"})
    assert isinstance(changed, Recipe)
    assert changed.start is None
    assert needed_recipes(changed) == {}
