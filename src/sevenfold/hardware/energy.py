"""The energy of a step: modelled from how long it takes, and the bound from what it must compute and move.

Both say how they came about. A measured figure (RAPL, NVML) comes from ``training.power`` and is always better.

``modelled_step_energy`` is watts x seconds. ``bound_step_energy`` is every operation and every byte at the chip's
energy figures, as if nothing were ever idle. Their quotient is what better use of the same chip could save.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sevenfold.hardware.chip import Chip, Energy
from sevenfold.hardware.energy_tables import TABLES
from sevenfold.hardware.figure import modelled
from sevenfold.hardware.roofline import roofline
from sevenfold.ops.graph import OperatorGraph, Phase

STEP: tuple[Phase, ...] = ("forward", "backward", "optimizer")

# Thoughtworks' Cloud Carbon Footprint: SPECpower results of cloud servers at full load, divided by their threads.
WATTS_PER_CORE = 3.5
_WATTS_SOURCE = (
    "cloud-carbon-footprint/cloud-carbon-footprint, packages/aws, MAX_WATTS_AVG: mean of SPECpower servers at full "
    "load, per logical core"
)


@dataclass(frozen=True)
class StepEnergy:
    """Joules of a step (None where no energy figure is known) and how they came about."""

    joules: float | None
    method: str


def modelled_step_energy(graph: OperatorGraph, chip: Chip, seconds: float, *, threads: int = 0) -> StepEnergy:
    """The energy of a step that took so many seconds. The graph says what ran; this model needs only how long."""
    return busy_energy(chip, seconds, threads=threads)


def busy_energy(chip: Chip, seconds: float, *, threads: int = 0) -> StepEnergy:
    """Busy watts x seconds; with ``threads`` of a machine's cores busy (0: all), their share of the watts."""
    if chip.energy is None or chip.energy.busy_w is None:
        return StepEnergy(None, f"unknown: no power figure is known for {chip.name}")
    watts = chip.energy.busy_w
    cores = chip.calibration.cores if chip.calibration is not None else 1
    share = min(1.0, threads / cores) if threads else 1.0
    busy = f"{threads} of {cores} cores" if threads and cores > 1 else "all of it busy"
    return StepEnergy(
        watts.value * share * seconds,
        f"modelled: {watts.value * share:.3g} W ({busy}; {watts.source}) x {seconds:.3g} s",
    )


def bound_step_energy(graph: OperatorGraph, chip: Chip, phases: Sequence[Phase] = STEP) -> StepEnergy:
    """Every operation and every byte of the graph at the chip's energy figures: no idle time, no overhead."""
    cost = roofline(graph, chip, phases=phases)
    if cost.joules is None:
        return StepEnergy(None, f"unknown: no energy figures are known for {chip.name} in every dtype of the graph")
    return StepEnergy(cost.joules, f"bound, {cost.joules_method}")


def machine_energy(cores: int, peaks: dict[str, float], bandwidth_bytes_per_s: float) -> Energy:
    """Energy figures of a CPU whose design power is unknown, from the watts of cloud servers a core.

    The memory's share is its bandwidth at the cited energy per byte of DDR; the rest is spread over the operations
    at the measured peak.
    """
    busy_w = WATTS_PER_CORE * cores
    per_byte = TABLES["7nm"].memory_j_per_byte["DDR3/4"]
    memory_w = min(per_byte.value * bandwidth_bytes_per_s, 0.5 * busy_w)
    j_per_op = {
        dtype: modelled((busy_w - memory_w) / peak, f"({busy_w:g} W - {memory_w:.2g} W of memory) / measured peak")
        for dtype, peak in peaks.items()
    }
    return Energy(
        j_per_op=j_per_op,
        j_per_byte=modelled(memory_w / bandwidth_bytes_per_s, per_byte.source),
        busy_w=modelled(busy_w, f"{WATTS_PER_CORE} W x {cores} cores: {_WATTS_SOURCE}"),
        method=f"modelled: {WATTS_PER_CORE} W a core at full load (cloud-carbon-footprint, from SPECpower), memory "
        f"{per_byte.value * 1e12 / 8:.0f} pJ/bit (Jouppi 2021, DDR), the rest per operation at the measured peak",
    )
