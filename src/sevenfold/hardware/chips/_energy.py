"""Energy of a chip that publishes its thermal design power: modelled, and said so."""

from __future__ import annotations

from collections.abc import Mapping

from sevenfold.hardware.chip import Energy
from sevenfold.hardware.energy_tables import TABLES
from sevenfold.hardware.figure import Figure, modelled


def from_design_power(tdp: Figure, peaks: Mapping[str, Figure], bandwidth: Figure, memory: str = "HBM2") -> Energy:
    """Joules such that all arithmetic and all memory traffic at once draw exactly the thermal design power.

    The memory's share is its bandwidth at the cited energy per byte; what remains is spread over the operations at
    the dtype's peak, static power included. At partial use the true energy is higher, because static power flows
    whether or not there is work.
    """
    j_per_byte = TABLES["7nm"].memory_j_per_byte[memory]
    memory_w = bandwidth.value * j_per_byte.value
    arithmetic_w = tdp.value - memory_w
    assert arithmetic_w > 0, "the memory alone would exceed the design power"
    method = (
        f"modelled: {tdp.value:g} W of design power drawn with arithmetic and memory both at their peaks; memory "
        f"{j_per_byte.value * 1e12 / 8:.2f} pJ/bit ({j_per_byte.source.split(': ')[-1]}), the rest per operation; "
        "too low for partly used chips"
    )
    return Energy(
        j_per_op={
            dtype: modelled(arithmetic_w / peak.value, f"({tdp.value:g} W - {memory_w:.0f} W of memory) / peak")
            for dtype, peak in peaks.items()
        },
        j_per_byte=modelled(j_per_byte.value, j_per_byte.source),
        busy_w=modelled(tdp.value, f"thermal design power: {tdp.source}"),
        method=method,
    )
