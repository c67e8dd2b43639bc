"""``sevenfold sweep``: a model on variants of a spatial chip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.sweep import SweepResult


def sweep(
    model: Annotated[
        str, typer.Argument(help="A preset, a run's id, or module:function or file.py:function: (module, inputs).")
    ],
    chip: Annotated[str, typer.Option(help="The spatial chip that is varied, or a JSON file of one.")] = "eyeriss",
    shapes: Annotated[
        str | None, typer.Option(help="Rows x columns of the array: 6x7,12x14; half, own, twice by default.")
    ] = None,
    buffers: Annotated[
        str | None, typer.Option(help="Sizes of its buffer: 54KB,108KB; half, own, twice by default.")
    ] = None,
    area: Annotated[
        str | None, typer.Option(help="Most room for memories, as so much buffer: 300KB; registers take 1.6 of it.")
    ] = None,
    goal: Annotated[str, typer.Option(help="What mappings are chosen by: energy, latency or edp.")] = "energy",
    workers: Annotated[int, typer.Option(help="Processes, or cores of a Ray that is started.", min=1)] = 1,
    backend: Annotated[str, typer.Option(help="processes, or ray (an extra; RAY_ADDRESS names a cluster).")] = (
        "processes"
    ),
    batch: Annotated[int, typer.Option(help="Examples in the batch.")] = 1,
    seq: Annotated[int | None, typer.Option(help="Tokens in a sequence; the whole context by default.")] = None,
    image: Annotated[int | None, typer.Option(help="Height and width of the image.")] = None,
    train: Annotated[bool, typer.Option("--train", help="Forward and backward, not a forward pass.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the model; may be repeated."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="File for a picture: energy against time of every design.")
    ] = (None),
    as_json: Json = False,
) -> None:
    """Energy and time of MODEL on variants of a chip within an area, and the variants that no other beats."""
    from sevenfold.actions.count import read_settings
    from sevenfold.actions.sweep import sweep as action
    from sevenfold.units import BYTES, parse

    result = action(
        model,
        chip=chip,
        shapes=None if shapes is None else [_shape(text) for text in shapes.split(",") if text.strip()],
        buffers=None if buffers is None else [parse(text, BYTES) for text in buffers.split(",") if text.strip()],
        area=None if area is None else parse(area, BYTES),
        goal=goal,
        workers=workers,
        backend=backend,
        batch=batch,
        seq=seq,
        image=image,
        train=train,
        settings=read_settings(changes or []),
        picture=picture,
    )
    emit(result, as_json, _render)


def _shape(text: str) -> tuple[int, int]:
    from sevenfold.errors import UsageError

    rows, _, columns = text.strip().lower().partition("x")
    if not (rows.isdigit() and columns.isdigit()):
        raise UsageError("cannot read an array's shape", got=repr(text), expected="ROWSxCOLUMNS", hint="12x14")
    return int(rows), int(columns)


def _render(result: SweepResult) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.units import BYTES, COUNT, JOULES, SECONDS, show

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("array", "buffer", "area", "energy", "time", "MAC/s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for design in result.designs:
        energy = "-" if design.energy is None else f"{design.energy:.4g} MACs"
        table.add_row(
            f"{design.rows} x {design.columns}",
            show(design.buffer_bytes, BYTES),
            show(design.area_bytes, BYTES),
            show(design.energy, JOULES) if result.energy_unit == "J" and design.energy is not None else energy,
            "-" if design.seconds is None else show(design.seconds, SECONDS),
            "-" if design.macs_per_s is None else show(design.macs_per_s, COUNT),
            "does not run" if design.unfit is not None else "no other beats it" if design.pareto else "",
            style="bold" if design.pareto else None,
        )
    title = f"{result.model} on {', '.join(result.inputs)}: variants of {result.chip}, mapped for {result.goal}"
    parts: list[Any] = [Text(title, style="bold"), table, Text()]
    parts += [Text(f"note: {note}") for note in dict.fromkeys(result.notes)]
    parts += [Text(f"wrote {result.picture}")] if result.picture is not None else []
    return Group(*parts)
