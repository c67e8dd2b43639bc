"""Settings that form no curve (alternatives, single values of a knob): loss of each beside the recipe's own."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from sevenfold.diagnosis.report.figures._figure import (
    Figure,
    Trace,
    axis,
    category_axis,
    fair_range,
    layout,
    safe,
    shown,
)
from sevenfold.diagnosis.report.sweeps import HALF, is_own, left_over, point_title
from sevenfold.diagnosis.result import CONSTRAINTS, Constraint, Diagnosis, Point


class _Bar(NamedTuple):
    name: str
    loss: float
    low: float
    high: float


def settings_figures(diagnosis: Diagnosis) -> list[Figure]:
    """One chart for each constraint that tried such settings, and one more for those at half the steps."""
    figures = []
    for constraint in (diagnosis.constraints[name] for name in CONSTRAINTS):
        points = left_over(diagnosis, constraint)
        for at_half in (False, True):
            group = [point for point in points if point.lever.endswith(HALF) == at_half]
            if group:
                figures.append(_figure(diagnosis, constraint, group, at_half))
    return figures


def _figure(diagnosis: Diagnosis, constraint: Constraint, points: list[Point], at_half: bool) -> Figure:
    own = _own(diagnosis, constraint, at_half)
    bars = [own] if own else []
    bars += _named(sorted(points, key=lambda point: point.loss))
    colour = "@hard" if constraint.kind == "hard" else "@lever"
    ratios = any(point.macs_ratio is not None for point in points)
    where = f", at {HALF}" if at_half else ""
    return Figure(
        key=f"settings-{constraint.name}{'-half' if at_half else ''}",
        title=f"{constraint.title}: {'alternatives' if ratios else 'other settings'}{where}",
        caption="Mean and 95% interval over seeds; the stripe is the recipe's own. Bars that would "
        "flatten the rest are cut."
        + (" Multiply-accumulates and step time are beside the recipe's." if ratios else ""),
        height=max(300, 90 + 42 * len(bars)),
        data=[_dots(bars, colour, own is not None)],
        layout=layout(
            xaxis=axis(
                f"validation loss, {safe(diagnosis.baseline_loss.unit)}",
                nticks=5,
                exponentformat="power",
                range=fair_range(bars),
            ),
            yaxis=category_axis([bar.name for bar in bars]),
            shapes=[_stripe(own)] if own else [],
        ),
    )


def _own(diagnosis: Diagnosis, constraint: Constraint, at_half: bool) -> _Bar | None:
    """The recipe itself at the length of the others, where it was run at that length."""
    if not at_half:
        loss = diagnosis.baseline_loss
        return _Bar("<b>the recipe</b>", loss.value, loss.low, loss.high)
    halves = (p for p in constraint.points if p.lever.endswith(HALF) and p.failed is None and is_own(diagnosis, p))
    point = next(halves, None)
    return _Bar("<b>the recipe</b>", point.loss, point.low, point.high) if point else None


def _named(points: list[Point]) -> list[_Bar]:
    """Each with a name of its own: the same setting may have been run on other seeds too."""
    bars: list[_Bar] = []
    for point in points:
        name = _label(point)
        taken = [bar.name for bar in bars]
        if name in taken:
            name = name.replace("<br>", " ") + f"<br>{point.num_runs} other seeds"
        while name in taken:
            name += "\u200b"  # a third time: told apart by plotly, not by the eye
        bars.append(_Bar(name, point.loss, point.low, point.high))
    return bars


def _dots(bars: list[_Bar], colour: str, has_own: bool) -> Trace:
    rest = len(bars) - has_own
    return {
        "type": "scatter", "mode": "markers", "x": [bar.loss for bar in bars], "y": [bar.name for bar in bars],
        "marker": {
            "color": ["@surface"] * has_own + [colour] * rest, "size": [12] * has_own + [9] * rest,
            "line": {"color": colour, "width": 2.4}, "opacity": 1,
        },
        "error_x": {
            "type": "data", "symmetric": False, "thickness": 1.6, "width": 4, "color": colour,
            "array": [bar.high - bar.loss for bar in bars], "arrayminus": [bar.loss - bar.low for bar in bars],
        },
        "customdata": [shown(bar.loss, bar.low, bar.high) for bar in bars],
        "hovertemplate": "%{y}<br>loss %{customdata}<extra></extra>",
    }  # fmt: skip


def _stripe(own: _Bar) -> dict[str, object]:
    return {
        "type": "rect", "x0": own.low, "x1": own.high, "yref": "paper", "y0": 0, "y1": 1,
        "fillcolor": "@ink/0.07", "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _label(point: Point) -> str:
    name = point_title(point)
    ratios = [
        f"{ratio:.2g}× {what}"
        for ratio, what in ((point.macs_ratio, "MACs"), (point.time_ratio, "time"))
        if ratio is not None
    ]
    return f"{_lines(name)}<br>{', '.join(ratios)}" if ratios else _lines(name)


def _lines(text: str) -> str:
    """A label of two lines at most."""
    return "<br>".join(safe(line) for line in textwrap.wrap(text, 34, max_lines=2, placeholder="…"))
