"""What all charts share: the record, axes, escaping, and a scale that shows both tiny and huge effects."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sevenfold.diagnosis.showing import shown_value
from sevenfold.units import COUNT, Unit, show

Trace = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One chart: where it goes, what it says, and what plotly.js draws."""

    key: str
    title: str
    caption: str
    height: int
    data: list[Trace]
    layout: dict[str, Any]


def safe(text: str, longest: int = 60) -> str:
    """Text for plotly's labels: markup is shown, not obeyed; a very long name is cut."""
    return html.escape(cut(text, longest), quote=False)


def cut(text: str, longest: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def axis(title: str = "", **settings: Any) -> dict[str, Any]:
    """An axis in the page's manner; settings override."""
    base: dict[str, Any] = {
        "title": {"text": title, "standoff": 10, "font": {"size": 13, "color": "@muted"}},
        "gridcolor": "@grid",
        "linecolor": "@line",
        "zeroline": False,
        "ticks": "",
        "automargin": True,
    }
    return {**base, **settings}


def layout(**settings: Any) -> dict[str, Any]:
    """A layout in the page's manner; settings override."""
    base: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "@font", "size": 13, "color": "@ink"},
        "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
        "showlegend": False,
        "hoverlabel": {
            "bgcolor": "@surface",
            "bordercolor": "@line",
            "font": {"family": "@font", "color": "@ink", "size": 13},
            "align": "left",
        },
        "dragmode": False,
    }
    return {**base, **settings}


class Ranged(Protocol):
    """Anything with a loss and its interval."""

    @property
    def loss(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def fair_range(points: Sequence[Ranged], extra: Sequence[float] = ()) -> list[float]:
    """An axis range that shows every loss; a bar that reaches further than all losses together is cut.

    Two seeds make an interval of thirteen standard errors: it would flatten everything else.
    """
    values = [point.loss for point in points] + list(extra)
    span = (max(values) - min(values)) or max(0.02 * abs(values[0]), 1e-12)
    lows = [max(point.low, point.loss - span) for point in points]
    highs = [min(point.high, point.loss + span) for point in points]
    low, high = min([*values, *lows]), max([*values, *highs])
    return [low - 0.06 * (high - low), high + 0.06 * (high - low)]


def loss_axis(points: Sequence[Ranged], title: str, extra: Sequence[float] = ()) -> dict[str, Any]:
    """A loss axis: logarithmic where the losses span more than a factor 6."""
    losses = [point.loss for point in points] + list(extra)
    if min(losses) > 0 and max(losses) > 6 * min(losses):
        return log_axis(title, min(losses) / 1.5, max(losses) * 1.5)
    return axis(title, exponentformat="power", nticks=6, range=fair_range(points, extra))


def log_axis(title: str, low: float, high: float, unit: Unit | None = None) -> dict[str, Any]:
    """A logarithmic axis with plain numbers at its ticks: the decades, with 2 and 5 where there are few."""
    decades = math.log10(high / low)
    steps = (1, 2, 5) if decades < 2.2 else (1,)
    every = max(1, math.ceil(decades / 7))
    ticks = [
        step * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        if power % every == 0
        for step in steps
        if low <= step * 10.0**power <= high
    ]
    return axis(
        title,
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickmode="array",
        tickvals=ticks,
        ticktext=[show(tick, unit) if unit else _power_text(tick) for tick in ticks],
    )


def category_axis(names: Sequence[str]) -> dict[str, Any]:
    """Rows with names, the first at the top."""
    return axis(
        type="category",
        categoryorder="array",
        categoryarray=list(names),
        tickmode="array",
        tickvals=list(names),
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
    )


def setting_axis(values: Sequence[float], title: str, labels: Sequence[str] | None = None) -> dict[str, Any]:
    """An axis of settings with a tick at every one tried; logarithmic where they are steps of a factor."""
    ordered = sorted(set(values))
    texts = dict(zip(values, labels, strict=True)) if labels else {}
    ticks = [texts.get(value) or number(value) for value in ordered]
    is_log = ordered[0] > 0 and ordered[-1] >= 3 * ordered[0]
    ends = [math.log10(end) for end in (ordered[0], ordered[-1])] if is_log else [ordered[0], ordered[-1]]
    margin = 0.06 * (ends[1] - ends[0]) or 0.5
    return axis(
        title,
        range=[ends[0] - margin, ends[1] + margin],
        type="log" if is_log else "linear",
        tickmode="array",
        tickvals=ordered,
        ticktext=[safe(tick, 14) for tick in ticks],
    )


def number(value: float) -> str:
    """A setting or amount as a tick: ``0.002``, ``1,078``, ``1.2 M``.

    >>> number(0.002), number(1078.0), number(1.2e6)
    ('0.002', '1,078', '1.2 M')
    """
    if abs(value) >= 1e5:
        return show(value, COUNT)
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.4g}"


def shown(value: float, low: float, high: float) -> str:
    """A loss to the digits that its interval supports."""
    return shown_value(value, (high - low) / 2)


class SignedLog:
    """A scale that is linear within ± ``unit`` and logarithmic beyond, for effects of either sign."""

    def __init__(self, unit: float) -> None:
        self.unit = unit

    def __call__(self, value: float) -> float:
        return math.asinh(value / self.unit)

    def ticks(self, low: float, high: float) -> tuple[list[float], list[str]]:
        """Zero and the powers of ten of either sign that lie inside, thinned to at most six a side."""
        first = math.ceil(math.log10(self.unit) - 1e-9)
        last = math.floor(math.log10(max(abs(low), abs(high), self.unit)) + 1e-9)
        step = max(1, math.ceil((last - first + 1) / 5))
        sizes = [10.0**power for power in range(first, last + 1, step)]
        values = [-size for size in reversed(sizes) if -size >= low] + [0.0] + [s for s in sizes if s <= high]
        return [self(value) for value in values], [_power_text(value) for value in values]


def _power_text(value: float) -> str:
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)) + 1e-9)
    sign = "−" if value < 0 else ""
    if -4 < power < 6:
        return f"{sign}{abs(value):,g}" if abs(value) < 1e5 else f"{sign}{abs(value):,.0f}"
    digit = round(abs(value) / 10.0**power)
    return f"{sign}{'' if digit == 1 else f'{digit}×'}10<sup>{power}</sup>".replace("-", "−")
