"""Settings that form no curve (alternatives, single values of a knob): loss of each beside the baseline's."""

from __future__ import annotations

from sevenfold.diagnosis.report.figures._figure import Figure, axis, category_axis, layout, safe, shown
from sevenfold.diagnosis.report.figures.scaling import NAMES, sweeps_of
from sevenfold.diagnosis.result import CONSTRAINTS, Constraint, Diagnosis, Point


def singles_of(constraint: Constraint, baseline: set[str]) -> list[Point]:
    """Points that ran, belong to no sweep, and are not the baseline itself."""
    sweeps = sweeps_of(constraint)
    return [
        point
        for point in constraint.points
        if point.failed is None and point.lever not in sweeps and not (point.runs and set(point.runs) <= baseline)
    ]


def settings_figures(diagnosis: Diagnosis) -> list[Figure]:
    """One chart for each constraint that tried such settings."""
    baseline = set(diagnosis.baseline_runs)
    groups = [(c, singles_of(c, baseline)) for c in (diagnosis.constraints[name] for name in CONSTRAINTS)]
    return [_figure(diagnosis, constraint, points) for constraint, points in groups if points]


def _figure(diagnosis: Diagnosis, constraint: Constraint, points: list[Point]) -> Figure:
    ordered = sorted(points, key=lambda point: point.loss)
    base = diagnosis.baseline_loss
    names = ["<b>baseline</b>", *(_label(point) for point in ordered)]
    losses = [base.value, *(point.loss for point in ordered)]
    lows = [base.low, *(point.low for point in ordered)]
    highs = [base.high, *(point.high for point in ordered)]
    colour = "@hard" if constraint.kind == "hard" else "@lever"
    ratios = any(point.macs_ratio is not None for point in points)
    return Figure(
        key=f"settings-{constraint.name}",
        title=f"{constraint.title}: {'alternatives' if ratios else 'other settings'}",
        caption="Mean and 95% interval over seeds; the stripe is the baseline's interval."
        + (" Each alternative's multiply-accumulates and step time beside the baseline's." if ratios else ""),
        height=max(300, 110 + 44 * len(names)),
        data=[
            {
                "type": "scatter", "mode": "markers", "x": losses, "y": names,
                "marker": {"color": ["@surface", *[colour] * len(ordered)], "size": [12, *[9] * len(ordered)],
                           "line": {"color": colour, "width": 2.4}},
                "error_x": {
                    "type": "data", "symmetric": False, "thickness": 1.6, "width": 4, "color": colour,
                    "array": [h - v for h, v in zip(highs, losses, strict=True)],
                    "arrayminus": [v - a for a, v in zip(lows, losses, strict=True)],
                },
                "customdata": [shown(v, a, b) for v, a, b in zip(losses, lows, highs, strict=True)],
                "hovertemplate": "%{y}<br>loss %{customdata}<extra></extra>",
            }
        ],
        layout=layout(
            xaxis=axis(f"validation loss, {safe(base.unit)}", nticks=5, exponentformat="power"),
            yaxis=category_axis(names),
            shapes=[{"type": "rect", "x0": base.low, "x1": base.high, "yref": "paper", "y0": 0, "y1": 1,
                     "fillcolor": "@ink/0.07", "line": {"width": 0}, "layer": "below"}],
        ),
    )  # fmt: skip


def _label(point: Point) -> str:
    name = safe(
        point.setting if point.lever == "model" else f"{NAMES.get(point.lever, point.lever)} {point.setting}", 34
    )
    ratios = [
        f"{ratio:.2g}× {what}"
        for ratio, what in ((point.macs_ratio, "MACs"), (point.time_ratio, "time"))
        if ratio is not None
    ]
    return f"{name}<br>{', '.join(ratios)}" if ratios else name
