"""``sevenfold chips``: list and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.chips import Chip, ChipDetail, ChipList, SpatialChip

app = typer.Typer(help="Chips as data: every number with its source.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_chips(as_json: Json = False) -> None:
    """All chips: dense peaks, what is achievable, memory, power, and the roofline's knee."""
    from sevenfold.actions.chips import chips

    result = chips()
    if result.damaged is not None and not as_json:
        from sevenfold.cli._output import tell

        tell(f"note: {result.damaged}")
    emit(result, as_json, _list)


@app.command("show")
def show_chip(
    name: Annotated[str, typer.Argument(help="A chip of `sevenfold chips list`, or this-machine.")],
    as_json: Json = False,
) -> None:
    """Everything that is known of one chip, each number with its source."""
    from sevenfold.actions.chips import show_chip

    emit(show_chip(name), as_json, _detail)


def _list(result: ChipList) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.units import BYTES, BYTES_PER_SECOND, WATTS, show

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (
        ("chip", "left"), ("fp32 peak", "right"), ("bf16 peak", "right"), ("bf16 achievable", "right"),
        ("int8 peak", "right"),
        ("memory", "right"), ("bandwidth", "right"), ("power", "right"), ("knee FLOP/B", "right"),
    ):  # fmt: skip
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for chip in result.chips:
        table.add_row(
            chip.name,
            _rate(chip.peak_flops_per_s.get("float32")),
            _rate(chip.peak_flops_per_s.get("bfloat16")),
            _rate(chip.achievable_flops_per_s.get("bfloat16")),
            _rate(chip.peak_flops_per_s.get("int8"), "OP/s"),
            show(_value(chip.memory[0].capacity_bytes), BYTES),
            show(_value(chip.memory[0].bandwidth_bytes_per_s), BYTES_PER_SECOND),
            show(_value(chip.tdp_w), WATTS),
            _knee(chip),
        )
    note = "achievable: the best matrix product that was measured and published; unknown where none was found"
    names = "memory by memory, for mapping layers with `sevenfold cost --on`:"
    return Group(table, Text(f"note: {note}"), Text(), Text(names), _spatial_list(result))


def _spatial_list(result: ChipList) -> Any:
    from rich.table import Table

    from sevenfold.actions.chips import dram_bytes_per_s
    from sevenfold.units import BYTES_PER_SECOND, COUNT, HERTZ, show

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (
        ("spatial chip", "left"), ("what it is", "left"), ("multipliers", "right"), ("words", "left"),
        ("clock", "right"), ("peak MAC/s", "right"), ("DRAM", "right"), ("energies", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=name != "what it is")  # type: ignore[arg-type]
    for chip in result.spatial_chips:
        table.add_row(
            chip.name,
            chip.title,
            f"{chip.num_pes:,}",
            f"int{chip.word_bits}",
            show(chip.clock_hz, HERTZ),
            show(chip.peak_macs_per_s, COUNT),
            "no limit" if (rate := dram_bytes_per_s(chip)) is None else show(rate, BYTES_PER_SECOND),
            "joules" if chip.energy_unit == "J" else "of one MAC",
        )
    return table


def _detail(result: ChipDetail) -> Any:
    from rich.console import Group

    parts = [] if result.chip is None else [_figures(result.chip, result.knees)]
    return Group(*parts, *([] if result.spatial is None else [_levels(result.spatial)]))


def _levels(chip: SpatialChip) -> Any:
    """The memories and arrays, outermost first."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.units import HERTZ, JOULES, WATTS, show

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (
        ("level", "left"), ("what", "left"), ("words", "right"), ("holds", "left"), ("read", "right"),
        ("write", "right"), ("words a cycle", "right"), ("", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=side)  # type: ignore[arg-type]

    def energy(value: float) -> str:
        return show(value, JOULES) if chip.energy_unit == "J" else f"{value:g} MAC"

    for level in chip.levels:
        if level.kind == "array":
            sides = f"rows carry {' '.join(level.row_dims)}, columns {' '.join(level.column_dims)}"
            table.add_row(
                level.name,
                "array",
                f"{level.rows} x {level.columns}",
                "",
                energy(level.transfer_energy),
                "",
                "",
                sides,
            )
            continue
        ports = (
            level.words_per_cycle or f"{level.read_words_per_cycle or '-'} / {level.write_words_per_cycle or '-'}"
        )
        table.add_row(
            level.name,
            level.role,
            "no limit" if level.capacity_words is None else f"{level.capacity_words:,}",
            " ".join(level.holds),
            energy(level.read_energy),
            energy(level.write_energy),
            "-" if ports == "- / -" else str(ports),
            {"stream": "", "double": "double-buffered", "single": "single-buffered"}[level.buffering],
        )
    lines = [
        Text(f"{chip.name}: {chip.title}", style="bold"),
        Text(
            f"{chip.num_pes:,} multipliers of {chip.word_bits} bits at {show(chip.clock_hz, HERTZ)}; a MAC takes "
            f"{energy(chip.mac_energy)}; {show(chip.static_w, WATTS)} static; energies: {chip.energy_source}"
        ),
    ]
    notes = [*chip.notes, *([chip.area_note] if chip.area_note else [])]
    return Group(*lines, table, *(Text(f"note: {note}") for note in notes))


def _figures(chip: Chip, known_knees: dict[str, float]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.units import BYTES, BYTES_PER_SECOND, JOULES, USD_PER_HOUR, WATTS, show

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (("figure", "left"), ("value", "right"), ("how", "left"), ("source", "left")):
        table.add_column(name, justify=side, overflow="fold", ratio=1 if name == "source" else None)  # type: ignore[arg-type]

    def add(name: str, figure: Any, text: str) -> None:
        known = figure is not None
        table.add_row(
            name, text if known else "unknown", figure.method if known else "", figure.source if known else ""
        )

    for dtype, figure in chip.peak_flops_per_s.items():
        add(f"peak {dtype}", figure, _rate(figure, _unit(dtype)))
    for dtype, figure in chip.achievable_flops_per_s.items():
        add(f"achievable {dtype}", figure, _rate(figure, _unit(dtype)))
    add("vector operations", chip.vector_ops_per_s, _rate(chip.vector_ops_per_s, "OP/s"))
    for level in chip.memory:
        add(f"{level.name} capacity", level.capacity_bytes, show(_value(level.capacity_bytes), BYTES))
        add(
            f"{level.name} bandwidth",
            level.bandwidth_bytes_per_s,
            show(_value(level.bandwidth_bytes_per_s), BYTES_PER_SECOND),
        )
    add("design power", chip.tdp_w, show(_value(chip.tdp_w), WATTS))
    add("links", chip.link_bytes_per_s, show(_value(chip.link_bytes_per_s), BYTES_PER_SECOND))
    add("price", chip.price_usd_per_hour, show(_value(chip.price_usd_per_hour), USD_PER_HOUR))
    if chip.energy is not None:
        for dtype, figure in chip.energy.j_per_op.items():
            add(f"energy an operation {dtype}", figure, show(figure.value, JOULES))
        add("energy a byte", chip.energy.j_per_byte, show(_value(chip.energy.j_per_byte), JOULES))
    else:
        add("energy", None, "")
    lines: list[Any] = [Text(f"{chip.name}: {chip.title}", style="bold"), table, Text()]
    knees = ", ".join(f"{dtype} {knee:.4g}" for dtype, knee in known_knees.items())
    lines.append(Text(f"roofline's knee, FLOP per byte of {chip.memory[0].name}: {knees}"))
    if chip.node is not None:
        lines.append(Text(f"process: {chip.node}"))
    if chip.energy is not None:
        lines.append(Text(f"energy: {chip.energy.method}"))
    if chip.calibration is not None:
        measured = chip.calibration
        quick = ", quick" if measured.quick else ""
        counts = " and ".join(str(variant.threads) for variant in measured.variants)
        lines.append(
            Text(f"calibrated {measured.created} with {counts} thread(s), torch {measured.torch_version}{quick}")
        )
    return Group(*lines, *(Text(f"note: {note}") for note in chip.notes))


def _rate(figure: Any, unit: str = "FLOP/s") -> str:
    from sevenfold.units import FLOPS_PER_SECOND, show

    if figure is None:
        return "unknown"
    return show(figure.value, FLOPS_PER_SECOND, digits=4).replace("FLOP/s", unit)


def _unit(dtype: str) -> str:
    return "OP/s" if dtype.startswith("int") else "FLOP/s"


def _value(figure: Any) -> float | None:
    return None if figure is None else float(figure.value)


def _knee(chip: Any) -> str:
    if not chip.knees:
        return "unknown"
    dtype = "bfloat16" if "bfloat16" in chip.peak_flops_per_s else next(iter(chip.peak_flops_per_s))
    if chip.kind == "cpu":
        dtype = "float32"
    return f"{chip.knee(dtype):.0f} ({ {'bfloat16': 'bf16', 'float32': 'fp32'}.get(dtype, dtype) })"
