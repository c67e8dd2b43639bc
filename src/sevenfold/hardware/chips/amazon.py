"""Amazon's Trainium and Inferentia."""

from __future__ import annotations

from sevenfold.hardware.catalogue import CHIPS
from sevenfold.hardware.chip import Chip, MemoryLevel
from sevenfold.hardware.chips._energy import from_design_power
from sevenfold.hardware.chips._sources import MLE_POWER
from sevenfold.hardware.figure import stated

_NEURON = "awsdocs-neuron.readthedocs-hosted.com, about-neuron/arch/neuron-hardware"
_TRN2 = f"{_NEURON}/trainium2 (dense; 2,563 TFLOP/s there are sparse)"
_INF2 = f"{_NEURON}/inferentia2"

_trainium2_peaks = {
    "float32": stated(181e12, _TRN2),
    "tf32": stated(667e12, _TRN2),
    "bfloat16": stated(667e12, _TRN2),
    "float16": stated(667e12, _TRN2),
    "fp8": stated(1299e12, _TRN2),
}
_trainium2_tdp = stated(500, MLE_POWER)
_trainium2_bandwidth = stated(2.9e12, _TRN2)
CHIPS.add(
    "trainium2",
    Chip(
        name="trainium2",
        title="AWS Trainium2",
        maker="Amazon",
        kind="accelerator",
        peak_flops_per_s=_trainium2_peaks,
        memory=[
            MemoryLevel(
                name="HBM3",
                capacity_bytes=stated(96 * 2**30, _TRN2),
                bandwidth_bytes_per_s=_trainium2_bandwidth,
            ),
        ],
        tdp_w=_trainium2_tdp,
        energy=from_design_power(_trainium2_tdp, _trainium2_peaks, _trainium2_bandwidth),
    ),
)
CHIPS.add(
    "inferentia2",
    Chip(
        name="inferentia2",
        title="AWS Inferentia2",
        maker="Amazon",
        kind="accelerator",
        peak_flops_per_s={
            "bfloat16": stated(190e12, _INF2),
            "float16": stated(190e12, _INF2),
            "fp8": stated(190e12, f"{_INF2} (cFP8)"),
            "int8": stated(380e12, _INF2),
        },
        memory=[
            MemoryLevel(
                name="HBM", capacity_bytes=stated(32 * 2**30, _INF2), bandwidth_bytes_per_s=stated(820e9, _INF2)
            ),
        ],
    ),
)
