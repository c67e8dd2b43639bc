"""The fitted constants out of sample: every layer of AlexNet predicted with constants fitted on the other four.

>>> errors = held_out()
>>> sorted(errors), len(errors["power_mw"])
(['dram_mb', 'power_mw', 'processing_ms'], 5)
"""

from __future__ import annotations

from dataclasses import replace

from sevenfold.hardware.eyeriss.constants import FITTED, Technology, fitted_power
from sevenfold.hardware.eyeriss.published import TABLE_V, alexnet

COLUMNS = ("dram_mb", "processing_ms", "power_mw")
PASS_CYCLES = tuple(100.0 * n for n in range(31))
POOLED_VALUES = tuple(1.0 + 0.5 * n for n in range(17))  # of the nine of a window


def held_out() -> dict[str, dict[str, float]]:
    """Relative errors by column and layer."""
    from sevenfold.hardware.eyeriss.validation import alexnet_row

    found: dict[str, dict[str, float]] = {column: {} for column in COLUMNS}
    for number, measured in enumerate(TABLE_V):
        row = alexnet_row(number, fitted([n for n in range(len(TABLE_V)) if n != number]))
        for column in COLUMNS:
            found[column][measured.layer] = row.error[column] or 0.0
    return found


def fitted(numbers: list[int]) -> Technology:
    """The constants of some layers: the least mean error of time and DRAM on a grid, least squares for power."""
    from sevenfold.hardware.eyeriss.validation import alexnet_row

    def mean_error(technology: Technology, column: str) -> float:
        return sum(abs(alexnet_row(n, technology).error[column] or 0.0) for n in numbers) / len(numbers)

    found = min((replace(FITTED, pass_cycles=c) for c in PASS_CYCLES), key=lambda t: mean_error(t, "processing_ms"))
    found = min((replace(found, pooled_values=v) for v in POOLED_VALUES), key=lambda t: mean_error(t, "dram_mb"))
    layers = alexnet()
    seconds = [alexnet_row(n, found).predicted["processing_ms"] / 1e3 for n in numbers]
    rates = [layers[n].macs * (1 - TABLE_V[n].zeros) / s for n, s in zip(numbers, seconds, strict=True)]
    mac_j, running_w = fitted_power(rates, [TABLE_V[n].power_mw / 1e3 for n in numbers])
    return replace(found, mac_j=mac_j, running_w=running_w)
