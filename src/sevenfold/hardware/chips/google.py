"""Google's TPUs. No power is published for the recent ones: their energy is unknown here."""

from __future__ import annotations

from sevenfold.hardware.catalogue import CHIPS
from sevenfold.hardware.chip import Chip, MemoryLevel
from sevenfold.hardware.chips._energy import from_design_power
from sevenfold.hardware.chips._sources import MLE_MEMORY, MLE_PEAK, TPU_V5E, TPU_V5P, TPU_V6E
from sevenfold.hardware.figure import derived, stated

_V4I = "Jouppi et al., ISCA 2021 (TPUv4i)"
_V4I_YAML = "Accelergy-Project/accelforge, examples/arches/tpu_v4i.yaml"

_v4i_peaks = {"bfloat16": stated(138e12, _V4I)}
_v4i_power = stated(175, _V4I)
_v4i_bandwidth = stated(614e9, _V4I_YAML)
CHIPS.add(
    "tpu-v4i",
    Chip(
        name="tpu-v4i",
        title="Google TPU v4i",
        maker="Google",
        kind="tpu",
        peak_flops_per_s=_v4i_peaks,
        memory=[
            MemoryLevel(name="HBM2", capacity_bytes=stated(8e9, _V4I), bandwidth_bytes_per_s=_v4i_bandwidth),
            MemoryLevel(
                name="CMEM",
                capacity_bytes=stated(128 * 2**20, _V4I_YAML),
                bandwidth_bytes_per_s=stated(2048e9, _V4I_YAML),
                write_bandwidth_bytes_per_s=stated(1024e9, _V4I_YAML),
            ),
        ],
        tdp_w=_v4i_power,
        energy=from_design_power(_v4i_power, _v4i_peaks, _v4i_bandwidth),
        node="7 nm (Jouppi et al., ISCA 2021)",
    ),
)
CHIPS.add(
    "tpu-v4",
    Chip(
        name="tpu-v4",
        title="Google TPU v4",
        maker="Google",
        kind="tpu",
        peak_flops_per_s={"bfloat16": stated(275e12, MLE_PEAK), "int8": stated(275e12, MLE_PEAK)},
        memory=[
            MemoryLevel(
                name="HBM2",
                capacity_bytes=stated(32e9, MLE_MEMORY),
                bandwidth_bytes_per_s=stated(1.2e12, MLE_MEMORY),
            ),
        ],
        notes=[
            "PaLM metered 378.5 W per chip, host and network included (PUE 1.08 left out)",
        ],
    ),
)
CHIPS.add(
    "tpu-v5e",
    Chip(
        name="tpu-v5e",
        title="Google TPU v5e",
        maker="Google",
        kind="tpu",
        peak_flops_per_s={"bfloat16": stated(197e12, TPU_V5E), "int8": stated(393e12, TPU_V5E)},
        memory=[
            MemoryLevel(
                name="HBM2", capacity_bytes=stated(16e9, TPU_V5E), bandwidth_bytes_per_s=stated(819e9, TPU_V5E)
            ),
        ],
        link_bytes_per_s=derived(400e9, f"1600 Gb/s each way, both ways together: {TPU_V5E}"),
    ),
)
CHIPS.add(
    "tpu-v5p",
    Chip(
        name="tpu-v5p",
        title="Google TPU v5p",
        maker="Google",
        kind="tpu",
        peak_flops_per_s={"bfloat16": stated(459e12, TPU_V5P), "int8": stated(918e12, MLE_PEAK)},
        memory=[
            MemoryLevel(
                name="HBM2e", capacity_bytes=stated(95e9, TPU_V5P), bandwidth_bytes_per_s=stated(2.765e12, TPU_V5P)
            ),
        ],
    ),
)
CHIPS.add(
    "tpu-v6e",
    Chip(
        name="tpu-v6e",
        title="Google TPU v6e (Trillium)",
        maker="Google",
        kind="tpu",
        peak_flops_per_s={"bfloat16": stated(918e12, TPU_V6E), "int8": stated(1836e12, TPU_V6E)},
        memory=[
            MemoryLevel(
                name="HBM", capacity_bytes=stated(32e9, TPU_V6E), bandwidth_bytes_per_s=stated(1.638e12, TPU_V6E)
            ),
        ],
        link_bytes_per_s=stated(800e9, f"{TPU_V6E}: bidirectional inter-chip interconnect"),
    ),
)
