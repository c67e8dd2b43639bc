"""What the run store knows of a diagnosis's runs, put into it for the report: loss curves, data set and machine.

The verdict does not depend on any of it. Reads the store; trains and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sevenfold.diagnosis.result import Curve, Diagnosis
from sevenfold.runs.store import RunStore

MAX_POINTS = 160  # of a training curve: a report holds dozens of curves


def with_evidence(diagnosis: Diagnosis, store: RunStore, *, train_command: str | None = None) -> Diagnosis:
    """A copy with curves and provenance; ``train_command`` is what the advice's changes are added to.

    >>> with_evidence(diagnosis, RunStore(), train_command="sevenfold train digits-cnn")  # doctest: +SKIP

    Runs that the store does not know are left out. Raises StoreError where the store is damaged.
    """
    record = next((found for run in diagnosis.baseline_runs if (found := store.record(run)) is not None), None)
    provenance = dict(diagnosis.provenance)
    if record is not None:
        provenance = {"data": record.provenance, "machine": record.environment}
    if train_command is not None:
        provenance["train_command"] = train_command
    return diagnosis.model_copy(update={"curves": curves_of(diagnosis, store), "provenance": provenance})


def curves_of(diagnosis: Diagnosis, store: RunStore) -> list[Curve]:
    """Curves of the baseline's runs, and of the first free advice's."""
    groups = [("the recipe", diagnosis.baseline_runs), *_advised(diagnosis)]
    found = (_curve(store, run, label) for label, runs in groups for run in runs)
    return [curve for curve in found if curve is not None]


def _advised(diagnosis: Diagnosis) -> list[tuple[str, list[str]]]:
    """(label, runs) of the best setting of the lever to pull first."""
    lever = next((advice for advice in diagnosis.advice if advice.kind == "free" and advice.change), None)
    if lever is None or lever.change is None:
        return []
    runs = set(lever.evidence) - set(diagnosis.baseline_runs)
    points = diagnosis.constraints[lever.constraint].points
    whole = [point.runs for point in points if point.runs and set(point.runs) <= runs]
    return [("with the first advice", max(whole, key=len))] if whole else []


def _curve(store: RunStore, run: str, label: str) -> Curve | None:
    if store.record(run) is None:
        return None
    names = store.metric_names(run)
    empty = (np.empty(0, np.int64), np.empty(0))
    train = store.metrics(run, "train_loss") if "train_loss" in names else empty
    validation = store.metrics(run, "validation_loss") if "validation_loss" in names else empty
    steps, losses = _thinned(*_finite(*train))
    validation_steps, validation_losses = _finite(*validation)
    return Curve(
        run=run, label=label, steps=[int(step) for step in steps], train_loss=[float(loss) for loss in losses],
        validation_steps=[int(step) for step in validation_steps],
        validation_loss=[float(loss) for loss in validation_losses],
    )  # fmt: skip


def _finite(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.isfinite(values)
    return steps[kept], values[kept]


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[Sequence[float], Sequence[float]]:
    """At most MAX_POINTS, each the mean of its neighbours: a thinned curve keeps the level of the whole one."""
    if len(steps) <= MAX_POINTS:
        return steps.tolist(), values.tolist()
    groups = np.array_split(np.arange(len(steps)), MAX_POINTS)
    return [round(float(steps[g].mean())) for g in groups], [float(values[g].mean()) for g in groups]
