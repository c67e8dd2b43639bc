"""``sevenfold paradigms``: list, show and run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit, tell

if TYPE_CHECKING:
    from sevenfold.actions.paradigms import ParadigmLine, ParadigmList, ParadigmResult

app = typer.Typer(
    help="Ways of learning, each measured against its baselines over seeds.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="A paradigm of `sevenfold paradigms list`.")]


@app.command("list")
def list_paradigms(as_json: Json = False) -> None:
    """All paradigms and what they compare."""
    from sevenfold.actions.paradigms import list_paradigms as action

    emit(action(), as_json, _list)


@app.command("show")
def show_paradigm(name: Name, as_json: Json = False) -> None:
    """What a paradigm compares, how long it takes, and what it came to."""
    from sevenfold.actions.paradigms import show_paradigm as action

    emit(action(name), as_json, _help)


@app.command("run")
def run_paradigm(
    name: Name,
    seeds: Annotated[int, typer.Option(help="How many seeds, from 0.")] = 3,
    as_json: Json = False,
) -> None:
    """Measure a paradigm: train what it needs, and show every figure over the seeds."""
    from sevenfold.actions.paradigms import run_paradigm as action
    from sevenfold.cli.train import watching

    with watching(quiet=as_json) as on_step:
        result = action(
            name,
            seeds=seeds,
            on_seed=None if as_json else lambda seed: tell(f"seed {seed}"),
            on_step=on_step,
            on_event=tell,
        )
    emit(result, as_json, _render)


def _list(result: ParadigmList) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("paradigm", "what is compared"):
        table.add_column(column)
    for line in result.paradigms:
        table.add_row(line.name, line.help.splitlines()[0])
    return table


def _help(result: ParadigmLine) -> Any:
    from rich.text import Text

    return Text(result.help)


def _render(result: ParadigmResult) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("figure")
    for column in ("mean", "deviation", *(f"seed {seed}" for seed in result.seeds), "stated"):
        table.add_column(column, justify="right")
    for figure in result.figures:
        table.add_row(
            figure.name.replace("_", " "),
            _shown(figure.mean),
            _shown(figure.deviation),
            *map(_shown, figure.values),
            _shown(figure.stated),
        )
    return Group(Text(result.summary), table)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
