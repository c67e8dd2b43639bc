"""The action behind ``sevenfold train``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import sevenfold
from sevenfold.actions.train import kept_weights
from sevenfold.errors import SpecError, UnknownNameError
from sevenfold.recipes.custom import custom_recipe
from sevenfold.runs.store import RunStore

SHORT = {"steps": 12, "evaluate_every": 6, "model.width": 4}


def test_a_recipe_by_name_with_changes() -> None:
    record = sevenfold.train("digits-mlp", {**SHORT, "optimizer.lr": "3e-4"})
    assert record.state == "finished"
    assert record.run_recipe().optimizer.lr == 3e-4
    assert record.summary["steps"] == 12
    assert RunStore().require(record.id) == record
    weights = kept_weights(record)
    assert weights is not None
    assert weights.stat().st_size > 0


def test_a_recipe_as_an_object_is_the_same_run() -> None:
    by_name = sevenfold.train("digits-mlp", SHORT)
    calls: list[object] = []
    assert sevenfold.train(by_name.run_recipe(), on_step=calls.append) == by_name
    assert calls == []


def test_a_persons_own_model_and_arrays() -> None:
    inputs = np.random.default_rng(0).normal(size=(120, 4)).astype("float32")

    def build(width: int = 8) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))

    mine = custom_recipe(
        build,
        sevenfold.data.arrays(inputs, (inputs[:, 0] > 0).astype("int64")),
        task="classification",
        steps=60,
        **{"optimizer.lr": 1e-2},
    )
    record = sevenfold.train(mine)
    assert record.state == "finished"
    assert float(record.summary["validation_accuracy"] or 0) > 0.8
    assert record.summary["parameters"] == 4 * 8 + 8 + 8 * 2 + 2


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"optimizer.lrr": 1}, UnknownNameError, "optimizer.lr"),
        ({"model.widht": 8}, UnknownNameError, "model.width"),
        ({"model.width": "wide"}, SpecError, "model mlp-small: width does not fit"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_starts(
    home: Path, changes: dict[str, object], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        sevenfold.train("digits-mlp", changes)
    assert not home.exists()


def test_the_joules_of_the_steps_are_recorded_where_there_is_a_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    class Meter:
        method = "measured"
        source = "a test"

        def read_j(self, num_steps: int) -> float:
            return 5.0 + 2.0 * num_steps

    find: Callable[..., Meter] = lambda *_: Meter()  # noqa: E731
    monkeypatch.setattr("sevenfold.training.find_meter", find)
    record = sevenfold.train("digits-mlp", SHORT)
    assert (record.summary["energy_j"], record.summary["energy_method"]) == (24.0, "measured")
