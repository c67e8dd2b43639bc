"""The diagnosis as data: what the terminal, the HTML report and ``--json`` all show.

Effects are in nats of validation loss (per example or per token) and positive when the loss falls. Whatever was not
measured says so in ``method``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sevenfold.spec import Spec

SCHEMA_VERSION = "1.0"

ConstraintName = Literal["data", "parameters", "optimization", "architecture", "compute", "efficiency", "energy"]
CONSTRAINTS: tuple[ConstraintName, ...] = (
    "data", "parameters", "optimization", "architecture", "compute", "efficiency", "energy",
)  # fmt: skip
TITLES: dict[ConstraintName, str] = {
    "data": "data",
    "parameters": "parameters",
    "optimization": "optimization & regularization",
    "architecture": "architecture",
    "compute": "compute",
    "efficiency": "compute efficiency",
    "energy": "energy",
}
HARD: tuple[ConstraintName, ...] = ("data", "compute", "energy")

# measured: by probe runs here. predicted: by a law fitted to probe runs (an extrapolation). modelled: rests on a
# chip model, not on a meter. unavailable: this lever cannot be pulled, `why` says why.
Method = Literal["measured", "predicted", "modelled", "unavailable", "not reached", "failed"]


class Amount(Spec):
    """An amount of a resource: its value, its unit, and how it is shown."""

    value: float
    unit: str
    text: str


class Effect(Spec):
    """A fall in validation loss with its 95% intervals; ``simultaneous`` covers all seven rows together."""

    value: float
    low: float
    high: float
    simultaneous_low: float
    simultaneous_high: float
    unit: str = "nats"


class Point(Spec):
    """One probed setting: what differed, and the validation loss over seeds."""

    lever: str  # "data.fraction", "optimizer.lr", "model.width", "steps", "model"
    setting: str  # "0.5", "0.002", "mlp-small"
    x: float | None  # the setting as a number where it is one
    loss: float  # mean over seeds
    low: float
    high: float
    num_runs: int
    runs: list[str]
    macs_ratio: float | None = None  # forward MACs beside the baseline's
    time_ratio: float | None = None  # step time beside the baseline's
    failed: str | None = None  # why, when the probe failed


class Fit(Spec):
    """A fitted curve for the report: x, the prediction, and its 95% band."""

    x_label: str
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]
    law: str  # "L = 0.05 + 2.1 D^-0.7"


class Constraint(Spec):
    """One row of the diagnosis."""

    name: ConstraintName
    title: str
    kind: Literal["hard", "lever"]
    limit: Amount | None
    usage: Amount | None
    slack: Amount | None
    slack_share: float | None  # slack / limit
    active: bool  # this limit stopped the run, or (levers) can be pulled
    headroom: Effect | None  # levers: the fall in loss at no extra hard resource
    shadow_price: Effect | None  # amounts: the fall in loss when doubled; if not active, what it would be
    headroom_factor: float | None = None  # efficiency and energy: the factor that remains up to the bound
    interval: list[float] | None  # [low, high], 95%, of the effect that this row is ranked by
    p_best: float | None
    per_usd: float | None = None  # shadow price per dollar where a price is known
    method: Method
    why: str  # one sentence: what was done, what could not be, what was extrapolated
    change: str | None = None  # the exact change: "--set optimizer.lr=2e-3"
    evidence: list[str]  # run ids
    points: list[Point] = []
    fit: Fit | None = None


class Advice(Spec):
    """What to do, in order: levers first (free), then hard constraints (buy)."""

    constraint: ConstraintName
    kind: Literal["free", "buy"]
    text: str
    change: str | None
    gain: Effect
    test_gain: Effect | None = None  # the same change measured once on the test split
    evidence: list[str]


class Curve(Spec):
    """A loss curve for the report."""

    run: str
    label: str
    steps: list[int]
    train_loss: list[float]
    validation_steps: list[int]
    validation_loss: list[float]


class RooflinePoint(Spec):
    """One operator of the training step on the chip's roofline."""

    name: str
    intensity_flops_per_byte: float
    flops_per_s: float  # predicted
    seconds: float
    bound_by: str


class Roofline(Spec):
    """The chip's roofline with the operators of one training step."""

    chip: str
    peak_flops_per_s: float
    bandwidth_bytes_per_s: float
    points: list[RooflinePoint]
    step_flops: float
    attainable_step_s: float
    predicted_step_s: float | None
    measured_step_s: float


class Budget(Spec):
    """What the diagnosis was allowed and what it took."""

    seconds: float | None
    used_s: float
    num_runs: int
    num_reused: int
    baseline_run_s: float
    not_reached: list[str]


class Diagnosis(Spec):
    """What holds a recipe back, and what it is worth to relieve it."""

    schema_version: str = SCHEMA_VERSION
    recipe: dict[str, object]
    recipe_name: str
    created: str  # ISO 8601
    sentence: str  # the first sentence of every report
    binding: list[ConstraintName]  # empty when nothing is significant
    min_effect: float  # nats
    baseline_loss: Effect  # value: mean validation loss; intervals over seeds
    baseline_test_loss: float | None
    baseline_accuracy: float | None
    baseline_runs: list[str]
    stopped_by: str  # which limit stopped the baseline: steps, time, energy
    constraints: dict[ConstraintName, Constraint]
    advice: list[Advice]
    curves: list[Curve] = []
    roofline: Roofline | None = None
    budget: Budget
    provenance: dict[str, object] = Field(default={})  # data set and machine
    warnings: list[str] = []
