"""The action behind ``sevenfold runs``: what was run here, one run in full, and several beside each other.

>>> import sevenfold
>>> sevenfold.compare_runs(["digits-cnn-s0", "digits-cnn-s1"]).over_seeds  # doctest: +SKIP

Reads the run store only; trains nothing and imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from sevenfold.errors import StoreError, UsageError
from sevenfold.runs.record import RunRecord, RunState
from sevenfold.runs.store import RunStore
from sevenfold.spec import Spec

SCHEMA_VERSION = "1.0"
Plain = int | float | str | None


class _Result(Spec):
    # Losses of a diverged run are shown as they were; in JSON they become null.
    model_config = ConfigDict(allow_inf_nan=True)


class RunLine(_Result):
    """A run in one line."""

    id: str
    recipe_name: str
    state: RunState
    seed: int
    created: str  # ISO 8601, UTC
    updated: str
    validation_loss: float | None
    validation_accuracy: float | None
    steps: int | None
    parameters: int | None
    wall_seconds: float | None
    error: str | None


class RunList(_Result):
    """Runs, newest first."""

    schema_version: str = SCHEMA_VERSION
    store: str
    num_runs: int  # in the store, before choosing
    runs: list[RunLine]


class MetricLine(_Result):
    """One metric that a run logged."""

    name: str
    num_rows: int
    first_step: int
    last_step: int
    first: float
    last: float
    lowest: float | None  # of the finite values
    highest: float | None


class RunDetail(_Result):
    """One run in full."""

    schema_version: str = SCHEMA_VERSION
    store: str
    run: RunRecord
    metrics: list[MetricLine]


class Difference(_Result):
    """A key whose values are not the same in all compared runs; ``values`` in the order of the runs."""

    key: str
    values: list[Any]


class SummaryRow(_Result):
    """One figure of every compared run, and its difference from the first run where both are numbers."""

    name: str
    values: list[Plain]
    differences: list[float | None]


class Spread(_Result):
    """One figure over the seeds of one recipe: mean and 95% interval (Student's t)."""

    name: str
    mean: float
    low: float
    high: float
    values: list[float]


class OverSeeds(_Result):
    """Compared runs that differ in nothing but the seed."""

    runs: list[str]
    seeds: list[int]
    figures: list[Spread]


class RunComparison(_Result):
    """Several runs beside each other; the first one is what the others are compared with."""

    schema_version: str = SCHEMA_VERSION
    store: str
    runs: list[RunLine]
    recipe: list[Difference] = Field(description="settings of the recipes that differ")
    provenance: list[Difference] = Field(description="what differs in the data that were read")
    environment: list[Difference] = Field(description="what differs in machine and versions")
    summary: list[SummaryRow]
    over_seeds: list[OverSeeds]


class StoreCheck(_Result):
    """What a reading of the whole store found."""

    schema_version: str = SCHEMA_VERSION
    store: str
    num_runs: int | None  # None where even their list cannot be read
    damage: list[str]  # one sentence each; empty for a store that is whole


def list_runs(
    *,
    state: RunState | None = None,
    recipe: str | None = None,
    limit: int | None = None,
    store: RunStore | Path | None = None,
) -> RunList:
    """The runs of the store, newest first; raises StoreError, UsageError.

    >>> list_runs(state="failed").runs  # doctest: +SKIP
    []
    """
    if limit is not None and limit < 1:
        raise UsageError("limit is too small", got=limit, expected="1 or more")
    if state not in (None, *_STATES):
        raise UsageError("unknown state", got=repr(state), expected=f"one of {', '.join(_STATES)}")
    opened = _opened(store)
    records = opened.records(state=state, recipe_name=recipe, limit=limit)
    return RunList(store=str(opened.path), num_runs=len(opened.ids()), runs=[_line(record) for record in records])


def show_run(run_id: str, *, store: RunStore | Path | None = None) -> RunDetail:
    """One run by its id or a beginning of it; raises UnknownNameError.

    >>> show_run("digits-cnn-s0").run.state  # doctest: +SKIP
    'finished'
    """
    opened = _opened(store)
    record = opened.require(run_id)
    metrics = [_metric_line(opened, record.id, name) for name in opened.metric_names(record.id)]
    return RunDetail(store=str(opened.path), run=record, metrics=metrics)


def compare_runs(ids: Sequence[str], *, store: RunStore | Path | None = None) -> RunComparison:
    """Several runs beside each other: which settings differ, what came out, and the spread over seeds.

    >>> compare_runs(["digits-cnn-s0", "digits-cnn-s1"]).over_seeds[0].seeds  # doctest: +SKIP
    [0, 1]

    Raises UsageError for fewer than two runs or one run twice, UnknownNameError, StoreError.
    """
    opened = _opened(store)
    records = [opened.require(run_id) for run_id in ids]
    found = [record.id for record in records]
    twice = sorted({run_id for run_id in found if found.count(run_id) > 1})
    if twice:
        raise UsageError("one run is named twice", got=twice[0], expected="different runs")
    if len(records) < 2:
        raise UsageError("a comparison needs two runs or more", got=len(records), hint="`sevenfold runs list`")
    return RunComparison(
        store=str(opened.path),
        runs=[_line(record) for record in records],
        recipe=_differences([record.recipe for record in records]),
        provenance=_differences([record.provenance for record in records]),
        environment=_differences([record.environment for record in records]),
        summary=_summary_rows(records),
        over_seeds=_over_seeds(records),
    )


def check_runs(*, store: RunStore | Path | None = None) -> StoreCheck:
    """Read the whole store and compare it with what was written.

    >>> check_runs().damage  # doctest: +SKIP
    []
    """
    opened = _opened(store)
    damage = opened.check()
    try:
        num_runs = len(opened.ids())
    except StoreError:
        num_runs = None
    return StoreCheck(store=str(opened.path), num_runs=num_runs, damage=damage)


_STATES = ("running", "finished", "failed", "interrupted")


def _opened(store: RunStore | Path | None) -> RunStore:
    return store if isinstance(store, RunStore) else RunStore(store)


def _line(record: RunRecord) -> RunLine:
    steps, parameters = _number(record, "steps"), _number(record, "parameters")
    return RunLine(
        id=record.id,
        recipe_name=record.recipe_name,
        state=record.state,
        seed=record.seed,
        created=record.created,
        updated=record.updated,
        validation_loss=_number(record, "validation_loss"),
        validation_accuracy=_number(record, "validation_accuracy"),
        steps=None if steps is None else int(steps),
        parameters=None if parameters is None else int(parameters),
        wall_seconds=_number(record, "wall_seconds"),
        error=record.error,
    )


def _number(record: RunRecord, name: str) -> float | None:
    value = record.summary.get(name)
    return value if isinstance(value, (int, float)) else None


def _metric_line(store: RunStore, run_id: str, name: str) -> MetricLine:
    import numpy as np

    steps, values = store.metrics(run_id, name)
    finite = values[np.isfinite(values)]
    return MetricLine(
        name=name,
        num_rows=len(steps),
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        first=float(values[0]),
        last=float(values[-1]),
        lowest=float(finite.min()) if len(finite) else None,
        highest=float(finite.max()) if len(finite) else None,
    )


_ABSENT = object()


def _differences(trees: Sequence[Mapping[str, Any]]) -> list[Difference]:
    flat = [dict(_leaves(tree)) for tree in trees]
    keys = list(dict.fromkeys(key for leaves in flat for key in leaves))
    rows = [(key, [leaves.get(key, _ABSENT) for leaves in flat]) for key in keys]
    return [
        Difference(key=key, values=[None if value is _ABSENT else value for value in values])
        for key, values in rows
        if any(value is _ABSENT or value != values[0] for value in values)
    ]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _summary_rows(records: Sequence[RunRecord]) -> list[SummaryRow]:
    names = list(dict.fromkeys(name for record in records for name in record.summary))
    rows = []
    for name in names:
        values = [record.summary.get(name) for record in records]
        first = values[0]
        rows.append(SummaryRow(name=name, values=values, differences=[_difference(first, v) for v in values]))
    return rows


def _difference(first: Plain, value: Plain) -> float | None:
    if not isinstance(first, (int, float)) or not isinstance(value, (int, float)):
        return None
    return float(value - first)


def _over_seeds(records: Sequence[RunRecord]) -> list[OverSeeds]:
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        if record.state == "finished":
            alike = record.run_recipe().with_changes({"name": "-", "seed": 0, "checkpoint_every": None})
            groups.setdefault(alike.digest(), []).append(record)
    return [
        OverSeeds(
            runs=[record.id for record in group],
            seeds=[record.seed for record in group],
            figures=_spreads(group),
        )
        for group in groups.values()
        if len({record.seed for record in group}) == len(group) > 1
    ]


def _spreads(group: Sequence[RunRecord]) -> list[Spread]:
    spreads = []
    for name in group[0].summary:
        values = [_number(record, name) for record in group]
        known = [float(value) for value in values if value is not None and math.isfinite(value)]
        if len(known) == len(group):
            mean, half = _mean_and_half_width(known)
            spreads.append(Spread(name=name, mean=mean, low=mean - half, high=mean + half, values=known))
    return spreads


def _mean_and_half_width(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of the 95% interval of it, by Student's t with n - 1 degrees of freedom."""
    from scipy.special import stdtrit

    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, float(stdtrit(count - 1, 0.975)) * math.sqrt(variance / count)
