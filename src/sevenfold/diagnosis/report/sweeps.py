"""Which probed points belong on one axis: a sweep of one setting or amount, with its law; and the points left over.

Probes name what they changed (``optimizer.lr``, ``optimizer.lr, half the steps``); amounts may be given relative to
the baseline's while the law runs in the amount's own unit. Both are brought together here, for page and pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sevenfold.diagnosis.result import CONSTRAINTS, Constraint, Diagnosis, Fit, Point

TITLES = {
    "data.fraction": "training examples",
    "model.width": "width",
    "model.dropout": "dropout",
    "objective.label_smoothing": "label smoothing",
    "optimizer.lr": "learning rate",
    "optimizer.name": "optimizer",
    "optimizer.weight_decay": "weight decay",
    "schedule.name": "schedule",
    "schedule.warmup_fraction": "warm-up share",
}
HALF = "half the steps"
_TOLERANCE = 1.01


@dataclass(frozen=True)
class Dot:
    """One probed setting on a sweep's axis."""

    x: float
    point: Point
    is_baseline: bool  # the recipe's own setting


@dataclass(frozen=True)
class Sweep:
    """One setting or amount, tried at several values, in order of x."""

    constraint: Constraint
    lever: str
    title: str
    x_label: str
    dots: list[Dot]
    fit: Fit | None


def lever_title(lever: str) -> str:
    """What a lever is called: ``learning rate at half the steps``; its own name where it has no better one.

    >>> lever_title("optimizer.lr, half the steps"), lever_title("model=mlp, optimizer.lr")
    ('learning rate at half the steps', 'learning rate with model=mlp')
    """
    *before, last = (part for part in lever.split(", ") if part != HALF)
    title = TITLES.get(last, last)
    with_others = f" with {', '.join(before)}" if before else ""
    return title + with_others + (f" at {HALF}" if lever.endswith(HALF) else "")


def sweeps_of(diagnosis: Diagnosis) -> list[Sweep]:
    """Every sweep, in the order of the constraints: three settings of one lever, or two and a law."""
    return [sweep for name in CONSTRAINTS for sweep in _sweeps(diagnosis, diagnosis.constraints[name])]


def unique_points(constraint: Constraint) -> list[Point]:
    """The points, each set of runs once: a setting that was tried and then measured may be listed for both."""
    found: dict[tuple[str, ...], Point] = {}
    for number, point in enumerate(constraint.points):
        found.setdefault(tuple(point.runs) or (str(number),), point)
    return list(found.values())


def left_over(diagnosis: Diagnosis, constraint: Constraint) -> list[Point]:
    """Points that ran, lie on no sweep, and are not the recipe itself."""
    swept = {sweep.lever for sweep in _sweeps(diagnosis, constraint)}
    points = (p for p in unique_points(constraint) if p.failed is None and p.num_runs > 0 and p.lever not in swept)
    return [point for point in points if not is_own(diagnosis, point)]


def point_title(point: Point) -> str:
    """What was set, in words: ``learning rate 0.016, weight decay 0.1``; an alternative by its name."""
    if point.lever == "model":
        return point.setting
    if point.lever != "several":
        return f"{lever_title(point.lever).removesuffix(f' at {HALF}')} {point.setting}"
    parts = (part.partition("=") for part in point.setting.split(", "))
    return ", ".join(f"{TITLES.get(key, key)} {value}".rstrip() for key, _, value in parts)


def is_own(diagnosis: Diagnosis, point: Point) -> bool:
    """Whether a point is the recipe as given, at the length that was probed."""
    if point.runs and set(point.runs) <= set(diagnosis.baseline_runs):
        return True
    key = point.lever.removesuffix(f", {HALF}")
    own = recipe_value(diagnosis.recipe, key)
    return isinstance(own, (int, float)) and not isinstance(own, bool) and own == point.x


def recipe_value(recipe: Mapping[str, object], key: str) -> object:
    """The recipe's setting of a dotted key; None where it has none of its own."""
    found: object = recipe
    for part in key.split("."):
        if not isinstance(found, Mapping):
            return None
        settings = found.get("settings")
        found = found.get(part, settings.get(part) if isinstance(settings, Mapping) else None)
    return found


def _sweeps(diagnosis: Diagnosis, constraint: Constraint) -> list[Sweep]:
    groups: dict[str, list[Point]] = {}
    for point in constraint.points:
        if point.failed is None and point.num_runs > 0 and point.x is not None:
            groups.setdefault(point.lever, []).append(point)
    fitted = {lever: scale for lever, points in groups.items() if (scale := _scale(constraint, points)) is not None}
    first = max(fitted, key=lambda lever: len(groups[lever]), default=None)
    return [
        _sweep(diagnosis, constraint, lever, points, fitted[lever] if lever == first else None)
        for lever, points in groups.items()
        if lever == first or len({point.x for point in points}) >= 3
    ]


def _sweep(
    diagnosis: Diagnosis, constraint: Constraint, lever: str, points: list[Point], scale: float | None
) -> Sweep:
    dots = [
        Dot((scale or 1.0) * point.x, point, is_own(diagnosis, point)) for point in points if point.x is not None
    ]
    if scale is not None and constraint.usage is not None and not any(dot.is_baseline for dot in dots):
        dots.append(Dot(constraint.usage.value, _baseline_point(diagnosis), True))
    unique = {dot.x: dot for dot in sorted(dots, key=lambda dot: -dot.point.num_runs)}
    fit = constraint.fit if scale is not None else None
    title = lever_title(lever)
    ordered = [unique[x] for x in sorted(unique)]
    return Sweep(constraint, lever, title, fit.x_label if fit else title, ordered, fit)


def _scale(constraint: Constraint, points: list[Point]) -> float | None:
    """What turns these points' x into the law's unit: 1, or the baseline's amount; None where neither fits."""
    if constraint.fit is None or not constraint.fit.x:
        return None
    low, high = min(constraint.fit.x) / _TOLERANCE, max(constraint.fit.x) * _TOLERANCE
    scales = [1.0] + ([constraint.usage.value] if constraint.usage is not None else [])
    xs = [point.x for point in points if point.x is not None]
    return next((scale for scale in scales if all(low <= scale * x <= high for x in xs)), None)


def _baseline_point(diagnosis: Diagnosis) -> Point:
    loss = diagnosis.baseline_loss
    return Point(
        lever="baseline", setting="the recipe", x=None, loss=loss.value, low=loss.low, high=loss.high,
        num_runs=len(diagnosis.baseline_runs), runs=diagnosis.baseline_runs,
    )  # fmt: skip
