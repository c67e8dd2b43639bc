"""Joules per operation and per access from the literature, by manufacturing process; only what a source states.

Energies of arithmetic units alone: a processor spends many times more on moving operands, control and leakage, so a
sum of these is a lower bound on what silicon of that process can do.

>>> round(TABLES["45nm"].per_flop("float32").value * 1e12, 3)  # (0.9 + 3.7) / 2
2.3
"""

from __future__ import annotations

from dataclasses import dataclass

from sevenfold.errors import UsageError
from sevenfold.hardware.figure import Figure, derived, stated

_HOROWITZ = "Horowitz, ISSCC 2014, 'Computing's energy problem', 45 nm 0.9 V"
_JOUPPI = "Jouppi et al., ISCA 2021, 'Ten lessons from three generations shaped Google's TPUv4i', Table 2, 7 nm"
_ACCELFORGE = "Accelergy-Project/accelforge, examples/arches/tpu_v4i.yaml"
_ESIM = " (read in stillwater-sc/esim, energysim/database/energy.py)"
PJ = 1e-12


@dataclass(frozen=True)
class EnergyTable:
    """Energies of one process: additions and multiplications by dtype, memory accesses per byte."""

    name: str
    add_j: dict[str, Figure]
    multiply_j: dict[str, Figure]
    memory_j_per_byte: dict[str, Figure]

    def per_flop(self, dtype: str) -> Figure:
        """Half a multiply-accumulate: (multiplication + addition) / 2; raises UsageError for an unknown dtype."""
        if dtype not in self.add_j or dtype not in self.multiply_j:
            known = ", ".join(sorted(set(self.add_j) & set(self.multiply_j)))
            raise UsageError(f"no energy of {dtype} is known at {self.name}", got=dtype, expected=f"one of {known}")
        add, multiply = self.add_j[dtype], self.multiply_j[dtype]
        return derived((add.value + multiply.value) / 2, f"(multiplication + addition) / 2: {multiply.source}")


TABLES: dict[str, EnergyTable] = {
    "45nm": EnergyTable(
        name="45nm",
        add_j={
            "int8": stated(0.03 * PJ, _HOROWITZ + _ESIM),
            "int32": stated(0.1 * PJ, _HOROWITZ + _ESIM),
            "float16": stated(0.4 * PJ, _HOROWITZ + _ESIM),
            "float32": stated(0.9 * PJ, _HOROWITZ + _ESIM),
        },
        multiply_j={
            "int8": stated(0.2 * PJ, _HOROWITZ + _ESIM),
            "int32": stated(3.1 * PJ, _HOROWITZ + _ESIM),
            "float16": stated(1.1 * PJ, _HOROWITZ + _ESIM),
            "float32": stated(3.7 * PJ, _HOROWITZ + _ESIM),
        },
        memory_j_per_byte={
            "SRAM 8 KB": derived(10 * PJ / 8, f"10 pJ per 64 bits: {_HOROWITZ}"),
            "DRAM": derived(640 * PJ / 4, f"640 pJ per 32 bits: {_HOROWITZ}"),
        },
    ),
    "7nm": EnergyTable(
        name="7nm",
        add_j={
            "int8": stated(0.007 * PJ, _JOUPPI),
            "int32": stated(0.030 * PJ, _JOUPPI),
            "float32": stated(0.38 * PJ, _JOUPPI),
        },
        multiply_j={
            "int8": stated(0.07 * PJ, _JOUPPI),
            "float32": stated(1.31 * PJ, _JOUPPI),
        },
        memory_j_per_byte={
            "SRAM 8 KB": derived(7.5 * PJ / 8, f"7.5 pJ per 64 bits: {_JOUPPI}"),
            "SRAM 1 MB": derived(14 * PJ / 8, f"14 pJ per 64 bits: {_JOUPPI}"),
            "DDR3/4": derived(1300 * PJ / 8, f"1300 pJ per 64 bits: {_JOUPPI}"),
            "HBM2": derived(7.03 * PJ * 8, f"7.03 pJ per bit: {_ACCELFORGE}"),
        },
    ),
}
