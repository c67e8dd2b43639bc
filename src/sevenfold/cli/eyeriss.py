"""``sevenfold eyeriss``: the chip's own model against the chip, and its array at work on real layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit, tell

if TYPE_CHECKING:
    from sevenfold.actions.eyeriss import EyerissSimulation, Row, SimulatedLayer, Validation

app = typer.Typer(
    help="The Eyeriss chip: predicted against measured, and simulated.", no_args_is_help=True, rich_markup_mode=None
)
_COLUMNS = (
    ("macs_m", "MACs (M)", 1), ("active_pes", "active PEs", 0), ("glb_mb", "buffer MB", 1),
    ("dram_mb", "DRAM MB", 1),
    ("processing_ms", "processing ms", 1), ("power_mw", "power mW", 0),
)  # fmt: skip


@app.command("validate")
def validate(as_json: Json = False) -> None:
    """Predicted, published and relative error for every convolution of AlexNet and VGG-16, and in total."""
    from sevenfold.actions.eyeriss import validate_eyeriss

    emit(validate_eyeriss(), as_json, _render)


@app.command("simulate")
def simulate(
    model: Annotated[
        str, typer.Argument(help="A run's id, a preset (random weights), or file.py:function: (module, inputs).")
    ],
    layer: Annotated[str | None, typer.Option(help="Module path of one layer; all layers by default.")] = None,
    batch: Annotated[int, typer.Option(help="Examples of a run's data, or of a preset's random inputs.")] = 1,
    seq: Annotated[int | None, typer.Option(help="Tokens in a sequence, of a preset.")] = None,
    image: Annotated[int | None, typer.Option(help="Height and width of the image, of a preset.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of a preset; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Layers of MODEL on the row-stationary array, in 16-bit integers: outputs, counts, zeros and coding."""
    from sevenfold.actions.count import read_settings
    from sevenfold.actions.eyeriss import simulate_eyeriss
    from sevenfold.errors import SevenfoldError
    from sevenfold.units import COUNT, show

    result = simulate_eyeriss(
        model,
        layer=layer,
        batch=batch,
        seq=seq,
        image=image,
        settings=read_settings(changes or []),
        on_layer=lambda path, macs: tell(f"simulating {path}: {show(macs, COUNT)} MACs"),
    )
    emit(result, as_json, lambda shown: _render_simulation(shown, counts=layer is not None))
    if not result.equal:
        raise SevenfoldError("the simulator and the analytic model differ", hint="reporting this layer as a fault")


def _render_simulation(result: EyerissSimulation, *, counts: bool) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.units import COUNT, SECONDS, show

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (
        ("layer", "left"), ("MACs", "right"), ("m n e p q r t", "left"), ("passes", "right"), ("PEs", "right"),
        ("outputs", "left"), ("counts", "left"), ("zeros in", "right"), ("gated MACs", "right"),
        ("coded in", "right"), ("coded out", "right"), ("16-bit error", "right"), ("took", "right"),
    ):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for one in result.layers:
        if one.refused is not None or one.mapping is None:
            table.add_row(one.path, show(one.macs, COUNT), "not mapped", *[""] * 10)
            continue
        table.add_row(
            one.path,
            show(one.macs, COUNT),
            " ".join(str(value) for value in one.mapping.values()),
            str(one.passes),
            str(one.active_pes),
            "equal" if one.outputs_equal else "DIFFER",
            "equal" if one.counts_equal else "DIFFER",
            f"{one.zeros:.1%}",
            f"{one.gated:.1%}",
            f"{one.coded:.3f}",
            f"{one.coded_out:.3f}",
            f"{one.fixed_point_error:.1e}",
            show(one.wall_s, SECONDS),
        )
    title = Text(f"{result.model} on Eyeriss, element by element; {result.values}", style="bold")
    parts: list[Any] = [title, table, Text()]
    if counts:
        parts += [_counts(result.layers[0]), Text()]
    legend = (
        "outputs: beside the convolution of the same integers, bit for bit; counts: beside the analytic model, "
        "every level; coded: run-length coded over plain (above 1 a map stays plain); "
        "gated: MACs whose input is zero"
    )
    refused = [f"{one.path}: {one.refused}" for one in result.layers if one.refused is not None]
    return Group(*parts, *(Text(f"note: {note}") for note in (legend, *refused, *result.notes)))


def _counts(layer: SimulatedLayer) -> Any:
    from rich.table import Table

    table = Table(title=f"{layer.path}: words moved", title_justify="left", box=None, pad_edge=False)
    for name, side in (
        ("level", "left"), ("operand", "left"), ("", "left"), ("simulated", "right"), ("analytic", "right"),
    ):  # fmt: skip
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    names = {"W": "weights", "I": "inputs", "O": "outputs"}
    for count in layer.counts:
        table.add_row(
            count.level, names[count.operand], count.what, f"{count.simulated:,}", f"{count.analytic:,}",
            style=None if count.simulated == count.analytic else "bold red",
        )  # fmt: skip
    return table


def _render(result: Validation) -> Any:
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text("AlexNet on Eyeriss, batch 4: predicted (published, error)", style="bold")]
    parts.append(_table([*result.layers, result.total]))
    means = ", ".join(f"{title} {result.mean_error[key]:.2%}" for key, title, _ in _COLUMNS)
    parts += [Text(f"mean absolute error of the five layers: {means}")]
    left_out = {key: sum(map(abs, errors.values())) / len(errors) for key, errors in result.held_out.items()}
    means = ", ".join(f"{title} {left_out[key]:.2%}" for key, title, _ in _COLUMNS if key in left_out)
    parts += [Text(f"the same, each layer predicted by constants fitted on the other four: {means}"), Text()]
    parts += [Text("VGG-16 on Eyeriss, batch 3, searched mappings, the same constants", style="bold")]
    parts += [_table([*result.vgg16, result.vgg16_total]), Text()]
    parts += [Text("VGG-16, given the measured elements and buffer accesses", style="bold")]
    parts.append(_table([*result.vgg16_given, result.vgg16_given_total]))
    return Group(*parts, *(Text(f"note: {note}") for note in result.notes))


def _table(rows: list[Row]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer")
    for _, title, _ in _COLUMNS:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.layer, *(_cell(row, key, digits) for key, _, digits in _COLUMNS))
    return table


def _cell(row: Row, key: str, digits: int) -> str:
    published, error = row.published[key], row.error[key]
    if key not in row.predicted:
        return "" if published is None else f"({published:.{digits}f})"
    shown = f"{row.predicted[key]:.{digits}f}"
    if published is None or error is None:
        return shown
    return f"{shown} ({published:.{digits}f}, {error:+.1%})"
