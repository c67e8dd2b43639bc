"""What a mapping costs: accesses of every memory, cycles bound by the array and by every port, energy by level.

>>> from sevenfold.hardware.spatial.mapping import Mapping
>>> from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
>>> from sevenfold.hardware.spatial.layer import Layer
>>> chip = SpatialChip(name="tiny", clock_hz=1e6, mac_energy=1.0, energy_unit="MAC", levels=[
...     Memory(name="DRAM", role="dram", read_energy=200.0, write_energy=200.0, words_per_cycle=1.0),
...     Array(name="array", rows=2, columns=1), Memory(name="RF", role="register", capacity_words=8)])
>>> mapping = Mapping.from_dict({"DRAM": ["M:2", "C:1"], "array": {"rows": ["M:1"]}})
>>> cost = evaluate(mapping.on(Layer("fc", M=4, C=3), chip))
>>> cost.level("DRAM").reads, cost.level("DRAM").writes, cost.cycles, cost.bound_by
({'W': 12, 'I': 6, 'O': 0}, {'W': 0, 'I': 0, 'O': 4}, 22.0, 'DRAM')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sevenfold.hardware.spatial.accesses import MULTIPLIER, Traffic, traffic
from sevenfold.hardware.spatial.architecture import Array, Memory
from sevenfold.hardware.spatial.layer import OPERANDS
from sevenfold.hardware.spatial.mapping import Nest


@dataclass(frozen=True)
class LevelCost:
    """One memory: words read and written by operand in all its instances, energy, and how long its port works."""

    level: str
    reads: dict[str, int]
    writes: dict[str, int]
    energy: float
    port_cycles: float  # of the first instance; 0 where no bandwidth is stated
    fill_cycles: float  # that wait for no computing, where the level is single-buffered
    words_held: dict[str, int]

    @property
    def accesses(self) -> int:
        """Reads and writes of all operands."""
        return sum(self.reads.values()) + sum(self.writes.values())


@dataclass(frozen=True)
class ArrayCost:
    """One array: words delivered to elements, partial sums handed to a neighbour, energy."""

    level: str
    transfers: dict[str, int]
    energy: float


@dataclass(frozen=True)
class MappingCost:
    """A mapping's cost in the chip's energy unit, cycles and seconds."""

    layer: str
    chip: str
    macs: int
    energy: float
    energy_by_level: dict[str, float]  # with "MAC" and "static"
    cycles: float
    array_cycles: int
    bound_by: str  # "array", or the memory whose port binds
    seconds: float
    utilization: float  # MACs over cycles x elements
    active_pes: int
    mean_active_pes: float
    levels: tuple[LevelCost, ...]
    arrays: tuple[ArrayCost, ...]

    def level(self, name: str) -> LevelCost:
        """The cost of one memory."""
        return next(level for level in self.levels if level.level == name)

    def array(self, name: str) -> ArrayCost:
        """The cost of one array."""
        return next(array for array in self.arrays if array.level == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-like data."""
        data = dict(self.__dict__)
        data["levels"] = [dict(level.__dict__) for level in self.levels]
        data["arrays"] = [dict(array.__dict__) for array in self.arrays]
        return data


def evaluate(nest: Nest) -> MappingCost:
    """The exact cost of a nest, whatever its values are; ``activations`` knows what zeros save."""
    chip, layer = nest.chip, nest.layer
    borders = traffic(nest)
    levels = tuple(
        _level_cost(nest, node, level, borders)
        for node, level in enumerate(chip.levels)
        if isinstance(level, Memory)
    )
    arrays = tuple(
        _array_cost(nest, node, level, borders)
        for node, level in enumerate(chip.levels)
        if isinstance(level, Array)
    )
    array_cycles = nest.num_steps + chip.pipeline_stages - 1
    bounds = {"array": float(array_cycles), **{level.level: level.port_cycles for level in levels}}
    bound_by = max(bounds, key=bounds.__getitem__)
    cycles = bounds[bound_by] + sum(level.fill_cycles for level in levels)
    seconds = cycles / chip.clock_hz
    by_level = {level.level: level.energy for level in levels}
    by_level |= {array.level: array.energy for array in arrays}
    by_level["MAC"] = layer.macs * chip.mac_energy
    if chip.static_w:
        by_level["static"] = chip.static_w * seconds
    return MappingCost(
        layer=layer.name,
        chip=chip.name,
        macs=layer.macs,
        energy=sum(by_level.values()),
        energy_by_level=by_level,
        cycles=cycles,
        array_cycles=array_cycles,
        bound_by=bound_by,
        seconds=seconds,
        utilization=layer.macs / (cycles * chip.num_pes),
        active_pes=nest.active_pes,
        mean_active_pes=layer.macs / nest.num_steps,
        levels=levels,
        arrays=arrays,
    )


def _level_cost(nest: Nest, node: int, memory: Memory, borders: tuple[Traffic, ...]) -> LevelCost:
    reads, writes = dict.fromkeys(OPERANDS, 0), dict.fromkeys(OPERANDS, 0)
    first_reads = first_writes = incoming = 0
    for border in borders:
        operand = border.operand
        if border.parent == node:  # what it sends inwards, and the sums that come back
            if operand == "O":
                writes["O"] += border.sent
                reads["O"] += border.returned
                first_writes += border.first_sent
                first_reads += border.first_returned
            else:
                reads[operand] += border.sent
                first_reads += border.first_sent
        if border.child == node:  # what it is filled with, and the sums that leave it
            if operand == "O":
                reads["O"] += border.needed
                writes["O"] += border.returned
                first_reads += border.first_needed
                first_writes += border.first_returned
            else:
                writes[operand] += border.needed
                first_writes += border.first_needed
            incoming += border.first_needed * (2 if operand == "O" else 1)
    fill = 0.0
    if memory.buffering == "single" and node > 0:
        rate = memory.words_per_cycle or memory.write_words_per_cycle
        fill = incoming / rate if rate else 0.0
    return LevelCost(
        level=memory.name,
        reads={str(operand): words for operand, words in reads.items()},
        writes={str(operand): words for operand, words in writes.items()},
        energy=sum(reads.values()) * memory.read_energy + sum(writes.values()) * memory.write_energy,
        port_cycles=port_cycles(memory, first_reads, first_writes),
        fill_cycles=fill,
        words_held={str(operand): words for operand, words in nest.words_held(node).items()},
    )


def port_cycles(memory: Memory, reads: float, writes: float) -> float:
    """Cycles in which a memory's port, or ports, move so many words."""
    if memory.words_per_cycle is not None:
        return (reads + writes) / memory.words_per_cycle
    read_cycles = reads / memory.read_words_per_cycle if memory.read_words_per_cycle else 0.0
    write_cycles = writes / memory.write_words_per_cycle if memory.write_words_per_cycle else 0.0
    return max(read_cycles, write_cycles)


def _array_cost(nest: Nest, node: int, array: Array, borders: tuple[Traffic, ...]) -> ArrayCost:
    transfers = dict.fromkeys((str(operand) for operand in OPERANDS), 0)
    for border in borders:
        # A border may cross several arrays; the innermost of them is charged.
        crossed = [
            n
            for n, level in enumerate(nest.chip.levels)
            if isinstance(level, Array) and border.parent < n < min(border.child, MULTIPLIER)
        ]
        if crossed and crossed[-1] == node:
            words = border.needed - border.sent if border.operand == "O" else border.needed
            transfers[border.operand] += words
    return ArrayCost(array.name, transfers, sum(transfers.values()) * array.transfer_energy)
