"""The runs of the store as result objects: lists, one run, comparisons and their arithmetic."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

import sevenfold
from sevenfold.actions.runs import RunComparison, RunDetail, RunList, check_runs, compare_runs, list_runs, show_run
from sevenfold.errors import UnknownNameError, UsageError
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.runs.store import RunStore

LOSSES = {0: 0.11, 1: 0.14, 2: 0.12}


def recipe(seed: int = 0, **changes: Any) -> Recipe:
    made = Recipe(
        name="digits-cnn",
        task="classification",
        model=ModelChoice(name="lecun1989-small", settings={"width": 8}),
        data=DataChoice(name="digits"),
        seed=seed,
    )
    return made.with_changes(changes)


@pytest.fixture
def store(home: Path) -> RunStore:
    """Three seeds of one recipe, two of another, a failed run."""
    store = RunStore()
    for lr, seeds in ((1e-3, (0, 1, 2)), (1e-2, (0, 1))):
        for seed in seeds:
            made = recipe(seed, **{"optimizer.lr": lr})
            with store.open(made, provenance={"sha256": "ab"}, environment={"torch": "2.13"}) as writer:
                for step in range(5):
                    writer.log(step, {"train_loss": 2.0 / (step + 1)})
                writer.log(4, {"validation_loss": math.nan})
                loss = LOSSES[seed] + 100 * (lr - 1e-3)
                summary: dict[str, Any] = {"validation_loss": loss, "validation_accuracy": 0.9, "steps": 500}
                writer.finish({**summary, "stopped_by": "steps", "energy_j": None, "wall_seconds": 3.0})
    failing = store.open(recipe(9), provenance={"sha256": "cd"}, environment={"torch": "2.12"})
    failing.fail("the loss became NaN")
    store.close()
    return store


def ids(*pairs: tuple[int, float]) -> list[str]:
    return [recipe(seed, **{"optimizer.lr": lr}).run_id() for seed, lr in pairs]


def test_the_list(store: RunStore) -> None:
    result = list_runs()
    assert isinstance(result, RunList)
    assert (result.num_runs, len(result.runs)) == (6, 6)
    assert result.runs[0].error == "the loss became NaN"
    assert result.runs[0].validation_loss is None
    line = result.runs[-1]
    assert (line.seed, line.validation_loss, line.steps, line.wall_seconds) == (0, 0.11, 500, 3.0)
    assert len(list_runs(state="failed").runs) == 1
    assert len(list_runs(recipe="digits-cnn", limit=2).runs) == 2
    assert list_runs(recipe="other").runs == []
    assert list_runs(store=store.path).runs == result.runs


def test_the_list_of_an_empty_store() -> None:
    assert list_runs().to_dict() == {
        "schema_version": "1.0",
        "store": str(RunStore().path),
        "num_runs": 0,
        "runs": [],
    }


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"state": "done"}])
def test_choices_without_a_meaning(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        list_runs(**wrong)


def test_one_run(store: RunStore) -> None:
    result = show_run("digits-cnn-s9")
    assert isinstance(result, RunDetail)
    assert result.metrics == []
    (run_id,) = ids((1, 1e-3))
    result = show_run(run_id)
    assert result.run.run_recipe() == recipe(1)
    metrics = {line.name: line for line in result.metrics}
    assert (metrics["train_loss"].first, metrics["train_loss"].last, metrics["train_loss"].num_rows) == (
        2.0,
        0.4,
        5,
    )
    assert (metrics["train_loss"].lowest, metrics["train_loss"].highest) == (0.4, 2.0)
    assert math.isnan(metrics["validation_loss"].last)
    assert metrics["validation_loss"].lowest is None
    with pytest.raises(UnknownNameError, match="try digits-cnn-s9"):
        show_run("digitscnn-s9")


def test_what_differs(store: RunStore) -> None:
    first, second = ids((0, 1e-3), (1, 1e-2))
    result = compare_runs([first, second])
    assert isinstance(result, RunComparison)
    assert {row.key: row.values for row in result.recipe} == {"optimizer.lr": [0.001, 0.01], "seed": [0, 1]}
    assert (result.provenance, result.environment) == ([], [])
    rows = {row.name: row for row in result.summary}
    assert rows["validation_loss"].values == [0.11, 0.14 + 100 * (1e-2 - 1e-3)]
    assert rows["validation_loss"].differences == [0.0, pytest.approx(0.03 + 0.9)]
    assert rows["stopped_by"].differences == [None, None]
    assert rows["energy_j"].differences == [None, None]
    assert result.over_seeds == []


def test_a_failed_run_and_other_data_beside_a_finished_one(store: RunStore) -> None:
    result = compare_runs([ids((0, 1e-3))[0], "digits-cnn-s9"])
    assert [row.key for row in result.provenance] == ["sha256"]
    assert [(row.key, row.values) for row in result.environment] == [("torch", ["2.13", "2.12"])]
    assert {row.name: row.values for row in result.summary}["validation_loss"] == [0.11, None]
    assert result.over_seeds == []


def test_the_interval_over_seeds_is_students(store: RunStore) -> None:
    result = compare_runs(ids((0, 1e-3), (1, 1e-3), (2, 1e-3), (0, 1e-2), (1, 1e-2)))
    assert [group.seeds for group in result.over_seeds] == [[0, 1, 2], [0, 1]]
    spread = {figure.name: figure for figure in result.over_seeds[0].figures}
    assert set(spread) == {"validation_loss", "validation_accuracy", "steps", "wall_seconds"}
    values = list(LOSSES.values())
    low, high = stats.t.interval(0.95, 2, loc=sum(values) / 3, scale=stats.sem(values))
    found = spread["validation_loss"]
    assert (found.mean, found.low, found.high) == pytest.approx((sum(values) / 3, low, high), rel=1e-12)
    assert spread["steps"].low == spread["steps"].high == 500


def test_runs_that_differ_in_more_than_the_seed_are_not_pooled(store: RunStore) -> None:
    assert compare_runs(ids((0, 1e-3), (0, 1e-2))).over_seeds == []


@pytest.mark.parametrize("chosen", [[], ["digits-cnn-s9"], ["digits-cnn-s9", "digits-cnn-s9"]])
def test_comparisons_that_are_none(store: RunStore, chosen: list[str]) -> None:
    with pytest.raises(UsageError):
        compare_runs(chosen)


def test_every_result_is_plain_data_with_a_version(store: RunStore) -> None:
    results = (list_runs(), show_run("digits-cnn-s9"), compare_runs(ids((0, 1e-3), (1, 1e-3))), check_runs())
    for result in results:
        data = json.loads(json.dumps(result.to_dict()))
        assert data["schema_version"] == "1.0"
        assert data["store"] == str(store.path)
        assert type(result).from_dict(data).to_dict() == result.to_dict()


def test_checking(store: RunStore) -> None:
    result = check_runs()
    assert (result.num_runs, result.damage) == (6, [])
    content = bytearray(store.path.read_bytes())
    store.path.write_bytes(content[: len(content) // 2])
    result = check_runs()
    assert result.num_runs is None
    assert result.damage


def test_they_are_the_python_interface() -> None:
    assert sevenfold.list_runs is list_runs
    assert sevenfold.show_run is show_run
    assert sevenfold.compare_runs is compare_runs
    assert sevenfold.check_runs is check_runs
