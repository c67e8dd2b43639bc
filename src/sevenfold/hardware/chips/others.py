"""Intel, Microsoft and SambaNova."""

from __future__ import annotations

from sevenfold.hardware.catalogue import CHIPS
from sevenfold.hardware.chip import Chip, MemoryLevel
from sevenfold.hardware.chips._energy import from_design_power
from sevenfold.hardware.chips._sources import MLE_BEST_LATER, MLE_CACHE, MLE_MEMORY, MLE_PEAK, MLE_POWER
from sevenfold.hardware.figure import measured, stated

_gaudi3_peaks = {
    "float32": stated(229e12, MLE_PEAK),
    "tf32": stated(459e12, MLE_PEAK),
    "float16": stated(459e12, MLE_PEAK),
    "bfloat16": stated(1677e12, f"{MLE_PEAK}, note 8: at the shipped 1600 MHz; the white paper's 1835 is not"),
    "fp8": stated(1677e12, MLE_PEAK),
}
_gaudi3_tdp = stated(900, MLE_POWER)
_gaudi3_bandwidth = stated(3.7e12, MLE_MEMORY)
CHIPS.add(
    "gaudi3",
    Chip(
        name="gaudi3",
        title="Intel Gaudi 3",
        maker="Intel",
        kind="accelerator",
        peak_flops_per_s=_gaudi3_peaks,
        achievable_flops_per_s={"bfloat16": measured(1243e12, MLE_BEST_LATER)},
        memory=[
            MemoryLevel(
                name="HBM2e", capacity_bytes=stated(128e9, MLE_MEMORY), bandwidth_bytes_per_s=_gaudi3_bandwidth
            ),
            MemoryLevel(
                name="L2",
                capacity_bytes=stated(96e6, MLE_CACHE),
                bandwidth_bytes_per_s=stated(12.8e12, "Intel, Hot Chips 2024 slides (sgpjbg.com/465025)"),
            ),
        ],
        tdp_w=_gaudi3_tdp,
        energy=from_design_power(_gaudi3_tdp, _gaudi3_peaks, _gaudi3_bandwidth),
    ),
)

_MAIA = "Microsoft, Hot Chips 2024, read in en.eeworld.com eic677557"
_maia_peaks = {"bfloat16": stated(800e12, _MAIA)}
_maia_tdp = stated(700, f"{_MAIA}: design power; provisioned at 500 W")
_maia_bandwidth = stated(1.8e12, _MAIA)
CHIPS.add(
    "maia100",
    Chip(
        name="maia100",
        title="Microsoft Maia 100",
        maker="Microsoft",
        kind="accelerator",
        peak_flops_per_s=_maia_peaks,
        memory=[
            MemoryLevel(name="HBM2E", capacity_bytes=stated(64e9, _MAIA), bandwidth_bytes_per_s=_maia_bandwidth),
            MemoryLevel(name="L1 and L2", capacity_bytes=stated(500e6, _MAIA)),
        ],
        tdp_w=_maia_tdp,
        link_bytes_per_s=stated(600e9, f"{_MAIA}: 12 x 400 Gb/s Ethernet"),
        node="N5 (same source)",
        energy=from_design_power(_maia_tdp, _maia_peaks, _maia_bandwidth),
    ),
)

_SN40L = "SambaNova, Hot Chips 2024 slides (sgpjbg.com/465014)"
CHIPS.add(
    "sn40l",
    Chip(
        name="sn40l",
        title="SambaNova SN40L",
        maker="SambaNova",
        kind="accelerator",
        peak_flops_per_s={"bfloat16": stated(638e12, _SN40L)},
        memory=[
            MemoryLevel(
                name="HBM",
                capacity_bytes=stated(64e9, _SN40L),
                bandwidth_bytes_per_s=stated(1.6e12, f"{_SN40L}: 25.6 TB/s over 16 sockets"),
            ),
            MemoryLevel(name="SRAM", capacity_bytes=stated(520e6, _SN40L)),
        ],
        node="N5 (same source)",
    ),
)
