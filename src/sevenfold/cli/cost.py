"""``sevenfold cost``: a model on several chips, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.cost import ChipCost, CostResult


def cost(
    model: Annotated[
        str, typer.Argument(help="A preset, a run's id, or module:function or file.py:function: (module, inputs).")
    ],
    on: Annotated[
        str, typer.Option(help="Chips, with commas between: h100,eyeriss,eyeriss@7nm,my_chip.json,this-machine.")
    ] = "h100,a100",
    batch: Annotated[int, typer.Option(help="Examples in the batch.")] = 1,
    seq: Annotated[int | None, typer.Option(help="Tokens in a sequence; the whole context by default.")] = None,
    image: Annotated[int | None, typer.Option(help="Height and width of the image.")] = None,
    train: Annotated[bool, typer.Option("--train", help="A whole training step, not a forward pass.")] = False,
    causal: Annotated[
        bool, typer.Option("--causal", help="Count only the query-key pairs that causal attention needs.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option(help="float32, tf32, bf16, fp16, fp8, int8; float32 where the chip has it.")
    ] = None,
    optimizer: Annotated[str, typer.Option(help="With --train: adamw or sgd.")] = "adamw",
    threads: Annotated[int, typer.Option(help="this-machine: threads, as calibrated; 0 is all cores.", min=0)] = 0,
    depth: Annotated[int, typer.Option(help="Depth of the module paths below the table; 0 for none.", min=0)] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the model; may be repeated."),
    ] = None,
    measure_zeros: Annotated[
        bool | None,
        typer.Option(
            "--measure-zeros/--assume-no-zeros",
            help="Zeros in feature maps, for chips that code or gate them: measured on real inputs (of a run "
            "always, of a function on what it returns), or none assumed.",
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for pictures: rooflines; of spatial chips energy and the array.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help="File for one page: tables, rooflines, energy by level, the array at work, step by step."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Latency, throughput, energy, utilization of MODEL on chips, and what binds it there."""
    from sevenfold.actions.cost import cost as action
    from sevenfold.actions.count import read_settings

    result = action(
        model,
        on=[name for name in on.split(",") if name.strip()],
        batch=batch,
        seq=seq,
        image=image,
        train=train,
        causal=causal,
        dtype=dtype,
        optimizer=optimizer,
        threads=threads,
        depth=max(depth, 1),
        settings=read_settings(changes or []),
        measure_zeros=measure_zeros,
        pictures=pictures,
        html=html,
    )
    emit(result, as_json, lambda shown: _render(shown, depth))


def _render(result: CostResult, depth: int) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.actions.cost import COLUMNS, shown_row

    what = "a training step" if "backward" in result.phases else "a forward pass"
    table = Table(box=None, pad_edge=False, header_style="bold")
    numbers = {"latency", "throughput", "energy", "a MAC", "power", "utilization", "price", "$ a million"}
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
    for row in result.rows:
        table.add_row(*shown_row(row))
    title = Text(f"{result.model}, {what} on {', '.join(result.inputs)}", style="bold")
    parts: list[Any] = [title, Text(_metrics(result)), table, Text()]
    if depth:
        for row in result.rows:
            parts += [_groups(row), Text()]
    for note in dict.fromkeys(note for row in result.rows for note in _notes(row)):
        parts.append(Text(f"note: {note}"))
    parts += [Text(f"wrote {path}") for path in result.pictures]
    return Group(*parts)


def _metrics(result: CostResult) -> str:
    """The model's own measures, above what the chips make of it."""
    from sevenfold.units import BYTES, COUNT, show

    own = result.metrics
    right = "unknown" if own.accuracy is None else f"{own.accuracy:.2%}"
    return (
        f"accuracy {right} ({own.accuracy_of}) | {own.layers} layers with weights | "
        f"{show(own.weights, COUNT)} weights ({show(own.weight_bytes, BYTES)}) | "
        f"{show(own.macs_per_item, COUNT)} MACs {'an' if own.item == 'example' else 'a'} {own.item}"
    )


def _groups(row: ChipCost) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.units import BYTES, FLOPS, JOULES, SECONDS, show

    table = Table(title=f"{row.chip}, {row.method}", title_justify="left", box=None, pad_edge=False)
    for name, side in (
        ("group", "left"), ("time", "right"), ("share", "right"), ("FLOPs", "right"), ("bytes", "right"),
        ("energy", "right"), ("utilization", "right"), ("bound by", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for group in row.groups:
        table.add_row(
            group.group,
            show(group.seconds, SECONDS),
            f"{group.share:.1%}",
            show(group.flops, FLOPS) if group.flops else "-",
            show(group.bytes, BYTES) if group.bytes else "-",
            show(group.joules, JOULES),
            f"{group.utilization:.1%}" if group.flops else "-",
            group.bound_by,
        )
    lines = [("bytes by level", row.bytes_by_level, BYTES), ("energy by level", row.energy_by_level, JOULES)]
    shown = [
        Text(f"{name}: " + ", ".join(f"{level} {show(value, unit)}" for level, value in by_level.items()))
        for name, by_level, unit in lines
        if by_level
    ]
    return Group(table, *shown)


def _notes(row: ChipCost) -> list[str]:
    energy = f"energy on {row.chip}: {row.energy_method}"
    return [energy, *row.notes]
