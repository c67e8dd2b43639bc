"""A model on a spatial chip: every layer mapped, the rest left to the host; in the shape of the roofline's cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sevenfold.actions._subject import MeasuredValues
    from sevenfold.hardware.roofline import Cost, CostRow
    from sevenfold.hardware.spatial.activations import Activations
    from sevenfold.hardware.spatial.architecture import SpatialChip
    from sevenfold.hardware.spatial.cost import MappingCost
    from sevenfold.hardware.spatial.layer import Layer
    from sevenfold.hardware.spatial.mapping import Mapping
    from sevenfold.ops.graph import Operator, OperatorGraph, Phase


def find_spatial(name: str) -> SpatialChip | None:
    """The spatial chip of a name or of a JSON file, None where the name is not one of a spatial chip.

    ``eyeriss@7nm`` is the chip with the energies of another table.
    """
    from sevenfold.hardware.spatial.architecture import SpatialChip
    from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
    from sevenfold.hardware.spatial.energies import with_energies

    name, _, table = name.partition("@")
    if name.endswith(".json"):
        chip = SpatialChip.from_file(Path(name))
    elif name in SPATIAL_CHIPS.names():
        chip = SPATIAL_CHIPS[name]
    else:
        return None
    return with_energies(chip, table).model_copy(update={"name": f"{chip.name}@{table}"}) if table else chip


@dataclass(frozen=True)
class MappedLayer:
    """A layer with its mapping, its cost with what is known of its values, and the operator that it is of."""

    operator: Operator
    layer: Layer  # as mapped: a matrix product where the dataflow cannot lay the convolution out
    mapping: Mapping
    verdict: str
    cost: MappingCost
    times: int
    values: Activations | None


@dataclass(frozen=True)
class MappedModel:
    """Phases of a graph on a spatial chip: layers on its array, the rest with its host."""

    chip: SpatialChip
    graph: OperatorGraph
    layers: tuple[MappedLayer, ...]
    host: tuple[Operator, ...]  # that cost traffic
    applied: tuple[Operator, ...]  # done on the way to DRAM
    notes: tuple[str, ...]


def map_model(
    graph: OperatorGraph, chip: SpatialChip, phases: Sequence[Phase], values: MeasuredValues | None = None
) -> MappedModel:
    """Every layer with its mapping of least energy under the chip's dataflow, coded and gated where measured."""
    from sevenfold.hardware.spatial.activations import heeds_values, with_activations
    from sevenfold.hardware.spatial.mapper.networks import as_product, map_network
    from sevenfold.hardware.spatial.workload import workload_of

    work = workload_of(graph, phases)
    network = map_network([part.layer for part in work.works], chip)
    heeds = heeds_values(chip)
    layers = []
    for part, found in zip(work.works, network.layers, strict=True):
        layer = as_product(part.layer) if part.layer.name in network.unrolled else part.layer
        op, cost = part.operator, found.cost
        known = values.by_operator.get((op.path, op.kind)) if values is not None and op.phase == "forward" else None
        if known is not None and heeds:
            cost = with_activations(cost, layer, chip, known)
        layers.append(MappedLayer(op, layer, found.mapping, found.verdict, cost, part.times, known))
    applied = tuple(op for op in work.host if _applies(chip, op))
    host = tuple(op for op in work.host if not _applies(chip, op))
    notes = _notes(chip, host, network.unrolled, work.notes)
    if heeds:
        notes = (*notes, _note_of_values(chip, layers, values))
    return MappedModel(chip, graph, tuple(layers), host, applied, notes)


def spatial_cost(mapped: MappedModel) -> Cost:
    """Seconds, joules, bytes by level and what binds, of a mapped model.

    What the chip does not run is costed as the traffic of its operands with DRAM, and the notes say so.
    """
    from sevenfold.hardware.roofline import Cost

    chip = mapped.chip
    rows: list[CostRow] = []
    by_level: dict[str, float] = {}
    word_bytes = chip.word_bits / 8
    for part in mapped.layers:
        for level in part.cost.levels:
            by_level[level.level] = by_level.get(level.level, 0.0) + level.accesses * word_bytes * part.times
        rows.append(_layer_row(part.operator, chip, part.cost, part.times))
    for op in mapped.host:
        rows.append(_host_row(op, chip))
        dram = chip.levels[0].name
        by_level[dram] = by_level.get(dram, 0.0) + rows[-1].bytes
    seconds = sum(row.seconds for row in rows)
    by_phase: dict[str, float] = {}
    by_bound: dict[str, float] = {}
    for row in rows:
        by_phase[row.phase] = by_phase.get(row.phase, 0.0) + row.seconds
        by_bound[row.bound_by] = by_bound.get(row.bound_by, 0.0) + row.seconds
    flops = sum(row.flops for row in rows)
    return Cost(
        chip=chip.name,
        seconds=seconds,
        joules=sum(row.joules or 0.0 for row in rows) if chip.energy_unit == "J" else None,
        joules_method=_method(chip),
        bytes_by_level=by_level,
        flops=flops,
        utilization=flops / (2 * chip.peak_macs_per_s * seconds) if seconds else 0.0,
        bound_by=max(by_bound, key=by_bound.__getitem__) if by_bound else "array",
        seconds_by_phase=by_phase,
        seconds_by_bound=by_bound,
        rows=tuple(rows),
        method="mapped",
        notes=mapped.notes,
    )


def energy_by_level(mapped: MappedModel) -> dict[str, float]:
    """Joules of every memory, the arrays, MACs, static power, and of the host's traffic; empty without joules."""
    if mapped.chip.energy_unit != "J":
        return {}
    found: dict[str, float] = {}
    for part in mapped.layers:
        for level, energy in part.cost.energy_by_level.items():
            found[level] = found.get(level, 0.0) + energy * part.times
    rows = [_host_row(op, mapped.chip) for op in mapped.host]
    waiting = mapped.chip.static_w * sum(row.seconds for row in rows)
    if rows:
        found["host"] = sum(row.joules or 0.0 for row in rows) - waiting
    if waiting:
        found["static"] = found.get("static", 0.0) + waiting
    return found


def values_state(mapped: MappedModel) -> str:
    """How the values of feature maps enter: ``measured``, ``no zeros assumed``, or ``no part`` on this chip."""
    from sevenfold.hardware.spatial.activations import heeds_values

    if not heeds_values(mapped.chip):
        return "no part"
    return "measured" if any(part.values is not None for part in mapped.layers) else "no zeros assumed"


def _applies(chip: SpatialChip, op: Operator) -> bool:
    return op.phase == "forward" and op.name.removeprefix("aten.").removesuffix("_") in chip.applies


def _note_of_values(chip: SpatialChip, layers: Sequence[MappedLayer], values: MeasuredValues | None) -> str:
    does = [text for text, holds in (
        ("codes feature maps", chip.run_length_coding), ("gates zeros", chip.gated_mac_share > 0),
    ) if holds]  # fmt: skip
    able = f"{chip.name} {' and '.join(does)}"
    if values is None:
        return f"{able}: no zeros are assumed, nothing is coded or gated (a RUN_ID's are measured)"
    known = [part for part in layers if part.values is not None]
    if not known:
        return f"{able}: none of the {len(layers)} layers could be measured, no zeros are assumed"
    macs = sum(part.cost.macs * part.times for part in known)
    gated = sum(part.cost.macs * part.times * part.values.gated for part in known if part.values) / macs
    rest = len(layers) - len(known)
    without = f"; {rest} layers (attention, gradients) are taken without zeros" if rest else ""
    return (
        f"{able}: measured on {values.source}: {gated:.1%} of the multiply-accumulates of {len(known)} layers "
        "read a zero (padding included); mappings are those of least energy without zeros; the host's traffic is "
        f"not coded{without}"
    )


def _layer_row(op: Operator, chip: SpatialChip, cost: MappingCost, times: int) -> CostRow:
    from sevenfold.hardware.roofline import CostRow

    return CostRow(
        name=op.name,
        path=op.path,
        kind=op.kind,
        phase=op.phase,
        dtype=f"int{chip.word_bits}",
        count=times,
        flops=2.0 * cost.macs * times,
        bytes=cost.levels[0].accesses * chip.word_bits / 8 * times,
        seconds=cost.seconds * times,
        joules=cost.energy * times if chip.energy_unit == "J" else None,
        bound_by=cost.bound_by,
    )


def _host_row(op: Operator, chip: SpatialChip) -> CostRow:
    """An operator that the array does not run: its operands go through DRAM, its arithmetic is the host's."""
    from sevenfold.hardware.roofline import CostRow
    from sevenfold.hardware.spatial.architecture import Memory

    dram = chip.levels[0]
    assert isinstance(dram, Memory)
    scale = chip.word_bits / (8 * _width(op.dtype))
    read, written = op.bytes_read * scale, op.bytes_written * scale
    words = (read + written) * 8 / chip.word_bits
    rate = dram.words_per_cycle or dram.read_words_per_cycle
    seconds = words / (rate * chip.clock_hz) if rate else 0.0
    energy = (read * dram.read_energy + written * dram.write_energy) * 8 / chip.word_bits + chip.static_w * seconds
    return CostRow(
        name=op.name,
        path=op.path,
        kind=op.kind,
        phase=op.phase,
        dtype=f"int{chip.word_bits}",
        count=op.count,
        flops=0.0,
        bytes=(read + written) * op.count,
        seconds=seconds * op.count,
        joules=energy * op.count if chip.energy_unit == "J" else None,
        bound_by="host (DRAM)",
    )


def _width(dtype: str) -> int:
    from sevenfold.hardware.chip import DTYPE_BYTES, DTYPE_NAMES

    return DTYPE_BYTES.get(DTYPE_NAMES.get(dtype, dtype), 4)


def _method(chip: SpatialChip) -> str:
    if chip.energy_unit != "J":
        return "unknown: the chip's energies are in energies of one multiply-accumulate"
    static = f", {chip.static_w * 1e3:g} mW static" if chip.static_w else ""
    return f"modelled: accesses of every level at the chip's energies ({chip.energy_source}){static}"


def _notes(
    chip: SpatialChip, host: Sequence[Operator], unrolled: tuple[str, ...], others: tuple[str, ...]
) -> tuple[str, ...]:
    notes = [f"{chip.name}: {note}" for note in chip.notes]
    kinds = sorted({op.kind for op in host})
    if kinds:
        notes.append(
            f"{chip.name} does not run {', '.join(kinds)}: costed as a host's traffic with DRAM, no arithmetic"
        )
    if unrolled:
        notes.append(
            f"{chip.name} cannot lay out {len(unrolled)} convolutions; they are matrix products with unrolled taps"
        )
    return (*notes, *others)
