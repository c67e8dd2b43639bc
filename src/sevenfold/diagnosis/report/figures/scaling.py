"""How loss moves with one amount or setting: the points that were run, the fitted law and its 95% band."""

from __future__ import annotations

from collections.abc import Sequence

from sevenfold.diagnosis.report.figures._figure import (
    Figure,
    Trace,
    layout,
    loss_axis,
    safe,
    setting_axis,
    shown,
)
from sevenfold.diagnosis.result import CONSTRAINTS, Constraint, Diagnosis, Fit, Point

NAMES = {
    "data.fraction": "share of the training examples",
    "model.width": "width",
    "optimizer.lr": "learning rate",
    "optimizer.weight_decay": "weight decay",
    "model.dropout": "dropout",
    "objective.label_smoothing": "label smoothing",
    "schedule.warmup_fraction": "warm-up share",
    "steps": "steps",
}


def sweeps_of(constraint: Constraint) -> dict[str, list[Point]]:
    """Points that ran, by lever, for the levers with three numeric settings or a fit; sorted by setting."""
    groups: dict[str, list[Point]] = {}
    for point in constraint.points:
        if point.failed is None and point.x is not None:
            groups.setdefault(point.lever, []).append(point)
    fitted = fitted_lever(constraint)
    return {
        lever: sorted(points, key=lambda point: point.x or 0.0)
        for lever, points in groups.items()
        if len({point.x for point in points}) >= (2 if lever == fitted else 3)
    }


def fitted_lever(constraint: Constraint) -> str | None:
    """The lever that the constraint's fit is about: the one with most settings inside the fit's range."""
    if constraint.fit is None or not constraint.fit.x:
        return None
    low, high = min(constraint.fit.x), max(constraint.fit.x)
    inside: dict[str, int] = {}
    for point in constraint.points:
        if point.x is not None and low * 0.99 <= point.x <= high * 1.01:
            inside[point.lever] = inside.get(point.lever, 0) + 1
    return max(inside, key=lambda lever: inside[lever]) if inside else None


def scaling_figures(diagnosis: Diagnosis) -> list[Figure]:
    """One chart a sweep, in the order of the constraints."""
    figures = []
    for name in CONSTRAINTS:
        constraint = diagnosis.constraints[name]
        fitted = fitted_lever(constraint)
        for lever, points in sweeps_of(constraint).items():
            fit = constraint.fit if lever == fitted else None
            figures.append(_figure(diagnosis, constraint, lever, points, fit))
    return figures


def _figure(
    diagnosis: Diagnosis, constraint: Constraint, lever: str, points: list[Point], fit: Fit | None
) -> Figure:
    colour = "@hard" if constraint.kind == "hard" else "@lever"
    label = NAMES.get(lever, lever)
    xs = [point.x for point in points if point.x is not None]
    ticks = [*xs]
    data: list[Trace] = []
    beyond = False
    if fit is not None:
        data += _band(fit, colour)
        data += _law(fit, max(xs), colour)
        beyond = max(fit.x) > 1.01 * max(xs)
        ticks += [max(fit.x)] if beyond else []
    data.append(_points(points, set(diagnosis.baseline_runs), colour, joined=fit is None, label=label))
    values = [value for point in points for value in (point.low, point.high)] + (fit.y if fit else [])
    unit = safe(diagnosis.baseline_loss.unit)
    caption = f"{len(points)} settings, mean and 95% interval over seeds; the ring is the baseline."
    if fit is not None:
        caption = f"{fit.law}, with its 95% band" + ("; dashed beyond what was run." if beyond else ".")
    return Figure(
        key=f"scaling-{constraint.name}-{lever}".replace(".", "-"),
        title=f"{constraint.title}: {label}",
        caption=caption,
        height=300,
        data=data,
        layout=layout(
            xaxis=setting_axis(ticks, safe(fit.x_label if fit else label)),
            yaxis=loss_axis(values, f"validation loss, {unit}"),
        ),
    )


def _band(fit: Fit, colour: str) -> list[Trace]:
    return [
        {
            "type": "scatter", "mode": "lines",
            "x": [*fit.x, *reversed(fit.x)], "y": [*fit.high, *reversed(fit.low)],
            "fill": "toself", "fillcolor": f"{colour}/0.15", "line": {"width": 0}, "hoverinfo": "skip",
        }
    ]  # fmt: skip


def _law(fit: Fit, last_run: float, colour: str) -> list[Trace]:
    """Solid where it was run, dashed beyond."""

    def trace(x: Sequence[float], y: Sequence[float], dash: str) -> Trace:
        return {
            "type": "scatter", "mode": "lines", "x": list(x), "y": list(y),
            "line": {"color": colour, "width": 2.2, "dash": dash},
            "hovertemplate": "%{x:.4g}: %{y:.3g}<extra>law</extra>",
        }  # fmt: skip

    split = next((i for i, x in enumerate(fit.x) if x > last_run * 1.001), len(fit.x))
    traces = [trace(fit.x[:split], fit.y[:split], "solid")] if split > 1 else []
    start = max(0, split - 1)
    return [*traces, trace(fit.x[start:], fit.y[start:], "dash")] if split < len(fit.x) else traces


def _points(points: list[Point], baseline: set[str], colour: str, *, joined: bool, label: str) -> Trace:
    is_baseline = [bool(point.runs) and set(point.runs) <= baseline for point in points]
    return {
        "type": "scatter",
        "mode": "lines+markers" if joined else "markers",
        "x": [point.x for point in points],
        "y": [point.loss for point in points],
        "line": {"color": f"{colour}/0.5", "width": 1.5},
        "marker": {
            "color": ["@surface" if base else colour for base in is_baseline],
            "line": {"color": colour, "width": 2.4},
            "size": [12 if base else 9 for base in is_baseline],
        },
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.6, "width": 4, "color": colour,
            "array": [point.high - point.loss for point in points],
            "arrayminus": [point.loss - point.low for point in points],
        },
        "customdata": [
            f"{safe(label)} {safe(point.setting)}<br>loss {shown(point.loss, point.low, point.high)}"
            f"<br>{point.num_runs} run{'' if point.num_runs == 1 else 's'}"
            for point in points
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
