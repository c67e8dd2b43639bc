"""Loss over the steps: every seed faint, their mean strong; training and validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sevenfold.diagnosis.report.figures._figure import Figure, Trace, axis, layout, log_axis, safe
from sevenfold.diagnosis.result import Curve, Diagnosis

# Colours for runs beyond the baseline, in turn.
_OTHERS = ("@lever", "@accent", "@fourth", "@fifth")


def curves_figure(diagnosis: Diagnosis) -> Figure | None:
    """Training and validation loss of the baseline's seeds, and the validation loss of other groups."""
    groups: dict[str, list[Curve]] = {}
    for curve in diagnosis.curves:
        if curve.steps or curve.validation_steps:
            groups.setdefault(curve.label, []).append(curve)
    if not groups:
        return None
    data: list[Trace] = []
    for number, (label, curves) in enumerate(groups.items()):
        colour = "@hard" if number == 0 else _OTHERS[(number - 1) % len(_OTHERS)]
        prefix = "" if len(groups) == 1 else f"{safe(label, 28)}, "
        if number == 0:
            train = [(c.steps, c.train_loss) for c in curves if c.steps]
            data += _lines(train, f"{prefix}training", "@muted", smooth=True)
        validation = [(c.validation_steps, c.validation_loss) for c in curves if c.validation_steps]
        data += _lines(validation, f"{prefix}validation", colour, smooth=False)
    values = [value for trace in data for value in trace["y"] if value > 0]
    seeds = len(next(iter(groups.values())))
    return Figure(
        key="curves",
        title="Loss over the steps",
        caption=f"{seeds} seed{'' if seeds == 1 else 's'} faint, their mean strong. The training loss is of single "
        "batches, with dropout and other noise; its mean is smoothed.",
        height=360,
        data=data,
        layout=layout(
            xaxis=axis("steps"),
            yaxis=_loss_axis(values, f"loss, {safe(diagnosis.baseline_loss.unit)}"),
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 13}},
            hovermode="closest",
        ),
    )


def _loss_axis(values: Sequence[float], title: str) -> dict[str, Any]:
    if values and max(values) > 20 * min(values):
        return log_axis(title, min(values) / 1.3, max(values) * 1.3)
    return axis(title, exponentformat="power", nticks=6)


def _lines(curves: list[tuple[list[int], list[float]]], name: str, colour: str, *, smooth: bool) -> list[Trace]:
    if not curves:
        return []
    faint_alpha = max(0.1, min(0.3, 1.2 / len(curves)))  # many seeds make a cloud, not a wall
    faint: list[Trace] = [
        {
            "type": "scatter", "mode": "lines", "x": steps, "y": losses, "hoverinfo": "skip", "showlegend": False,
            "legendgroup": name, "line": {"color": f"{colour}/{faint_alpha:.2f}", "width": 1},
        }
        for steps, losses in curves
    ]  # fmt: skip
    steps, mean = mean_curve(curves, smooth=smooth)
    strong: Trace = {
        "type": "scatter", "mode": "lines", "x": steps, "y": mean, "name": name, "legendgroup": name,
        "line": {"color": colour, "width": 2.6},
        "hovertemplate": "step %{x}: %{y:.3g}<extra>%{fullData.name}</extra>",
    }  # fmt: skip
    return [*faint, strong]


def mean_curve(curves: Sequence[tuple[list[int], list[float]]], *, smooth: bool) -> tuple[list[float], list[float]]:
    """The mean of several curves on the steps that all of them cover, optionally over a window of 5% of them."""
    start, end = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    grid = sorted({step for steps, _ in curves for step in steps if start <= step <= end})
    if not grid:
        return [], []
    mean = np.mean([np.interp(grid, steps, losses) for steps, losses in curves], axis=0)
    if smooth and len(grid) > 20:
        width = max(3, len(grid) // 20) | 1
        padded = np.pad(mean, width // 2, mode="edge")
        mean = np.convolve(padded, np.ones(width) / width, mode="valid")
    return [float(step) for step in grid], [float(value) for value in mean]
