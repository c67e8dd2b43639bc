"""Worker processes: parallel runs, reuse of finished ones, and a worker that is killed costs its own run alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from sevenfold.actions._pool import ProbePool
from sevenfold.actions.recipe import pure
from sevenfold.data import arrays
from sevenfold.diagnosis.probes import ProbeOutcome
from sevenfold.recipes.custom import custom_recipe
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunStore

X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


def _own_recipe(folder: Path) -> tuple[Recipe, list[Path]]:
    def build(width: int = 4, deadly: bool = False, broken: bool = False) -> torch.nn.Module:
        if deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if broken:
            raise RuntimeError("a fault\nof two lines")
        print("what a model prints must not break the protocol")
        return torch.nn.Sequential(torch.nn.Linear(6, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))

    return pure(custom_recipe(build, arrays(X, Y), task="classification"), {"steps": 20}, folder)


@pytest.fixture
def outcomes(tmp_path: Path) -> list[list[ProbeOutcome]]:
    recipe, bundles = _own_recipe(tmp_path)
    asked = [recipe.with_changes({"seed": seed}) for seed in range(3)]
    # Registered here only by name: the settings that kill are reached in the worker.
    deadly = recipe.with_changes({"model.settings": {"deadly": True}})
    broken = recipe.with_changes({"model.settings": {"broken": True}})
    with ProbePool(RunStore(), workers=2, threads=1, bundles=bundles) as pool:
        return [list(pool.run([asked[0], deadly, broken, *asked[1:]])), list(pool.run(asked))]


def test_every_recipe_has_one_outcome_and_a_killed_worker_costs_only_its_own_run(
    outcomes: list[list[ProbeOutcome]],
) -> None:
    first, again = outcomes
    by_settings = {outcome.recipe.run_id(): outcome for outcome in first}
    assert len(first) == len(by_settings) == 5
    failed = [outcome for outcome in first if outcome.record is None]
    assert len(failed) == 2
    messages = sorted(str(outcome.error) for outcome in failed)
    assert any("SIGKILL" in message for message in messages)
    assert any("a fault of two lines" in message for message in messages)
    assert all("\n" not in message for message in messages)
    done = [outcome for outcome in first if outcome.record is not None]
    assert all(np.isfinite(outcome.record.summary["validation_loss"]) for outcome in done)
    assert not any(outcome.reused for outcome in first)
    assert all(outcome.reused for outcome in again)


def test_finished_runs_start_no_process(outcomes: list[list[ProbeOutcome]]) -> None:
    recipes = [outcome.recipe for outcome in outcomes[1]]
    with ProbePool(RunStore(), workers=2, threads=1, bundles=[]) as pool:
        assert all(outcome.reused for outcome in pool.run(recipes))
        assert pool._processes == []
