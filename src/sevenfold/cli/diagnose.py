"""``sevenfold diagnose``: the main job, with live progress on stderr and the table on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sevenfold.cli._output import Json, Set, emit_json, tell
from sevenfold.cli._progress import ProbeProgress


def diagnose(
    recipe: Annotated[str, typer.Argument(help="A recipe: digits-cnn, my_file.py:function, or module:function.")],
    changes: Set = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=QUANTITY", help="A hard limit: energy=500J, time=60s, memory=80GB, parameters=1M, usd=$2."
        ),
    ] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="Bound the whole diagnosis: 5m, 90s.")] = None,
    price: Annotated[
        str | None, typer.Option(metavar="RATE", help="What the machine costs, for effects per dollar: $2.5/h.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=3, help="Seeds that every effect is measured on.")] = None,
    min_effect: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="The least effect that counts, as a share of the baseline's loss."),
    ] = 0.01,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Probe runs at a time; as many as cores allow.")
    ] = None,
    report: Annotated[Path, typer.Option(help="The HTML report to write; its JSON goes beside it.")] = Path(
        "report.html"
    ),
    as_json: Json = False,
) -> None:
    """What holds this model back, and what is it worth to relieve it?"""
    from sevenfold.actions.diagnose import diagnose as run

    with ProbeProgress(quiet=as_json) as progress:
        result = run(
            recipe,
            changes=_assignments(changes),
            limits=limit or [],
            budget=budget,
            price=price,
            seeds=seeds,
            min_effect=min_effect,
            workers=workers,
            report=report,
            on_event=progress,
        )
    if as_json:
        emit_json(result.to_dict())
        return
    _print(result)
    tell(f"wrote {report} and {report.with_suffix('.json')}")


def _assignments(changes: list[str] | None) -> dict[str, str]:
    from sevenfold.spec import parse_assignments

    return parse_assignments(changes or [])


def _print(result: Any) -> None:
    from rich.console import Console

    from sevenfold.actions.diagnose import render

    Console(highlight=False).print(render(result))
