"""The report in a terminal: the sentence, the seven rows, what to do, what it took.

The table takes the fullest of its layouts that fits: everything at about 120 columns, bare amounts at 100, slack as
a share at 80. Colours come from rich, which respects ``NO_COLOR``; a terminal without Unicode gets plain letters.
``python -m sevenfold.diagnosis.report.table report.json`` shows one.
"""

from __future__ import annotations

import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sevenfold.diagnosis.report.glossary import METHODS, SHORT_TITLES
from sevenfold.diagnosis.report.rows import NOTHING, Row, advice_parts, budget_text, command_for, rows_of, share
from sevenfold.diagnosis.result import Diagnosis, Method
from sevenfold.diagnosis.showing import aligned

_STYLES = {"binding": "bold", "significant": "", "quiet": "dim", "missing": "dim"}
_KINDS = {"hard": ("hard", "blue"), "lever": ("lever", "green")}
_PLAIN_LETTERS = str.maketrans(
    {"±": "+/-", "×": "x", "—": "-", "–": "-", "…": "...", "●": "*", "◐": "~", "◇": "o", "✕": "x", "▸": ">",
     "½": "1/2", "¼": "1/4", "²": "2", "₀": "0", "⁻": "-", **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))}
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Which amounts a table shows, and how fully."""

    amounts: bool = True  # limit and usage
    settings: bool = True  # what stands in for the amounts of levers that have none
    usage_unit: bool = True  # the usage's unit, where it is the limit's
    slack_amount: bool = True  # the slack's amount beside its share
    method_name: bool = True
    gap: int = 2


_LAYOUTS = (
    Layout(),
    Layout(settings=False),
    Layout(settings=False, slack_amount=False),
    Layout(settings=False, slack_amount=False, usage_unit=False),
    Layout(settings=False, slack_amount=False, usage_unit=False, gap=1),
    Layout(amounts=False),
    Layout(amounts=False, slack_amount=False),
    Layout(amounts=False, slack_amount=False, method_name=False, gap=1),
)


class Report:
    """A rich renderable of a diagnosis that fits itself to the terminal."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        plain = options.ascii_only or "utf" not in (options.encoding or "utf-8").lower()
        rows = rows_of(self.diagnosis)
        yield Text()
        yield _text(self.diagnosis.sentence, plain, "bold")
        yield Text()
        tables = [_table(self.diagnosis, rows, layout, plain) for layout in _LAYOUTS]
        unbounded = options.update_width(10_000)  # the natural width, not one that is already squeezed
        fitting = (t for t in tables if Measurement.get(console, unbounded, t).maximum <= options.max_width)
        yield next(fitting, tables[-1])
        yield Text()
        yield from _legend(rows, plain)
        yield from _reasons(rows, plain)
        yield from _advice(self.diagnosis, plain)
        yield from _closing(self.diagnosis, plain)


def render(diagnosis: Diagnosis) -> Report:
    """A rich renderable: ``Console().print(render(diagnosis))``."""
    return Report(diagnosis)


def render_plain(diagnosis: Diagnosis, width: int = 100) -> str:
    """The same as text without colours, no line longer than ``width`` where words allow.

    >>> print(render_plain(diagnosis))  # doctest: +SKIP
    """
    console = Console(
        file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False
    )
    with console.capture() as capture:
        console.print(render(diagnosis), highlight=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _table(diagnosis: Diagnosis, rows: list[Row], layout: Layout, plain: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, layout.gap, 0, 0), header_style="dim")
    table.add_column("  constraint", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("limit", "usage", "slack") if layout.amounts else ("slack",):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(_text(f"worth, {diagnosis.baseline_loss.unit} (95%)", plain), no_wrap=True)
    table.add_column("P(best)", justify="right", no_wrap=True)
    table.add_column("how", no_wrap=True)
    for row, worth in zip(rows, aligned([row.worth_text for row in rows]), strict=True):
        kind, colour = _KINDS[row.constraint.kind]
        method = METHODS[row.method].bounds + (f" {row.method}" if layout.method_name else "")
        cells = [*_amounts(row, layout), worth, row.p_best, method]
        marker = "▸ " if row.state == "binding" else "  "
        style = _STYLES[row.state]
        table.add_row(
            _text(marker + SHORT_TITLES[row.name], plain, style),
            _text(kind, plain, f"{style} {colour}".strip()),
            *[_text(cell, plain, style) for cell in cells],
        )
    return table


def _amounts(row: Row, layout: Layout) -> list[str]:
    part = row.constraint.slack_share
    slack = row.slack if layout.slack_amount or not part else share(part)
    if not layout.amounts:
        return [slack]
    usage, limit = row.constraint.usage, row.constraint.limit
    if not layout.settings and row.name in ("optimization", "architecture"):
        return [NOTHING, NOTHING, slack]
    shown_limit = row.limit if layout.slack_amount else re.sub(r" \([^)]*\)$", "", row.limit)  # where it comes from
    text = row.usage
    if (
        not layout.usage_unit
        and usage
        and limit
        and usage.unit == limit.unit
        and usage.text.endswith(f" {usage.unit}")
    ):
        text = usage.text.removesuffix(f" {usage.unit}")
    return [shown_limit, text, slack]


def _legend(rows: list[Row], plain: bool) -> list[RenderableType]:
    """What the marks mean; the ones without a number are explained row by row."""
    lines = ["worth: the fall in validation loss if an amount is doubled, or a lever is at its best setting"]
    explained: tuple[Method, ...] = ("predicted", "modelled")
    used = [method for method in explained if any(row.method == method for row in rows)]
    lines += [f"{METHODS[method].bounds} {method}: {METHODS[method].measured_by}" for method in used]
    return [_item(line, plain, indent=2, style="dim") for line in lines]


def _reasons(rows: list[Row], plain: bool) -> list[RenderableType]:
    """Why a row has no number, or one that does not count."""
    silent = [row for row in rows if row.worth is None or row.relief.endswith("active")]
    if not silent:
        return []
    return [Text(), *(_item(f"{SHORT_TITLES[row.name]}: {row.constraint.why}", plain, indent=2) for row in silent)]


def _advice(diagnosis: Diagnosis, plain: bool) -> list[RenderableType]:
    if not diagnosis.advice:
        return []
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(overflow="fold")
    for number, advice in enumerate(diagnosis.advice, 1):
        command = command_for(diagnosis, advice.change) or advice.change
        what, gain = advice_parts(advice)
        says = Text.assemble(
            _text(what, plain), ": ", _text(gain, plain, "bold"), "\n" if command else "",
            _text(command or "", plain, "cyan"),
        )  # fmt: skip
        grid.add_row(f"{number}.", Text(advice.kind, style="green" if advice.kind == "free" else "blue"), says)
    return [Text(), _text("What to do, in order", plain, "bold"), Padding(grid, (0, 0, 0, 2), expand=False)]


def _closing(diagnosis: Diagnosis, plain: bool) -> list[RenderableType]:
    lines: list[RenderableType] = [Text()]
    if diagnosis.budget.not_reached:
        lines.append(_item(f"Not reached: {', '.join(diagnosis.budget.not_reached)}.", plain, style="yellow"))
    lines += [_item(f"Note: {warning}", plain, style="yellow") for warning in diagnosis.warnings]
    lines.append(_item(f"{budget_text(diagnosis)}.", plain, style="dim"))
    return lines


def _item(text: str, plain: bool, *, indent: int = 0, style: str = "") -> Padding:
    return Padding(_text(text, plain, style), (0, 0, 0, indent), expand=False)


def _text(text: str, plain: bool, style: str = "") -> Text:
    """Text that rich neither reads as markup nor highlights; control characters go, long words are folded."""
    shown = text.translate(_PLAIN_LETTERS).encode("ascii", "replace").decode() if plain else text
    return Text("".join(c for c in shown if c.isprintable() or c == "\n"), style=style, overflow="fold")


def _main(path: str) -> None:
    from sevenfold.diagnosis.report.__main__ import read

    Console(highlight=False).print(render(read(Path(path))))


if __name__ == "__main__":
    _main(sys.argv[1])
