"""``sevenfold runs``: list, show, compare, check, report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from sevenfold.actions.runs import RunComparison, RunDetail, RunLine, RunList, StoreCheck

app = typer.Typer(
    name="runs",
    help="What was run here: list, show, compare, check, report.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_(
    state: Annotated[
        str | None, typer.Option(help="Only runs of one state: running, finished, failed, interrupted.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Only runs of the recipe with this name.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many, the newest.")] = None,
    as_json: Json = False,
) -> None:
    """List the runs of the store, newest first."""
    from sevenfold.actions.runs import list_runs

    emit(list_runs(state=cast("Any", state), recipe=recipe, limit=limit), as_json, _render_list)


@app.command("show")
def show(
    run: Annotated[str, typer.Argument(help="A run's id, or a beginning that no other id has.")],
    as_json: Json = False,
) -> None:
    """Show one run in full: recipe, data, machine, summary, metrics."""
    from sevenfold.actions.runs import show_run

    emit(show_run(run), as_json, _render_detail)


@app.command("compare")
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more, by id or a beginning of it.")],
    as_json: Json = False,
) -> None:
    """Compare runs: the settings that differ, what came out, and the spread over seeds."""
    from sevenfold.actions.runs import compare_runs

    emit(compare_runs(runs), as_json, _render_comparison)


@app.command("report")
def report(
    run: Annotated[str, typer.Argument(help="A run's id, or a beginning that no other id has.")],
    out: Annotated[
        str | None, typer.Option(help="Where to write; report.html in the run's folder without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one run as an HTML page: curves, summary, and its samples beside the baselines."""
    from rich.text import Text

    from sevenfold.actions.run_report import run_report

    emit(run_report(run, path=out), as_json, lambda result: Text(f"page: {result.path}", overflow="fold"))


@app.command("check")
def check(as_json: Json = False) -> None:
    """Read the whole store and tell of any damage; exit status 1 where there is some."""
    from sevenfold.actions.runs import check_runs

    result = check_runs()
    emit(result, as_json, _render_check)
    if result.damage:
        raise typer.Exit(1)


def _render_check(result: StoreCheck) -> RenderableType:
    from rich.text import Text

    if result.damage:
        return Text("\n".join(result.damage))
    runs = f"{result.num_runs} run{'' if result.num_runs == 1 else 's'}"
    return Text(f"{result.store} is whole: {runs}, every row as it was written")


def _render_list(result: RunList) -> RenderableType:
    from rich.text import Text

    if not result.runs:
        which = "no runs like that" if result.num_runs else "no runs yet"
        return Text(f"{which} in {result.store}")
    return _ByWidth(lambda width: _lines(result.runs, width))


def _lines(runs: Sequence[RunLine], width: int) -> Table:
    figures = ["validation_loss", "validation_accuracy", "steps", "wall_seconds"]
    headings = [">val. loss", ">accuracy", ">steps", ">time"]
    if width >= 110:
        figures.append("parameters")
        headings.append(">parameters")
    table = _table("run", "state", *headings, *(["last change"] if width >= 100 else []))
    for line in runs:
        shown = (_figure(name, getattr(line, name)) for name in figures)
        table.add_row(_plain(line.id), _state(line), *shown, *([_when(line.updated)] if width >= 100 else []))
    return table


def _render_detail(result: RunDetail) -> RenderableType:
    from rich.console import Group

    run = result.run
    head: dict[str, Any] = {"run": run.id, "state": run.state, "error": run.error}
    head |= {"created": _when(run.created), "last change": _when(run.updated), "store": result.store}
    parts: list[RenderableType] = [_facts("", {key: value for key, value in head.items() if value is not None})]
    parts += [_facts("note", {str(number + 1): note for number, note in enumerate(run.notes)})] if run.notes else []
    for title, tree in (("recipe", run.recipe), ("data", run.provenance), ("environment", run.environment)):
        parts += [_facts(title, _flat(tree))] if tree else []
    if run.summary:
        table = _table("summary", ">value")
        for name, value in run.summary.items():
            table.add_row(_plain(name), _figure(name, value))
        parts.append(table)
    if result.metrics:
        table = _table("metric", ">rows", ">first step", ">last step", ">first", ">last", ">lowest", ">highest")
        for line in result.metrics:
            figures = (line.first, line.last, line.lowest, line.highest)
            counts = (f"{line.num_rows:,}", f"{line.first_step:,}", f"{line.last_step:,}")
            table.add_row(_plain(line.name), *counts, *(_figure(line.name, value) for value in figures))
        parts.append(table)
    return Group(*_spaced(parts))


def _render_comparison(result: RunComparison) -> RenderableType:
    from rich.console import Group

    letters = [_letter(number) for number in range(len(result.runs))]
    runs = _table("", "run", "state")
    for letter, line in zip(letters, result.runs, strict=True):
        runs.add_row(letter, _plain(line.id), _state(line))
    parts: list[RenderableType] = [runs]
    for title, differences in (
        ("settings that differ", result.recipe),
        ("data that differ", result.provenance),
        ("environment that differs", result.environment),
    ):
        if differences:
            table = _table(title, *(">" + letter for letter in letters))
            for row in differences:
                table.add_row(_plain(row.key), *(_plain(value) for value in row.values))
            parts.append(table)
    if result.summary:
        table = _table("summary", *(">" + letter for letter in letters))
        for figure in result.summary:
            table.add_row(_plain(figure.name), *(_figure(figure.name, value) for value in figure.values))
        parts.append(table)
        changes = _table("difference", *(f">{letter} - {letters[0]}" for letter in letters[1:]))
        for figure in result.summary:
            if any(figure.differences[1:]):
                changes.add_row(_plain(figure.name), *(_change(figure.name, d) for d in figure.differences[1:]))
        parts += [changes] if changes.row_count else []
    for group in result.over_seeds:
        table = _table(f"over {len(group.seeds)} seeds", ">mean", ">95% from", ">to")
        for spread in group.figures:
            if len(set(spread.values)) == 1:
                continue  # the same for every seed: parameters, steps
            table.add_row(
                _plain(spread.name), *(_figure(spread.name, x) for x in (spread.mean, spread.low, spread.high))
            )
        parts.append(table)
    return Group(*_spaced(parts))


class _ByWidth:
    """What fits the width that it is shown in."""

    def __init__(self, render: Callable[[int], RenderableType]) -> None:
        self._render = render

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield self._render(options.max_width)


def _table(*headings: str) -> Table:
    """A borderless table; a heading that begins with ``>`` is of numbers. Texts fold, nothing is cut off."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for heading in headings:
        number = heading.startswith(">")
        justify: Any = "right" if number else "left"
        table.add_column(heading.removeprefix(">"), justify=justify, overflow="fold", no_wrap=number)
    return table


def _facts(title: str, facts: dict[str, Any]) -> Table:
    table = _table(title, "")
    table.show_header = bool(title)
    for key, value in facts.items():
        table.add_row(key, _plain(value))
    return table


def _spaced(parts: Sequence[RenderableType]) -> list[RenderableType]:
    return [item for part in parts for item in (part, "")][:-1]


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _state(line: RunLine) -> Any:
    from rich.text import Text

    style = {"finished": "green", "failed": "red", "interrupted": "yellow"}.get(line.state, "cyan")
    return Text(line.state, style=style)


def _figure(name: str, value: Any) -> str:
    """A figure of a summary with the unit that its name ends in."""
    from sevenfold.units import COUNT, JOULES, SECONDS, show

    if value is None:
        return "-"
    if isinstance(value, str):
        return _plain(value)
    if not math.isfinite(value):
        return str(value)
    if name.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    if "seconds" in name or name.endswith("_s"):
        return show(value, SECONDS)
    if name.endswith("_j"):
        return show(value, JOULES)
    if name == "parameters":
        return show(value, COUNT)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10):
        return f"{value:,.0f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def _change(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    shown = _figure(name, value)
    return shown if value <= 0 or not math.isfinite(value) else f"+{shown}"


def _plain(value: Any) -> str:
    """Any value as text that rich takes literally."""
    from rich.markup import escape

    return escape("-" if value is None else str(value))


def _when(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _letter(number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters
