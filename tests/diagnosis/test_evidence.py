"""Curves and provenance come from the run store, thinned without moving them, and without what it does not know."""

from __future__ import annotations

from pathlib import Path

import example_verdicts
import numpy as np
import pytest
from example_diagnosis import BASELINE_RUNS, recipe

from sevenfold.diagnosis.evidence import MAX_POINTS, with_evidence
from sevenfold.diagnosis.report.provenance import provenance_tables
from sevenfold.diagnosis.report.rows import command_for
from sevenfold.diagnosis.result import Diagnosis
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunStore

PROVENANCE = {"name": "digits", "source": "scikit-learn", "licence": "CC BY 4.0", "sha256": "0" * 64}


def recorded(store: RunStore, made: Recipe, num_steps: int = 400) -> str:
    with store.open(made, provenance=PROVENANCE, environment={"torch": "2.13.0", "threads": 1}) as writer:
        for step in range(1, num_steps + 1):
            writer.log(step, {"train_loss": 2.0 / step + made.seed})
            if step % 100 == 0:
                writer.log(step, {"validation_loss": 1.0 / step})
        writer.finish({"validation_loss": 0.1})
    return made.run_id()


@pytest.fixture
def found(tmp_path: Path) -> tuple[Diagnosis, list[str], list[str]]:
    """A diagnosis whose baseline and first advice were run; the rest of its runs are unknown to the store."""
    store = RunStore(tmp_path / "runs.sqlite")
    baseline = [recorded(store, recipe().with_changes({"seed": seed})) for seed in (0, 1)]
    better = [recorded(store, recipe().with_changes({"seed": 0, "optimizer.lr": 2e-3}))]
    base = example_verdicts.data_binds()
    row = base.constraints["optimization"]
    best = row.points[3].model_copy(update={"runs": better})
    assert best.setting == "0.002"
    changed = base.model_copy(
        update={
            "baseline_runs": [*baseline, "lost-s2-000000000000"],
            "advice": [base.advice[0].model_copy(update={"evidence": [*baseline, *better]})],
            "constraints": {**base.constraints, "optimization": row.model_copy(update={"points": [best]})},
        }
    )
    return with_evidence(changed, store, train_command="sevenfold train digits-cnn"), baseline, better


def test_curves_of_the_baseline_and_of_the_first_lever(found: tuple[Diagnosis, list[str], list[str]]) -> None:
    diagnosis, baseline, better = found
    assert [(c.run, c.label) for c in diagnosis.curves] == [
        (baseline[0], "the recipe"), (baseline[1], "the recipe"), (better[0], "with the first advice"),
    ]  # fmt: skip
    curve = diagnosis.curves[1]
    assert curve.validation_steps == [100, 200, 300, 400]
    assert curve.validation_loss == pytest.approx([0.01, 0.005, 1 / 300, 0.0025])
    assert len(curve.steps) == len(curve.train_loss) == MAX_POINTS
    assert curve.steps == sorted(set(curve.steps))
    whole = np.mean([2.0 / step + 1 for step in range(1, 401)])
    assert np.mean(curve.train_loss) == pytest.approx(whole, rel=0.02)
    assert Diagnosis.from_dict(diagnosis.to_dict()) == diagnosis


def test_provenance_is_the_runs_own(found: tuple[Diagnosis, list[str], list[str]]) -> None:
    diagnosis, _, _ = found
    tables = {
        title: {entry.label: entry.value for entry in entries} for title, entries in provenance_tables(diagnosis)
    }
    assert tables["Data"]["SHA-256"] == "0" * 64
    assert tables["Data"]["licence"] == "CC BY 4.0"
    assert tables["Machine"]["torch"] == "2.13.0"
    assert "train command" not in tables["This diagnosis"]
    assert command_for(diagnosis, "--set steps=8") == "sevenfold train digits-cnn --set steps=8"


def test_a_store_that_knows_nothing_changes_nothing_but_the_curves(tmp_path: Path) -> None:
    base = example_verdicts.data_binds()
    assert base.baseline_runs == BASELINE_RUNS
    same = with_evidence(base, RunStore(tmp_path / "empty.sqlite"))
    assert same.curves == []
    assert same.provenance == base.provenance
