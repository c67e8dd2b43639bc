"""How loss moves with one amount or setting: the points that were run, the fitted law and its 95% band."""

from __future__ import annotations

from collections.abc import Sequence

from sevenfold.diagnosis.report.figures._figure import Figure, Trace, layout, loss_axis, safe, setting_axis, shown
from sevenfold.diagnosis.report.sweeps import Dot, Sweep, sweeps_of
from sevenfold.diagnosis.result import Diagnosis, Fit


def scaling_figures(diagnosis: Diagnosis) -> list[Figure]:
    """One chart a sweep, in the order of the constraints."""
    return [_figure(sweep, diagnosis.baseline_loss.unit) for sweep in sweeps_of(diagnosis)]


def _figure(sweep: Sweep, unit: str) -> Figure:
    colour = "@hard" if sweep.constraint.kind == "hard" else "@lever"
    fit, xs, points = sweep.fit, [dot.x for dot in sweep.dots], [dot.point for dot in sweep.dots]
    data: list[Trace] = []
    ticks = [*xs]
    caption = f"{len(xs)} settings, mean and 95% interval of the loss over seeds; the ring is the recipe's own."
    if fit is not None:
        data += [_band(fit, colour), *_law(fit, max(xs), colour)]
        beyond = max(fit.x) > 1.01 * max(xs)
        ticks += [max(fit.x)] if beyond else []
        caption = f"{fit.law}, with its 95% band" + ("; dashed beyond what was run." if beyond else ".")
    data.append(_dots(sweep, colour))
    return Figure(
        key=f"scaling-{sweep.constraint.name}-{sweep.lever}",
        title=f"{sweep.constraint.title}: {sweep.title}",
        caption=caption,
        height=300,
        data=data,
        layout=layout(
            xaxis=setting_axis(ticks, safe(sweep.x_label)),
            yaxis=loss_axis(points, f"validation loss, {safe(unit)}", [*fit.low, *fit.high] if fit else []),
        ),
    )


def _band(fit: Fit, colour: str) -> Trace:
    return {
        "type": "scatter", "mode": "lines", "x": [*fit.x, *reversed(fit.x)], "y": [*fit.high, *reversed(fit.low)],
        "fill": "toself", "fillcolor": f"{colour}/0.15", "line": {"width": 0}, "hoverinfo": "skip",
    }  # fmt: skip


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


def _dots(sweep: Sweep, colour: str) -> Trace:
    dots, points = sweep.dots, [dot.point for dot in sweep.dots]
    return {
        "type": "scatter",
        "mode": "markers" if sweep.fit else "lines+markers",
        "x": [dot.x for dot in dots],
        "y": [point.loss for point in points],
        "line": {"color": f"{colour}/0.5", "width": 1.5},
        "marker": {
            "color": ["@surface" if dot.is_baseline else colour for dot in dots],
            "line": {"color": colour, "width": 2.4},
            "size": [12 if dot.is_baseline else 9 for dot in dots],
            "opacity": 1,
        },
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.6, "width": 4, "color": colour,
            "array": [point.high - point.loss for point in points],
            # A logarithmic axis has no place for an end at or below zero.
            "arrayminus": [min(p.loss - p.low, 0.999 * p.loss) if p.loss > 0 else p.loss - p.low for p in points],
        },
        "customdata": [_hover(sweep, dot) for dot in dots],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _hover(sweep: Sweep, dot: Dot) -> str:
    point = dot.point
    what = "the recipe's own" if point.lever == "baseline" else f"{safe(sweep.title)} {safe(point.setting)}"
    runs = f"{point.num_runs} run{'' if point.num_runs == 1 else 's'}"
    return f"{what}<br>loss {shown(point.loss, point.low, point.high)}<br>{runs}"
