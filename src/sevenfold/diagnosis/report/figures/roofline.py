"""Where the training step's operators lie under the chip's roofline."""

from __future__ import annotations

import math
from typing import Any

from sevenfold.diagnosis.report.figures._figure import Figure, Trace, layout, log_axis, safe
from sevenfold.diagnosis.result import Diagnosis, Roofline, RooflinePoint
from sevenfold.units import FLOPS_PER_SECOND, SECONDS, show

_COLOURS = {"arithmetic": "@fourth", "compute": "@fourth", "memory": "@fifth", "overhead": "@muted"}
_LABELLED = 4  # operators named in the chart: those that take most time


def roofline_figure(diagnosis: Diagnosis) -> Figure | None:
    """The roof, one dot an operator (area is its share of the time), and the step as a whole."""
    roof = diagnosis.roofline
    if roof is None:
        return None
    points = [p for p in roof.points if p.intensity_flops_per_byte > 0 and p.flops_per_s > 0]
    low, high = _range(roof, points)
    ridge = roof.peak_flops_per_s / roof.bandwidth_bytes_per_s
    measured = roof.step_flops / roof.measured_step_s
    xs = [low, ridge, high] if low < ridge < high else [low, high]
    data: list[Trace] = [
        {
            "type": "scatter", "mode": "lines", "x": xs, "hoverinfo": "skip", "showlegend": False,
            "y": [min(roof.peak_flops_per_s, roof.bandwidth_bytes_per_s * x) for x in xs],
            "line": {"color": "@ink", "width": 2.4},
        },
        {
            "type": "scatter", "mode": "lines", "x": [low, high], "y": [measured, measured], "hoverinfo": "skip",
            "line": {"color": "@accent", "width": 1.6, "dash": "dash"}, "name": "whole step, measured",
        },
    ]  # fmt: skip
    for kind in dict.fromkeys(point.bound_by for point in points):
        data.append(_dots([p for p in points if p.bound_by == kind], kind, sum(p.seconds for p in points)))
    bottom = min([measured, roof.bandwidth_bytes_per_s * low, *(p.flops_per_s for p in points)])
    return Figure(
        key="roofline",
        title="Under the roofline",
        caption=step_sentence(roof),
        height=400,
        data=data,
        layout=layout(
            xaxis=log_axis("FLOP per byte", low, high),
            yaxis=log_axis("FLOP per second", bottom / 2, roof.peak_flops_per_s * 3, FLOPS_PER_SECOND),
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            annotations=[*_labels(points), _roof_label(roof, high)],
        ),
    )  # fmt: skip


def step_sentence(roof: Roofline) -> str:
    """``One step: measured 3.1 ms, predicted 2.9 ms, attainable 1 ms: 34% of what the roofline allows.``"""
    parts = [f"measured {show(roof.measured_step_s, SECONDS, digits=2)}"]
    if roof.predicted_step_s is not None:
        off = 100 * (roof.predicted_step_s / roof.measured_step_s - 1)
        parts.append(f"predicted {show(roof.predicted_step_s, SECONDS, digits=2)} ({off:+.0f}%)".replace("-", "−"))
    parts.append(f"attainable {show(roof.attainable_step_s, SECONDS, digits=2)}")
    reached = roof.attainable_step_s / roof.measured_step_s
    return (
        f"One training step: {', '.join(parts)}; {100 * reached:.0f}% of what the roofline "
        "allows. A dot is an operator at its attainable speed, its area the share of the time."
    )


def _dots(points: list[RooflinePoint], kind: str, total: float) -> Trace:
    return {
        "type": "scatter", "mode": "markers", "name": f"bound by {safe(kind, 24)}",
        "x": [p.intensity_flops_per_byte for p in points], "y": [p.flops_per_s for p in points],
        "marker": {
            "color": _COLOURS.get(kind, "@lever") + "/0.75", "line": {"color": "@surface", "width": 1},
            "size": [7 + 34 * math.sqrt(p.seconds / total) if total > 0 else 9 for p in points],
        },
        "customdata": [
            f"<b>{safe(p.name)}</b><br>{show(p.seconds, SECONDS, digits=2)}"
            f"<br>{100 * p.seconds / total if total else 0:.0f}% of the operators' time"
            f"<br>{show(p.flops_per_s, FLOPS_PER_SECOND, digits=2)}, {p.intensity_flops_per_byte:.2g} FLOP/byte"
            for p in points
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _labels(points: list[RooflinePoint]) -> list[dict[str, Any]]:
    """Names of the operators that take most time, where they do not cover each other."""
    placed: list[tuple[float, float]] = []
    labels = []
    for point in sorted(points, key=lambda point: -point.seconds)[:_LABELLED]:
        x, y = math.log10(point.intensity_flops_per_byte), math.log10(point.flops_per_s)
        if any(abs(x - other_x) < 0.7 and abs(y - other_y) < 0.25 for other_x, other_y in placed):
            continue
        placed.append((x, y))
        labels.append(
            {
                "x": x, "y": y, "text": safe(point.name, 24), "showarrow": False,
                "xanchor": "left", "xshift": 6, "yanchor": "top", "yshift": -8,
                "font": {"size": 12, "color": "@ink"}, "bgcolor": "@surface/0.75",
            }
        )  # fmt: skip
    return labels


def _roof_label(roof: Roofline, high: float) -> dict[str, Any]:
    return {
        "x": math.log10(high), "y": math.log10(roof.peak_flops_per_s),
        "xanchor": "right", "yanchor": "bottom", "yshift": 4,
        "text": f"{safe(roof.chip, 32)}: {show(roof.peak_flops_per_s, FLOPS_PER_SECOND, digits=2)}",
        "showarrow": False, "font": {"size": 12, "color": "@muted"},
    }  # fmt: skip


def _range(roof: Roofline, points: list[RooflinePoint]) -> tuple[float, float]:
    ridge = roof.peak_flops_per_s / roof.bandwidth_bytes_per_s
    xs = [ridge, *(p.intensity_flops_per_byte for p in points)]
    return min(xs) / 2.5, max(xs) * 4
