"""The main job from the Python API and the command line, on a small model of the caller's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import sevenfold
from sevenfold.actions import _step
from sevenfold.actions import diagnose as diagnose_module
from sevenfold.cli._boundary import run_guarded
from sevenfold.data import ArrayData
from sevenfold.diagnosis.result import CONSTRAINTS, Diagnosis
from sevenfold.errors import RunError, UsageError

KEYS = {"limit", "usage", "slack", "headroom", "shadow_price", "interval", "evidence", "method"}

OWN_FILE = """
import numpy as np
import sevenfold
import torch

x = np.random.default_rng(0).normal(size=(240, 6)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int64")


class Net(torch.nn.Sequential):
    def __init__(self, width):
        super().__init__(torch.nn.Linear(6, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))


def recipe():
    return sevenfold.recipe(
        model=lambda width=8: Net(width), data=sevenfold.data.arrays(x, y), task="classification", steps=60
    )


def broken():
    return 1 / 0
"""


def _arrays() -> ArrayData:
    x = np.random.default_rng(1).normal(size=(240, 6)).astype(np.float32)
    return sevenfold.data.arrays(x, (x[:, 0] * x[:, 1] > 0).astype(np.int64))


@pytest.fixture
def _uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    # Calibrating takes seconds and has tests of its own.
    monkeypatch.setattr(_step, "measured_costs", lambda *_, **__: _step.Costs(no_step_reason="not in this test"))


@pytest.mark.usefixtures("_uncalibrated")
def test_a_callers_own_model_is_diagnosed_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    def run() -> Diagnosis:
        return sevenfold.diagnose(
            model=lambda width: torch.nn.Sequential(
                torch.nn.Linear(6, width), torch.nn.ReLU(), torch.nn.Linear(width, 2)
            ),
            data=data,
            task="classification",
            changes={"steps": 40},
            report=tmp_path / "report.html",
        )

    data = _arrays()
    first = run()
    assert set(first.constraints) == set(CONSTRAINTS)
    architecture = first.constraints["architecture"]
    assert architecture.method == "unavailable"
    assert architecture.why
    assert first.constraints["parameters"].method == "measured"
    assert first.constraints["efficiency"].why == "not in this test"
    assert "<html" in (tmp_path / "report.html").read_text()
    again = run()
    assert again.budget.num_reused == again.budget.num_runs
    assert [row.shadow_price for row in again.constraints.values()] == [
        row.shadow_price for row in first.constraints.values()
    ]
    assert again.sentence == first.sentence
    assert "train_command" not in first.provenance  # no command line trains an object in Python


@pytest.mark.usefixtures("_uncalibrated")
def test_the_command_line_takes_a_persons_file_and_prints_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN_FILE)
    assert run_guarded(["diagnose", "mine.py:recipe", "--json", "--budget", "40s"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == ""
    assert isinstance(result["binding"], list)
    assert set(result["constraints"]) == set(CONSTRAINTS)
    assert all(set(row) >= KEYS for row in result["constraints"].values())
    assert json.loads((tmp_path / "report.json").read_text()) == result
    assert result["budget"]["seconds"] == 40.0  # as stated, though preparing takes of it
    assert result["provenance"]["train_command"] == "sevenfold train mine.py:recipe"
    assert result["provenance"]["data"]["sha256"]
    assert result["provenance"]["machine"]["torch"] == torch.__version__
    assert {curve["run"] for curve in result["curves"]} >= set(result["baseline_runs"])
    assert all(curve["train_loss"] and curve["validation_loss"] for curve in result["curves"])


@pytest.mark.parametrize(
    ("arguments", "told", "status"),
    [
        (["diagnose", "digts-cnn"], "digits-cnn", 2),
        (["diagnose", "digits-cnn", "--set", "optimizer.lrr=1"], "optimizer.lr", 2),
        (["diagnose", "digits-cnn", "--limit", "energy=5parsecs"], "500J", 2),
        (["diagnose", "digits-cnn", "--budget", "soon"], "5m", 2),
        (["diagnose", "mine.py:broken"], "division by zero", 2),
        (["diagnose", "mine.py:recip"], "recipe", 2),
        (["diagnose", "missing.py:recipe"], "missing.py", 2),
        (["diagnose", "digits-cnn", "--report", "/proc/nowhere/report.html"], "/proc/nowhere", 1),
        (["diagnose", "digits-cnn", "--seeds", "1"], "seeds", 2),
    ],
)
def test_bad_input_gets_one_line(
    arguments: list[str],
    told: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN_FILE)
    assert run_guarded([*arguments, "--json"]) == status
    out, err = capsys.readouterr()
    assert out == ""
    error = json.loads(err)
    assert set(error) == {"error", "got", "expected", "hint"}
    assert told in " ".join(str(part) for part in error.values())


@pytest.mark.usefixtures("_uncalibrated")
def test_a_baseline_that_cannot_be_trained_ends_it_with_one_line() -> None:
    with pytest.raises(RunError, match="baseline") as caught:
        sevenfold.diagnose(
            "digits-mlp",
            changes={"steps": 5, "optimizer.name": "sgd", "optimizer.lr": 1e30, "optimizer.clip_norm": None},
        )
    assert "not finite" in str(caught.value)


def test_a_recipe_of_ones_own_needs_model_data_and_task() -> None:
    with pytest.raises(UsageError, match="data and task"):
        sevenfold.diagnose(model=lambda: torch.nn.Linear(2, 2))
    with pytest.raises(UsageError, match="no recipe"):
        sevenfold.diagnose()


def test_workers_share_the_cores_that_a_recipe_leaves() -> None:
    recipe = sevenfold.recipe("digits-cnn")
    workers, threads = diagnose_module.share_cores(recipe)
    assert threads == 1
    assert workers >= 1
    assert diagnose_module.share_cores(recipe.with_changes({"threads": 0}))[0] == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("clip-numbers", "depends on the batch"),
        ("xor", "squared error"),
        ("vae-digits", "the model's own"),
        ("ppo-cartpole", "the model's own"),
    ],
)
def test_a_task_without_nats_is_refused_before_anything_runs(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        sevenfold.diagnose(name)
