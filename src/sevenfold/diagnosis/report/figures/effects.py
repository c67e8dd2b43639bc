"""What each constraint is worth: bars with 95% and simultaneous intervals, and the smallest effect that counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sevenfold.diagnosis.report.figures._figure import Figure, SignedLog, Trace, axis, category_axis, layout, safe
from sevenfold.diagnosis.report.glossary import SHORT_TITLES
from sevenfold.diagnosis.report.rows import Row, by_worth, rows_of
from sevenfold.diagnosis.report.typesetting import signed
from sevenfold.diagnosis.result import Diagnosis, Effect
from sevenfold.diagnosis.showing import shown_interval, shown_value

# Beyond this ratio of the widest interval to the smallest effect that counts, the latter is no longer seen on a
# linear axis.
_LINEAR_SPAN = 120


def effects_figure(diagnosis: Diagnosis) -> Figure | None:
    """The bar of effects, largest first; None where no row has one."""
    rows = by_worth(rows_of(diagnosis))
    shown_rows = [(row, row.worth) for row in rows if row.worth is not None]
    if not shown_rows:
        return None
    low = min(0.0, *(effect.simultaneous_low for _, effect in shown_rows))
    high = max(diagnosis.min_effect, *(effect.simultaneous_high for _, effect in shown_rows))
    scale = scale_for(low, high, diagnosis.min_effect)
    place: Callable[[float], float] = scale or (lambda value: value)
    unit = shown_rows[0][1].unit
    ticks: dict[str, Any] = {"nticks": 7, "exponentformat": "power"}
    if scale is not None:
        positions, texts = scale.ticks(low, high)
        ticks = {"tickmode": "array", "tickvals": positions, "ticktext": texts}
    margin = 0.03 * (place(high) - place(low))
    return Figure(
        key="effects",
        title="What each constraint is worth",
        caption="Fall in validation loss if an amount is doubled or a lever is at its best known setting."
        + (" Signed logarithmic axis." if scale else ""),
        height=86 + 52 * len(rows),
        data=_traces(shown_rows, place),
        layout=layout(
            xaxis=axis(
                f"fall in validation loss, {safe(unit)}", range=[place(low) - margin, place(high) + margin], **ticks
            ),
            yaxis=category_axis([label(row) for row in rows]),
            barmode="overlay",
            shapes=[
                _line(0.0, "@ink/0.55", "solid"),
                _line(place(diagnosis.min_effect), "@accent", "dash"),
            ],
        ),
    )


def scale_for(low: float, high: float, min_effect: float) -> SignedLog | None:
    """None for a linear axis; a signed logarithm where a linear one would hide the smallest effect that counts."""
    if min_effect <= 0 or max(abs(low), abs(high)) <= _LINEAR_SPAN * min_effect:
        return None
    return SignedLog(min_effect)


def label(row: Row) -> str:
    """Two lines: the name, and the number or why there is none."""
    title = SHORT_TITLES[row.name]
    name = f"<b>{title}</b>" if row.state == "binding" else title
    return f"{name}<br>{signed(row.worth_text) if row.worth else row.method}"


def _traces(rows: list[tuple[Row, Effect]], place: Callable[[float], float]) -> list[Trace]:
    names = [label(row) for row, _ in rows]
    values = [place(effect.value) for _, effect in rows]
    hover = [_hover(row, effect) for row, effect in rows]
    colours = [_colour(row) for row, _ in rows]
    bars: Trace = {
        "type": "bar", "orientation": "h", "x": values, "y": names, "width": 0.5,
        "marker": {"color": colours, "line": {"width": 0}, "cornerradius": 3},
        "customdata": hover, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip

    def interval(low: list[float], high: list[float], width: float, colour: str, cap: int) -> Trace:
        return {
            "type": "scatter", "mode": "markers", "x": values, "y": names, "hoverinfo": "skip",
            "marker": {"color": "@ink", "size": 7 if width > 2 else 1},
            "error_x": {
                "type": "data", "symmetric": False, "thickness": width, "width": cap, "color": colour,
                "array": [b - v for b, v in zip(high, values, strict=True)],
                "arrayminus": [v - a for a, v in zip(low, values, strict=True)],
            },
        }  # fmt: skip

    wide = interval(
        [place(e.simultaneous_low) for _, e in rows],
        [place(e.simultaneous_high) for _, e in rows],
        1.2,
        "@ink/0.7",
        5,
    )
    narrow = interval([place(e.low) for _, e in rows], [place(e.high) for _, e in rows], 3.2, "@ink", 0)
    return [bars, wide, narrow]


def _colour(row: Row) -> str:
    kind = "@hard" if row.constraint.kind == "hard" else "@lever"
    return kind if row.state in ("binding", "significant") else f"{kind}/0.32"


def _hover(row: Row, effect: Effect) -> str:
    lines = [
        f"<b>{row.constraint.title}</b> {row.relief}",
        f"{shown_value(effect.value, (effect.high - effect.low) / 2)} {safe(effect.unit)}, {row.method}",
        f"95% {shown_interval(effect.low, effect.high)}",
        f"all seven together {shown_interval(effect.simultaneous_low, effect.simultaneous_high)}",
    ]
    if row.constraint.p_best is not None:
        lines.append(f"P(best) {row.p_best.replace('<', '&lt;')}")
    return signed("<br>".join(lines))


def _line(x: float, colour: str, dash: str) -> dict[str, Any]:
    return {
        "type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": colour, "width": 1.4, "dash": dash}, "layer": "above",
    }  # fmt: skip
