"""The action behind ``sevenfold sweep``: a model on variants of a spatial chip, and those that no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from sevenfold.hardware.spatial.architecture import SpatialChip
    from sevenfold.hardware.spatial.mapper.sweep import Design
    from sevenfold.ops.graph import Phase

SCHEMA_VERSION = "1.0"
GOALS = ("energy", "latency", "edp")
BACKENDS = ("processes", "ray")


@dataclass(frozen=True)
class SweptDesign:
    """One variant; ``unfit`` says why where the layers do not run on it, and its costs are None."""

    name: str
    rows: int
    columns: int
    buffer_bytes: float
    area_bytes: float  # of buffer, registers counted at what room they take
    energy: float | None
    seconds: float | None
    macs_per_s: float | None
    pareto: bool
    unfit: str | None


@dataclass(frozen=True)
class SweepResult:
    """Every design in the order of the shapes and buffers given."""

    model: str
    inputs: tuple[str, ...]
    chip: str
    goal: str
    energy_unit: str  # "J", or "MAC" where energies are relative
    designs: tuple[SweptDesign, ...]
    notes: tuple[str, ...]
    picture: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def sweep(
    model: str | nn.Module,
    inputs: tuple[Any, ...] | None = None,
    *,
    chip: str = "eyeriss",
    shapes: Sequence[tuple[int, int]] | None = None,
    buffers: Sequence[float] | None = None,
    area: float | None = None,
    goal: str = "energy",
    workers: int = 1,
    backend: str = "processes",
    batch: int = 1,
    seq: int | None = None,
    image: int | None = None,
    train: bool = False,
    settings: Mapping[str, Any] | None = None,
    picture: str | Path | None = None,
) -> SweepResult:
    """A model's layers on variants of a spatial chip: array shapes and buffer sizes, within an area.

    >>> found = sweep("lecun1989", shapes=[(6, 7), (12, 14)], buffers=[55296, 110592])
    >>> len(found.designs), any(design.pareto for design in found.designs)
    (4, True)

    ``buffers`` and ``area`` are bytes (a byte of registers takes the room of 1.6 of the buffer); without ``shapes``
    and ``buffers`` half, once and twice the chip's own. Every layer gets its best mapping by ``goal`` (energy,
    latency, edp) on every variant, in ``workers`` processes, or on Ray (an extra). Operators that the array does
    not run are left out. ``picture`` is a file for energy against time. Raises UsageError for a chip that is not
    known memory by memory, sizes that make no chip, no design within the area.
    """
    from sevenfold.actions._spatial import find_spatial
    from sevenfold.actions._subject import subject_of
    from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
    from sevenfold.hardware.spatial.mapper.sweep import designs, draw_pareto
    from sevenfold.hardware.spatial.mapper.sweep import sweep as sweep_designs
    from sevenfold.hardware.spatial.workload import workload_of

    for name, value, known in (("goal", goal, GOALS), ("backend", backend, BACKENDS)):
        if value not in known:
            raise unknown_name(name, value, known)
    if workers < 1:
        raise UsageError("a sweep needs a worker", got=workers, expected="1 or more")
    base = find_spatial(chip)
    if base is None:
        raise unknown_name("spatial chip", chip, SPATIAL_CHIPS.names())
    options = {"batch": batch, "seq": seq, "image": image, "causal": False, "settings": settings}
    graph = subject_of(model, inputs, options, train, "adamw").graph("float32")
    phases: tuple[Phase, ...] = ("forward", "backward") if train else ("forward",)
    work = workload_of(graph, phases)
    layers = [part.layer for part in work.works for _ in range(part.times)]
    if not layers:
        raise UsageError(f"{graph.name} has no layer for an array", expected="convolutions or matrix products")
    word = base.word_bits / 8
    variants = designs(
        base,
        shapes=shapes or _own_shapes(base),
        buffer_words=[int(size / word) for size in buffers] if buffers else _own_buffers(base),
        budget_words=None if area is None else area / word,
    )
    found = sweep_designs(layers, variants, goal, workers=workers, backend=backend)  # type: ignore[arg-type]
    kinds = sorted({op.kind for op in work.host})
    notes = [f"without {', '.join(kinds)}: the array does not run them"] if kinds else []
    notes += [f"{design.chip.name}: {design.unfit}" for design in found if design.unfit is not None]
    drawn = (
        None if picture is None else draw_pareto(found, f"{graph.name} on variants of {base.name}", Path(picture))
    )
    macs = sum(layer.macs for layer in layers)
    return SweepResult(
        model=graph.name,
        inputs=graph.inputs,
        chip=base.name,
        goal=goal,
        energy_unit=base.energy_unit,
        designs=tuple(_row(design, macs) for design in found),
        notes=(*notes, *work.notes),
        picture=None if drawn is None else str(drawn),
    )


def _row(design: Design, macs: int) -> SweptDesign:
    chip, fits = design.chip, design.unfit is None
    buffer = next(memory for memory in reversed(chip.memories) if memory.role == "buffer")
    word = chip.word_bits / 8
    return SweptDesign(
        name=chip.name,
        rows=chip.arrays[-1].rows,
        columns=chip.arrays[-1].columns,
        buffer_bytes=(buffer.capacity_words or 0) * word,
        area_bytes=design.area_words * word,
        energy=design.energy if fits else None,
        seconds=design.seconds if fits else None,
        macs_per_s=macs / design.seconds if fits else None,
        pareto=design.pareto,
        unfit=design.unfit,
    )


def _own_shapes(chip: SpatialChip) -> list[tuple[int, int]]:
    if not chip.arrays:
        return []
    rows, columns = chip.arrays[-1].rows, chip.arrays[-1].columns
    return [(max(1, int(rows * k)), max(1, int(columns * k))) for k in (0.5, 1, 2)]


def _own_buffers(chip: SpatialChip) -> list[int]:
    sizes = [memory.capacity_words for memory in chip.memories if memory.role == "buffer" and memory.capacity_words]
    return [max(1, int(sizes[-1] * k)) for k in (0.5, 1, 2)] if sizes else [1]
