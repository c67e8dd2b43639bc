"""``sevenfold count``: the arithmetic, bytes and activations of a model on one input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.count import CountResult


def count(
    model: Annotated[
        str,
        typer.Argument(help="A preset, or module:function or file.py:function that returns (module, inputs)."),
    ],
    batch: Annotated[int, typer.Option(help="Examples in the batch.")] = 1,
    seq: Annotated[int | None, typer.Option(help="Tokens in a sequence; the whole context by default.")] = None,
    image: Annotated[int | None, typer.Option(help="Height and width of the image.")] = None,
    causal: Annotated[
        bool, typer.Option("--causal", help="Count only the query-key pairs that causal attention needs.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16 or float64 weights and inputs.")
    ] = None,
    autocast: Annotated[
        str | None, typer.Option(help="bfloat16 or float16: arithmetic as under torch.autocast.")
    ] = None,
    forward_only: Annotated[
        bool, typer.Option("--forward-only", help="Inference: no backward pass, eval mode.")
    ] = False,
    real: Annotated[
        bool, typer.Option("--real", help="Compute with real tensors, for a module that looks at values.")
    ] = False,
    depth: Annotated[int, typer.Option(help="Depth of the module paths in the table.", min=0)] = 2,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the model; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """MACs, FLOPs, parameters, bytes and kept activations of MODEL, operator by operator."""
    from sevenfold.actions import count as action

    result = action.count(
        model,
        batch=batch,
        seq=seq,
        image=image,
        causal=causal,
        dtype=dtype,
        autocast=autocast,
        backward=not forward_only,
        settings=action.read_settings(changes or []),
        device="cpu" if real else "meta",
    )
    emit(result, as_json, lambda shown: _render(shown, depth))


def _render(result: CountResult, depth: int) -> Any:
    from rich.console import Group
    from rich.text import Text

    graph = result.graph
    notes = [Text(f"note: {note}") for note in graph.notes]
    title = f"{graph.name} on {', '.join(graph.inputs)}"
    modules = _table("by module", "module", result.modules(depth), total=True)
    # Kinds that only the backward pass has would be rows of dashes.
    kinds = _table("by kind of operator", "kind", [row for row in result.kinds() if row.operators], total=False)
    return Group(Text(title, style="bold"), Text(), modules, Text(), kinds, Text(), *_totals(result), *notes)


def _table(title: str, first: str, rows: list[Any], *, total: bool) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_footer=total)
    named = [
        (first, "left", "total"),
        ("params", "right", _number(sum(row.params for row in rows))),
        ("MACs", "right", _number(sum(row.macs for row in rows))),
        ("share", "right", ""),
        ("other ops", "right", _number(sum(row.vector_ops for row in rows))),
        ("bytes moved", "right", _bytes(sum(row.bytes for row in rows))),
        ("FLOPs backward", "right", _number(sum(row.flops_backward for row in rows))),
    ]
    for name, side, footer in named:
        table.add_column(name, justify=side, footer=footer, no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.name or "(root)",
            _number(row.params),
            _number(row.macs),
            f"{row.macs_share:.1%}",
            _number(row.vector_ops),
            _bytes(row.bytes),
            _number(row.flops_backward),
        )
    return table


def _totals(result: CountResult) -> list[Any]:
    from rich.text import Text

    graph = result.graph
    lines = [
        f"parameters        {graph.params:>26,}  {_bytes(graph.param_bytes)}",
        f"MACs forward      {graph.macs:>26,}",
        f"FLOPs forward     {graph.flops:>26,}  (2 for each MAC)",
        f"FLOPs backward    {graph.flops_backward:>26,}",
        f"bytes read        {graph.bytes_read:>26,}  forward, each operand of each operator once",
        f"bytes written     {graph.bytes_written:>26,}",
        f"activations kept  {graph.activation_bytes:>26,}  bytes, for the backward pass",
    ]
    return [Text(line) for line in lines]


def _number(value: int) -> str:
    from sevenfold.units import COUNT, show

    return show(float(value), COUNT) if value else "-"


def _bytes(value: int) -> str:
    from sevenfold.units import BYTES, show

    return show(float(value), BYTES) if value else "-"
