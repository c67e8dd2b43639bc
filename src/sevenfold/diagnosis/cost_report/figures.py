"""The charts of a cost's page: every layer on the roofline, and energy stacked by level."""

from __future__ import annotations

import math

from sevenfold.diagnosis.cost_report import ChipPage, LayerLine
from sevenfold.diagnosis.report.figures._figure import (
    Figure,
    Trace,
    axis,
    category_axis,
    cut,
    layout,
    log_axis,
    safe,
)
from sevenfold.units import BYTES, BYTES_PER_SECOND, FLOPS, FLOPS_PER_SECOND, JOULES, SECONDS, show

LONGEST = 60  # bars of an energy chart: the layers of most energy
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8AE00", "#8A8A8A", "#6A4FBF")


def roofline_figure(chip: ChipPage) -> Figure | None:
    """The roof and one dot a layer, its area the share of the time; None where nothing can be placed."""
    points = [line for line in chip.layers if line.flops and line.bytes and line.seconds]
    if not points or chip.bandwidth_bytes_per_s is None:
        return None
    peak, bandwidth = chip.peak_flops_per_s, chip.bandwidth_bytes_per_s
    ridge = peak / bandwidth
    places = [line.flops / line.bytes for line in points]
    low, high = min([ridge, *places]) / 2.5, max([ridge, *places]) * 4
    bottom = min([bandwidth * low, *(line.flops / line.seconds for line in points)])
    data: list[Trace] = [
        {
            "type": "scatter", "mode": "lines", "x": [low, ridge, high], "hoverinfo": "skip", "showlegend": False,
            "y": [bandwidth * low, peak, peak], "line": {"color": "@ink", "width": 2.2},
        },
    ]  # fmt: skip
    total = sum(line.seconds for line in points)
    for number, bound in enumerate(dict.fromkeys(line.bound_by for line in points)):
        data.append(_dots([line for line in points if line.bound_by == bound], bound, number, total))
    return Figure(
        key=f"roofline-{chip.key}",
        title="Every layer under the roof",
        caption=(
            f"Roof: {show(peak, FLOPS_PER_SECOND)} of arithmetic, {show(bandwidth, BYTES_PER_SECOND)} to DRAM; "
            f"they meet at {ridge:.3g} FLOP a byte. A dot's area is its share of the time."
        ),
        height=400,
        data=data,
        layout=layout(
            xaxis=log_axis("FLOP per byte of the outermost memory", low, high),
            yaxis=log_axis("FLOP per second", bottom / 2, peak * 3, FLOPS_PER_SECOND),
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            annotations=_labels(points),
        ),
    )


def _dots(points: list[LayerLine], bound: str, number: int, total: float) -> Trace:
    return {
        "type": "scatter", "mode": "markers", "name": f"bound by {safe(bound, 24)}",
        "x": [line.flops / line.bytes for line in points], "y": [line.flops / line.seconds for line in points],
        "marker": {
            "color": _PALETTE[number % len(_PALETTE)], "opacity": 0.75, "line": {"color": "@surface", "width": 1},
            "size": [7 + 34 * math.sqrt(line.seconds / total) for line in points],
        },
        "customdata": [
            f"<b>{safe(line.name)}</b><br>{show(line.seconds, SECONDS)}, {line.seconds / total:.0%} of the time"
            f"<br>{show(line.flops, FLOPS)}, {show(line.bytes, BYTES)}, {line.utilization:.0%} of the peak"
            for line in points
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _labels(points: list[LayerLine]) -> list[dict[str, object]]:
    """Names of the layers of most time, where they do not cover each other."""
    placed: list[tuple[float, float]] = []
    labels: list[dict[str, object]] = []
    for line in sorted(points, key=lambda line: -line.seconds):
        x, y = math.log10(line.flops / line.bytes), math.log10(line.flops / line.seconds)
        if len(placed) >= 6 or any(abs(x - a) < 0.8 and abs(y - b) < 0.3 for a, b in placed):
            continue
        placed.append((x, y))
        labels.append(
            {
                "x": x, "y": y, "text": safe(line.name, 24), "showarrow": False, "xanchor": "left", "xshift": 8,
                "yanchor": "top", "yshift": -8, "font": {"size": 12, "color": "@ink"}, "bgcolor": "@surface/0.75",
            }
        )  # fmt: skip
    return labels


def energy_figure(chip: ChipPage) -> Figure | None:
    """Energy of every layer, stacked by level; None where levels are not modelled."""
    lines = [line for line in chip.layers if line.energy_by_level]
    if not lines:
        return None
    most = sorted(lines, key=lambda line: -sum(line.energy_by_level.values()))[:LONGEST]
    lines = [line for line in lines if line in most]
    # Names are cut for the axis; two that are cut alike would be one bar.
    names = [f"{n + 1} {cut(line.name, 34)}" for n, line in enumerate(lines)]
    largest = max(sum(line.energy_by_level.values()) for line in lines)
    power = math.floor(math.log10(largest) / 3) * 3 if largest > 0 else 0
    scale, unit = (10.0**power, show(10.0**power, JOULES).split()[-1]) if chip.energy_unit == "J" else (1.0, "MACs")
    levels = list(dict.fromkeys(level for line in lines for level in line.energy_by_level))
    data: list[Trace] = [
        {
            "type": "bar", "orientation": "h", "name": safe(level), "y": names,
            "x": [line.energy_by_level.get(level, 0.0) / scale for line in lines],
            "marker": {"color": _PALETTE[number % len(_PALETTE)]},
            "hovertemplate": f"%{{y}}<br>{safe(level)}: %{{x:.4g}} {unit}<extra></extra>",
        }
        for number, level in enumerate(levels)
    ]  # fmt: skip
    left_out = len(chip.layers) - len(lines)
    return Figure(
        key=f"energy-{chip.key}",
        title="Energy by level",
        caption="Layers on the array, in the order of execution"
        + (f"; {left_out} others (the host's, or of less energy) are in the table." if left_out else "."),
        height=110 + 24 * len(lines),
        data=data,
        layout=layout(
            barmode="stack",
            xaxis=axis(f"energy, {unit}", rangemode="tozero"),
            yaxis={**category_axis(names), "tickfont": {"size": 12}},
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
            bargap=0.3,
        ),
    )
