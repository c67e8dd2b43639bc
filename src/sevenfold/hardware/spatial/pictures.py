"""Pictures: layers on a roofline, and their energy stacked by level.

Every function writes one file and returns its path. Needs matplotlib (PNG, SVG). The array at work is in
``array_pictures``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, pi, sin
from pathlib import Path
from typing import Any

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.cost import MappingCost

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


@dataclass(frozen=True)
class Dot:
    """A layer on a roofline."""

    name: str
    flops: float
    bytes: float
    seconds: float


def draw_roofline(
    dots: Sequence[Dot], peak_flops_per_s: float, bandwidth_bytes_per_s: float, title: str, path: Path
) -> Path:
    """Every layer by its arithmetic intensity and the rate that it reaches, under the chip's roof."""
    shown = [dot for dot in dots if dot.flops and dot.bytes and dot.seconds]
    if not shown:
        raise UsageError("no layer to draw on a roofline", expected="layers with arithmetic")
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    figure, axes = new_axes(7.5, 4.8)
    places = [dot.flops / dot.bytes for dot in shown]
    knee = peak_flops_per_s / bandwidth_bytes_per_s
    left, right = min([*places, knee]) / 3, max([*places, knee]) * 3
    axes.plot(
        [left, knee, right],
        [left * bandwidth_bytes_per_s, peak_flops_per_s, peak_flops_per_s],
        color="black",
        lw=1.5,
    )
    rates = [dot.flops / dot.seconds for dot in shown]
    largest = max(dot.seconds for dot in shown)
    sizes = [20 + 180 * dot.seconds / largest for dot in shown]
    axes.scatter(places, rates, s=sizes, color=COLOURS[0], alpha=0.6, edgecolors="white", linewidths=0.5)
    axes.set(
        xscale="log", yscale="log", xlim=(left, right), xlabel="FLOP per byte of the outermost memory",
        title=title,
    )  # fmt: skip
    axes.yaxis.set_major_formatter(EngFormatter("FLOP/s"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(ylim=(min([*rates, left * bandwidth_bytes_per_s]) / 2, 2 * peak_flops_per_s))
    axes.grid(alpha=0.2)
    roof = axes.annotate(
        f"{EngFormatter('FLOP/s')(peak_flops_per_s)}, knee {knee:.3g}", (right, peak_flops_per_s), xytext=(-4, 4),
        textcoords="offset points", ha="right", fontsize=8,
    )  # fmt: skip
    axes.text(0.01, 0.01, "area: time", transform=axes.transAxes, fontsize=7, color="#666666")
    line = [(left, left * bandwidth_bytes_per_s), (knee, peak_flops_per_s), (right, peak_flops_per_s)]
    label_dots(figure, axes, shown, places, rates, sizes, [roof], line)
    return save_figure(figure, path)


_LABELS = 12  # places that are named: those that take most time
_TOGETHER = 9.0  # points: dots nearer than this share a label


def label_dots(
    figure: Any,
    axes: Any,
    dots: Sequence[Dot],
    xs: list[float],
    ys: list[float],
    sizes: list[float],
    taken: list[Any],
    line: list[tuple[float, float]],
) -> None:
    """Names beside their dots, where neither a name nor a dot lies yet; a thin line where that is some way off."""
    from matplotlib.text import Text

    figure.draw_without_rendering()  # the layout is settled, so that places in pixels are known
    pixel = figure.dpi / 72
    places = [tuple(axes.transData.transform((x, y))) for x, y in zip(xs, ys, strict=True)]
    radii = [pixel * size**0.5 / 2 for size in sizes]
    boxes = [artist.get_window_extent().padded(2) for artist in taken]
    ends = [axes.transData.transform(end) for end in line]
    covered = list(zip(places, radii, strict=True))
    for (x0, y0), (x1, y1) in pairwise(ends):  # the line as a row of points
        covered += [((x0 + (x1 - x0) * n / 200, y0 + (y1 - y0) * n / 200), pixel) for n in range(201)]
    window = axes.get_window_extent()
    for members in _clusters(dots, places, _TOGETHER * pixel)[:_LABELS]:
        first = members[0]
        text = _names([dots[n].name for n in members])
        label = axes.annotate(
            text, (xs[first], ys[first]), xytext=(0, 0), textcoords="offset points", fontsize=7.5, va="center",
            ha="center", arrowprops={"arrowstyle": "-", "color": "#888888", "lw": 0.6, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
        box = Text.get_window_extent(label)  # of the letters: an annotation's own has its arrow in it
        half = ((box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2)
        found = _free_place(places[first], half, radii[first], pixel, window, boxes, covered)
        if found is None:
            label.remove()
            continue
        (x, y), far = found
        label.set_position(((x - places[first][0]) / pixel, (y - places[first][1]) / pixel))
        if not far:
            label.arrow_patch.set_visible(False)
        boxes.append(box.translated(x - (box.x0 + box.x1) / 2, y - (box.y0 + box.y1) / 2).padded(2))


def _clusters(dots: Sequence[Dot], places: Sequence[Any], reach: float) -> list[list[int]]:
    """Dots that lie on each other, those of most time first."""
    groups: list[list[int]] = []
    for n in sorted(range(len(dots)), key=lambda n: -dots[n].seconds):
        for group in groups:
            x, y = places[group[0]]
            if hypot(places[n][0] - x, places[n][1] - y) < reach:
                group.append(n)
                break
        else:
            groups.append([n])
    return sorted(groups, key=lambda group: -sum(dots[n].seconds for n in group))


def _names(names: list[str]) -> str:
    """Up to three names, and how many more."""
    shown = [name if len(name) <= 28 else "…" + name[-27:] for name in sorted(names)[:3]]
    return ", ".join(shown) + (f" + {len(names) - 3}" if len(names) > 3 else "")


def _free_place(
    place: Any,
    half: tuple[float, float],
    radius: float,
    pixel: float,
    window: Any,
    boxes: list[Any],
    dots: list[Any],
) -> tuple[tuple[float, float], bool] | None:
    """(centre of a label, whether it is far from its dot); the nearest that covers nothing."""
    from matplotlib.transforms import Bbox

    for ring, distance in enumerate((3, 9, 18, 30, 44, 60, 80)):
        for turn in range(16):
            angle = -pi / 4 + turn * pi / 8
            x = place[0] + cos(angle) * (radius + distance * pixel + half[0])
            y = place[1] + sin(angle) * (radius + distance * pixel + half[1])
            box = Bbox([[x - half[0] - 1, y - half[1] - 1], [x + half[0] + 1, y + half[1] + 1]])
            inside = window.x0 < box.x0 and box.x1 < window.x1 and window.y0 < box.y0 and box.y1 < window.y1
            if inside and not box.count_overlaps(boxes) and not any(_covers(box, *dot) for dot in dots):
                return (x, y), ring > 1
    return None


def _covers(box: Any, centre: Any, radius: float) -> bool:
    x, y = min(max(centre[0], box.x0), box.x1), min(max(centre[1], box.y0), box.y1)
    return hypot(centre[0] - x, centre[1] - y) < radius + 1


def draw_energy(costs: Sequence[MappingCost], title: str, path: Path, *, unit: str = "J") -> Path:
    """Energy of every layer, stacked by level; at most 40 layers, those of most energy."""
    if not costs:
        raise UsageError("no layer whose energy could be drawn")
    kept = sorted(range(len(costs)), key=lambda n: -costs[n].energy)[:40]
    shown = [costs[n] for n in sorted(kept)]
    from matplotlib.ticker import EngFormatter

    levels = list(shown[0].energy_by_level)
    figure, axes = new_axes(max(5.0, 1.5 + 0.35 * len(shown)), 4.8)
    bottom = [0.0] * len(shown)
    for number, level in enumerate(levels):
        heights = [cost.energy_by_level.get(level, 0.0) for cost in shown]
        axes.bar(
            range(len(shown)), heights, bottom=bottom, label=level, width=0.8,
            color=COLOURS[number % len(COLOURS)], hatch="//" if number >= len(COLOURS) else None,
        )  # fmt: skip
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes.set_xticks(range(len(shown)), [cost.layer[-24:] for cost in shown], rotation=60, ha="right", fontsize=7)
    axes.set(ylabel="energy" if unit == "J" else "energies of one MAC", title=title)
    if unit == "J":
        axes.yaxis.set_major_formatter(EngFormatter("J"))
    handles, names = axes.get_legend_handles_labels()
    # Beside the bars, so that it covers none; in the order of the stack.
    axes.legend(handles[::-1], names[::-1], fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02)
    return save_figure(figure, path)


def new_axes(width: float, height: float) -> tuple[Any, Any]:
    """A figure of its own (no global state) and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def save_figure(figure: Any, path: Path) -> Path:
    """The file that was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)  # at its own resolution, for which labels were placed
    return path
