"""What the values of feature maps change in a mapping's cost: fewer words to DRAM, and work that zeros spare.

A mapping's counts do not depend on values. On a chip that codes feature maps, inputs and finished outputs cross to
DRAM in the coded size where it is smaller (weights and unfinished sums do not); on a chip that gates, a
multiply-accumulate whose input is zero spares its energy and the reads of memories that are ``gated_at_zero``. It
takes its cycle all the same: gating saves energy, coding also saves the time of a port that binds.

>>> from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
>>> from sevenfold.hardware.spatial.layer import Layer
>>> from sevenfold.hardware.spatial.mapper import find_mapping
>>> layer, chip = Layer("conv", M=16, C=16, P=8, Q=8, R=3, S=3), SPATIAL_CHIPS["eyeriss"]
>>> plain = find_mapping(layer, chip).cost
>>> half = with_activations(plain, layer, chip, Activations(0.5, 0.5, coded_inputs=0.7, coded_outputs=1.33))
>>> half.energy_by_level["MAC"] / plain.energy_by_level["MAC"], half.level("DRAM").reads["W"] == layer.words("W")
(0.5, True)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.architecture import Memory, SpatialChip
from sevenfold.hardware.spatial.cost import LevelCost, MappingCost, port_cycles
from sevenfold.hardware.spatial.layer import Layer


@dataclass(frozen=True)
class Activations:
    """What was measured of a layer's feature maps; shares of 1, coded sizes over plain ones."""

    zeros: float  # of the inputs, padding left out
    gated: float  # of the multiply-accumulates: those whose input is zero, padding included
    coded_inputs: float
    coded_outputs: float

    def __post_init__(self) -> None:
        for name in ("zeros", "gated"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"{name} is a share", got=getattr(self, name), expected="0 to 1")
        for name in ("coded_inputs", "coded_outputs"):
            if not getattr(self, name) >= 0.0:
                raise UsageError(f"{name} is a ratio of sizes", got=getattr(self, name), expected="at least 0")


def heeds_values(chip: SpatialChip) -> bool:
    """Whether values change what a layer costs on the chip."""
    gates = chip.gated_mac_share > 0 or any(memory.gated_at_zero for memory in chip.memories)
    return gates or chip.run_length_coding


def with_activations(cost: MappingCost, layer: Layer, chip: SpatialChip, found: Activations) -> MappingCost:
    """The cost of a mapping with its feature maps coded and its zeros gated, as far as the chip does either."""
    energies = dict(cost.energy_by_level)
    energies["MAC"] *= 1.0 - chip.gated_mac_share * found.gated
    levels = []
    for level, memory in zip(cost.levels, chip.memories, strict=True):
        spared = 0.0
        if memory.gated_at_zero:
            spared = _multiplier_reads(layer, level, memory, chip) * found.gated * memory.read_energy
        if memory is chip.memories[0] and chip.run_length_coding:
            level = _coded(level, layer, memory, found)
        levels.append(replace(level, energy=level.energy - spared))
        energies[level.level] = levels[-1].energy
    bounds = {"array": float(cost.array_cycles), **{level.level: level.port_cycles for level in levels}}
    bound_by = max(bounds, key=bounds.__getitem__)
    cycles = bounds[bound_by] + sum(level.fill_cycles for level in levels)
    seconds = cycles / chip.clock_hz
    if chip.static_w:
        energies["static"] = chip.static_w * seconds
    return replace(
        cost,
        energy=sum(energies.values()),
        energy_by_level=energies,
        cycles=cycles,
        bound_by=bound_by,
        seconds=seconds,
        utilization=cost.macs / (cycles * chip.num_pes),
        levels=tuple(levels),
    )


def _multiplier_reads(layer: Layer, level: LevelCost, memory: Memory, chip: SpatialChip) -> int:
    """Words that the memory reads for multiplications: one each, of every operand whose innermost memory it is."""
    innermost = [op for op in ("W", "I") if op in memory.holds and chip.levels[chip.chain(op)[-1]] is memory]
    return sum(min(layer.macs, level.reads[op]) for op in innermost)


def _coded(level: LevelCost, layer: Layer, dram: Memory, found: Activations) -> LevelCost:
    """DRAM with coded inputs and finished outputs; partial sums that come and go stay plain."""
    finished = layer.words("O")
    partial = level.writes["O"] - finished
    reads = {**level.reads, "I": ceil(level.reads["I"] * min(1.0, found.coded_inputs))}
    writes = {**level.writes, "O": partial + ceil(finished * min(1.0, found.coded_outputs))}
    read, written = sum(reads.values()), sum(writes.values())
    return replace(
        level,
        reads=reads,
        writes=writes,
        energy=read * dram.read_energy + written * dram.write_energy,
        port_cycles=port_cycles(dram, read, written),
    )
