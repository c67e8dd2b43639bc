"""AMD's data-center GPUs."""

from __future__ import annotations

from sevenfold.hardware.catalogue import CHIPS
from sevenfold.hardware.chip import Chip, MemoryLevel
from sevenfold.hardware.chips._energy import from_design_power
from sevenfold.hardware.chips._sources import MLE_BEST, MLE_CACHE, MLE_MEMORY, MLE_PEAK, MLE_POWER
from sevenfold.hardware.figure import derived, measured, stated

_CLOCK = "2100 MHz x 1216 matrix units x 256 multiply-accumulates x 2: " + MLE_PEAK

_mi300x_peaks = {
    "float32": stated(163.4e12, MLE_PEAK),
    "tf32": stated(653.7e12, MLE_PEAK),
    "bfloat16": stated(1307e12, _CLOCK),
    "float16": stated(1307e12, _CLOCK),
    "fp8": stated(2600e12, MLE_PEAK),
    "int8": stated(2600e12, MLE_PEAK),
}
_mi300x_power = stated(750, f"{MLE_POWER} (total board power)")
_mi300x_bandwidth = stated(5.3e12, MLE_MEMORY)
CHIPS.add(
    "mi300x",
    Chip(
        name="mi300x",
        title="AMD Instinct MI300X",
        maker="AMD",
        kind="gpu",
        peak_flops_per_s=_mi300x_peaks,
        achievable_flops_per_s={"bfloat16": measured(668.4e12, MLE_BEST)},
        vector_ops_per_s=derived(163.4e12 / 2, "half of the fp32 peak"),
        memory=[
            MemoryLevel(
                name="HBM3", capacity_bytes=stated(192e9, MLE_MEMORY), bandwidth_bytes_per_s=_mi300x_bandwidth
            ),
            MemoryLevel(name="L3", capacity_bytes=stated(256e6, MLE_CACHE)),
            MemoryLevel(name="L2", capacity_bytes=stated(32e6, MLE_CACHE)),
        ],
        tdp_w=_mi300x_power,
        energy=from_design_power(_mi300x_power, _mi300x_peaks, _mi300x_bandwidth),
    ),
)
