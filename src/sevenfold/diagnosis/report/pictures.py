"""The report's two main charts as PNG, for a README or a slide: what each constraint is worth, and the fits.

The same rows, order and scale as the page; drawn by matplotlib without a display.
``python -m sevenfold.diagnosis.report report.json report.html --pictures FOLDER`` makes them.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sevenfold.diagnosis.report.figures._figure import cut, loss_axis, number
from sevenfold.diagnosis.report.figures.effects import scale_for
from sevenfold.diagnosis.report.glossary import SHORT_TITLES
from sevenfold.diagnosis.report.rows import Row, by_worth, min_effect_text, rows_of
from sevenfold.diagnosis.report.sweeps import Sweep, sweeps_of
from sevenfold.diagnosis.report.typesetting import signed
from sevenfold.diagnosis.result import Diagnosis, Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HARD, LEVER, ACCENT, INK, MUTED, GRID = "#2f5fd0", "#0d8a6a", "#c2500f", "#171b21", "#59636f", "#e2e6ea"
_STYLE: Any = {
    "font.family": "sans-serif", "font.size": 11, "text.color": INK, "axes.labelcolor": MUTED, "xtick.color": MUTED,
    "ytick.color": INK, "axes.edgecolor": GRID, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.major.size": 0, "ytick.major.size": 0, "axes.grid": True, "grid.color": GRID, "axes.axisbelow": True,
    "figure.facecolor": "white", "text.parse_math": False,
}  # fmt: skip


def pictures(diagnosis: Diagnosis) -> dict[str, bytes]:
    """PNG by file name; a chart with nothing to draw is left out."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        drawn = {"effects.png": effects_picture(diagnosis), "fits.png": fits_picture(diagnosis)}
        return {name: _png(figure) for name, figure in drawn.items() if figure is not None}


def effects_picture(diagnosis: Diagnosis) -> Figure | None:
    """Bars with both intervals, largest first, and the smallest effect that counts."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = by_worth(rows_of(diagnosis))
    effects = [row.worth for row in rows if row.worth is not None]
    if not effects:
        return None
    low = min(0.0, *(effect.simultaneous_low for effect in effects))
    high = max(diagnosis.min_effect, *(effect.simultaneous_high for effect in effects))
    scale = scale_for(low, high, diagnosis.min_effect)
    place: Callable[[float], float] = scale or (lambda value: value)
    figure = Figure(figsize=(9.2, 1.5 + 0.62 * len(rows)), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    axes = figure.add_subplot()
    for height, row in enumerate(rows):
        _draw_row(axes, len(rows) - 1 - height, row, place)
    axes.axvline(0, color=INK, linewidth=1)
    axes.axvline(place(diagnosis.min_effect), color=ACCENT, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(rows)), [SHORT_TITLES[row.name] for row in reversed(rows)])
    for tick, row in zip(axes.get_yticklabels(), reversed(rows), strict=True):
        tick.set_fontweight("bold" if row.state == "binding" else "normal")
    margin = 0.02 * (place(high) - place(low))
    axes.set_xlim(place(low) - margin, place(high) + margin)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="y", visible=False)
    if scale is not None:
        positions, _ = scale.ticks(low, high)
        axes.set_xticks(positions, [f"{math.sinh(p) * scale.unit:.2g}" for p in positions])
    axes.set_xlabel(
        f"fall in validation loss, {effects[0].unit}: an amount doubled, or a lever at its best setting"
    )
    _legend(figure, diagnosis)
    return figure


def _draw_row(axes: Axes, y: float, row: Row, place: Callable[[float], float]) -> None:
    effect = row.worth
    if effect is None:
        axes.text(1.02, y, row.method, transform=axes.get_yaxis_transform(), va="center", color=MUTED)
        return
    colour = HARD if row.constraint.kind == "hard" else LEVER
    strong = row.state in ("binding", "significant")
    axes.barh(y, place(effect.value), height=0.5, color=colour, alpha=1.0 if strong else 0.3, linewidth=0)
    ends = [place(effect.simultaneous_low), place(effect.simultaneous_high)]
    axes.plot(ends, [y, y], color=INK, linewidth=1, alpha=0.75, marker="|", markersize=7)
    axes.plot([place(effect.low), place(effect.high)], [y, y], color=INK, linewidth=3, solid_capstyle="butt")
    axes.plot([place(effect.value)], [y], color=INK, marker="o", markersize=5)
    # In the margin, where no interval runs.
    axes.text(
        1.02, y, signed(row.worth_text), transform=axes.get_yaxis_transform(), va="center",
        fontweight="bold" if row.state == "binding" else "normal", color=INK if strong else MUTED,
    )  # fmt: skip


def _legend(figure: Figure, diagnosis: Diagnosis) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure.legend(
        handles=[
            Patch(color=LEVER, label="lever"), Patch(color=HARD, label="hard limit"),
            Line2D([], [], color=INK, linewidth=3, label="95%"),
            Line2D([], [], color=INK, linewidth=1, marker="|", alpha=0.75, label="all seven together"),
            Line2D([], [], color=ACCENT, linewidth=1.2, linestyle=(0, (4, 3)),
                   label=f"smallest that counts, {min_effect_text(diagnosis)}"),
        ],
        loc="outside upper left", ncols=5, frameon=False, fontsize=10, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip


def fits_picture(diagnosis: Diagnosis) -> Figure | None:
    """Every sweep with its law and band, up to four in two columns."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    sweeps = sorted(sweeps_of(diagnosis), key=lambda sweep: sweep.fit is None)[:4]
    if not sweeps:
        return None
    columns, lines = min(2, len(sweeps)), math.ceil(len(sweeps) / 2)
    figure = Figure(figsize=(4.6 * columns, 3.2 * lines), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    for place, sweep in enumerate(sweeps, 1):
        _draw_sweep(figure.add_subplot(lines, columns, place), sweep, diagnosis.baseline_loss.unit)
    return figure


def _draw_sweep(axes: Axes, sweep: Sweep, unit: str) -> None:
    colour = HARD if sweep.constraint.kind == "hard" else LEVER
    points, xs = [dot.point for dot in sweep.dots], [dot.x for dot in sweep.dots]
    ticks = sorted(set(xs))
    if sweep.fit is not None:
        _draw_law(axes, sweep.fit, max(xs), colour)
        ticks += [max(sweep.fit.x)] if max(sweep.fit.x) > 1.01 * max(xs) else []
    ys = [point.loss for point in points]
    errors = [[p.loss - p.low for p in points], [p.high - p.loss for p in points]]
    axes.errorbar(xs, ys, yerr=errors, fmt="o", color=colour, markersize=6, elinewidth=1.5, capsize=3)
    if sweep.fit is None:
        axes.plot(xs, ys, color=colour, alpha=0.5, linewidth=1.4)
    rings = [dot for dot in sweep.dots if dot.is_baseline]
    axes.plot(
        [dot.x for dot in rings], [dot.point.loss for dot in rings], "o", color="white",
        markeredgecolor=colour, markeredgewidth=2, markersize=9, zorder=5,
    )  # fmt: skip
    if ticks[0] > 0 and ticks[-1] >= 3 * ticks[0]:
        axes.set_xscale("log")
    crowded = len(ticks) > 6
    axes.set_xticks(ticks, [number(tick) for tick in ticks], rotation=40 if crowded else 0)
    extra = [*sweep.fit.low, *sweep.fit.high] if sweep.fit else []
    _set_loss_axis(axes, loss_axis(points, "", extra))
    axes.minorticks_off()
    title = cut(f"{SHORT_TITLES[sweep.constraint.name]}: {sweep.title}", 50)
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    axes.set_xlabel(cut(sweep.x_label, 44))
    axes.set_ylabel(f"validation loss, {unit}")


def _set_loss_axis(axes: Axes, made: dict[str, Any]) -> None:
    """The page's own range, scale and ticks."""
    low, high = made["range"]
    if made.get("type") != "log":
        axes.set_ylim(low, high)
        return
    axes.set_yscale("log")
    axes.set_ylim(10**low, 10**high)
    axes.set_yticks(made["tickvals"], [re.sub("<.*?>", "", text) for text in made["ticktext"]])
    axes.minorticks_off()


def _draw_law(axes: Axes, fit: Fit, last_run: float, colour: str) -> None:
    axes.fill_between(fit.x, fit.low, fit.high, color=colour, alpha=0.15, linewidth=0)
    split = next((i for i, x in enumerate(fit.x) if x > last_run * 1.001), len(fit.x))
    axes.plot(fit.x[:split], fit.y[:split], color=colour, linewidth=2)
    start = max(0, split - 1)
    axes.plot(fit.x[start:], fit.y[start:], color=colour, linewidth=2, linestyle=(0, (3, 2)))


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that no font here has shows as boxes; that is no news for a terminal.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()
