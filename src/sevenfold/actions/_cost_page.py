"""From costs to the page that shows them: lines of layers, films of the array, facts of chips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sevenfold.actions._spatial import MappedLayer, MappedModel
    from sevenfold.actions.cost import ChipCost, CostResult
    from sevenfold.diagnosis.cost_report import ChipPage, CostPage, Film, LayerLine
    from sevenfold.hardware import Chip
    from sevenfold.hardware.roofline import Cost, CostRow
    from sevenfold.hardware.spatial.mapping import Nest

FILMS, FRAMES = 12, 16


@dataclass(frozen=True)
class Priced:
    """A cost with what it is of: a mapped model on a spatial chip, or a chip of the catalogue."""

    row: ChipCost
    cost: Cost
    chip: Chip | None
    mapped: MappedModel | None


def cost_page(result: CostResult, priced: Sequence[Priced]) -> CostPage:
    """Everything that the page shows."""
    from sevenfold.actions.cost import COLUMNS, shown_row
    from sevenfold.diagnosis.cost_report import CostPage
    from sevenfold.units import BYTES, COUNT, show

    own = result.metrics
    metrics = [
        ("accuracy", "unknown" if own.accuracy is None else f"{own.accuracy:.2%}"),
        ("layers with weights", str(own.layers)),
        ("weights", f"{show(own.weights, COUNT)} ({show(own.weight_bytes, BYTES)})"),
        (f"MACs per {own.item}", show(own.macs_per_item, COUNT)),
    ]
    what = "a training step" if "backward" in result.phases else "a forward pass"
    return CostPage(
        model=result.model,
        what=f"Latency, energy, what binds, of {what} on {', '.join(result.inputs)}; accuracy: {own.accuracy_of}.",
        metrics=tuple(metrics),
        columns=COLUMNS,
        rows=tuple(shown_row(item.row) for item in priced),
        chips=tuple(_chip_page(number, item) for number, item in enumerate(priced)),
        notes=(
            "Time is a least time (roofline), a modelled one (every layer mapped onto array and memories), "
            "or predicted from benchmarks of this machine; a price is a rented chip-hour.",
        ),
        data=result.to_dict(),
    )


def _chip_page(number: int, item: Priced) -> ChipPage:
    from sevenfold.actions.chips import dram_bytes_per_s
    from sevenfold.diagnosis.cost_report import ChipPage
    from sevenfold.units import JOULES, SECONDS, WATTS, show

    row, mapped = item.row, item.mapped
    facts = [("latency", show(row.latency_s, SECONDS)), ("energy", show(row.energy_j, JOULES))]
    facts += [("power", show(row.power_w, WATTS)), ("utilization", f"{row.utilization:.1%}")]
    facts += [("bound by", f"{row.bound_by} ({row.share_bound:.0%} of the time)")]
    if mapped is not None:
        peak, bandwidth, title = 2 * mapped.chip.peak_macs_per_s, dram_bytes_per_s(mapped.chip), mapped.chip.title
    else:
        assert item.chip is not None
        peak, bandwidth, title = item.chip.peak(row.dtype).value, item.chip.bandwidth.value, item.chip.title
        best = item.chip.achievable_flops_per_s.get(row.dtype)
        facts.append(("achievable of the peak", "unknown" if best is None else f"{best.value / peak:.0%}"))
    method = {"roofline": "at least", "predicted": "predicted", "mapped": "modelled"}[row.method]
    return ChipPage(
        key=f"chip{number}-{re.sub('[^a-z0-9]', '', row.chip.lower())}",
        title=f"{row.chip}: {title}, {row.dtype}, {method}",
        facts=tuple(facts),
        peak_flops_per_s=peak,
        bandwidth_bytes_per_s=bandwidth,
        energy_unit="J" if mapped is None else mapped.chip.energy_unit,
        layers=_lines(item, peak),
        films=() if mapped is None else _films(mapped),
        notes=(f"energy: {row.energy_method}", *row.notes),
    )


def _lines(item: Priced, peak: float) -> tuple[LayerLine, ...]:
    """Mapped layers one by one; other operators of one path and kind together."""
    lines = []
    mapped = item.mapped
    rows = list(item.cost.rows)
    if mapped is not None:
        lines = [_mapped_line(part, row, mapped) for part, row in zip(mapped.layers, rows, strict=False)]
        rows = rows[len(mapped.layers) :]
    groups: dict[tuple[str, str, str], list[CostRow]] = {}
    for row in rows:
        groups.setdefault((row.path or row.name, row.kind, row.phase), []).append(row)
    return (*lines, *(_operator_line(*key, found, peak) for key, found in groups.items()))


def _mapped_line(part: MappedLayer, row: CostRow, mapped: MappedModel) -> LayerLine:
    from sevenfold.diagnosis.cost_report import LayerLine

    layer = part.layer
    bounds = " ".join(f"{dim} {bound}" for dim, bound in layer.bounds.items() if bound > 1)
    nest = "; ".join(f"{level}: {_loops(loops)}" for level, loops in part.mapping.to_dict().items())
    times = f", {part.times} times" if part.times > 1 else ""
    return LayerLine(
        name=layer.name if part.operator.phase == "forward" else f"{layer.name}, {part.operator.phase}",
        what=f"{bounds}{times} | {nest} | {part.verdict}",
        flops=row.flops,
        bytes=row.bytes,
        seconds=row.seconds,
        joules=row.joules,
        utilization=part.cost.utilization,
        bound_by=row.bound_by,
        energy_by_level={level: energy * part.times for level, energy in part.cost.energy_by_level.items()},
        words_by_level={level.level: float(level.accesses * part.times) for level in part.cost.levels},
        gated=None if part.values is None else part.values.gated,
    )


def _loops(loops: object) -> str:
    if isinstance(loops, dict):
        return ", ".join(f"{side} {' '.join(found)}" for side, found in loops.items() if found)
    assert isinstance(loops, list)
    return " ".join(str(loop) for loop in loops)


def _operator_line(path: str, kind: str, phase: str, rows: list[CostRow], peak: float) -> LayerLine:
    from sevenfold.diagnosis.cost_report import LayerLine

    seconds, flops = sum(row.seconds for row in rows), sum(row.flops for row in rows)
    joules = [row.joules for row in rows if row.joules is not None]
    longest = max(rows, key=lambda row: row.seconds)
    return LayerLine(
        name=path,
        what=kind if phase == "forward" else f"{kind}, {phase}",
        flops=flops,
        bytes=sum(row.bytes for row in rows),
        seconds=seconds,
        joules=sum(joules) if len(joules) == len(rows) else None,
        utilization=flops / (peak * seconds) if seconds else 0.0,
        bound_by=longest.bound_by,
        energy_by_level={},
        words_by_level={},
        gated=None,
    )


def _films(mapped: MappedModel) -> tuple[Film, ...]:
    """Of layers that differ, those of most time, in the order of execution."""
    first: dict[tuple[int, ...], MappedLayer] = {}
    for part in mapped.layers:
        first.setdefault(part.layer.shape, part)
    longest = sorted(first.values(), key=lambda part: -part.cost.seconds * part.times)[:FILMS]
    kept = [part for part in first.values() if part in longest]
    # Convolutions show most of a dataflow: they come first.
    kept.sort(key=lambda part: part.layer.R * part.layer.S == 1)
    return tuple(_film(part.mapping.on(part.layer, mapped.chip)) for part in kept)


def _film(nest: Nest) -> Film:
    from sevenfold.diagnosis.cost_report import Film
    from sevenfold.hardware.spatial.array_pictures import (
        SHOWN,
        colour_index,
        coloured_dim,
        frames,
        label_lines,
        legend,
    )

    array, dim = nest.chip.arrays[-1], coloured_dim(nest)
    rows, columns = min(array.rows, SHOWN), min(array.columns, SHOWN)
    total = array.rows * array.columns
    whole = (rows, columns) == (array.rows, array.columns)
    shown = tuple(
        (
            f"{frame.step}: {frame.active:,} of {total:,} elements work",
            tuple(
                (cell.row, cell.column, colour_index(cell, dim) % 8, "\n".join(label_lines(cell, nest)))
                for cell in frame.cells
            ),
        )
        for frame in frames(nest, FRAMES)
    )
    elements = f"All {total:,} elements" if whole else f"The first {rows} x {columns} of {total:,} elements"
    return Film(nest.layer.name, rows, columns, elements, legend(nest), shown)
