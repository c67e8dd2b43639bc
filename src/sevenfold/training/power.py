"""Joules while a run trains: NVML for a CUDA device, RAPL for the CPU package, models where neither is there.

A measured figure is everything that the device or package drew, other programs on it included. `find_meter` returns
None where the machine has no meter that this user may read.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Protocol

_RAPL = Path("/sys/class/powercap")


class PowerMeter(Protocol):
    """Counts joules; ``read_j`` never falls."""

    @property
    def method(self) -> Literal["measured", "modelled"]: ...

    @property
    def source(self) -> str: ...

    def read_j(self, num_steps: int) -> float:
        """Joules since some fixed moment; ``num_steps`` optimizer steps were taken since the meter was made."""


@dataclass(frozen=True)
class ModelledMeter:
    """So many joules an optimizer step, from a model of the machine; said to be modelled wherever it is shown."""

    joules_per_step: float
    source: str
    method: Literal["modelled"] = "modelled"

    def read_j(self, num_steps: int) -> float:
        return num_steps * self.joules_per_step


class TimedMeter:
    """So many watts for as long as it counts: modelled, and said to be."""

    method: Literal["modelled"] = "modelled"

    def __init__(self, watts: float, source: str) -> None:
        self._watts, self._began = watts, perf_counter()
        self.source = source

    def read_j(self, num_steps: int) -> float:
        return self._watts * (perf_counter() - self._began)


class RaplMeter:
    """The energy counters of the CPU packages under /sys/class/powercap (Intel, AMD); often for root only."""

    method: Literal["measured"] = "measured"

    def __init__(self, root: Path = _RAPL) -> None:
        self._zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        self._ranges_uj = [int((zone / "max_energy_range_uj").read_text()) for zone in self._zones]
        self._last_uj = [self._read_uj(zone) for zone in self._zones]
        self._sum_uj = 0
        if not self._zones:
            raise OSError("no RAPL package zone")
        self.source = f"RAPL, {len(self._zones)} CPU package(s)"

    def read_j(self, num_steps: int) -> float:
        """Must be read more often than a counter wraps (at 300 W after about 15 minutes)."""
        for index, zone in enumerate(self._zones):
            now_uj = self._read_uj(zone)
            passed_uj = now_uj - self._last_uj[index]
            self._sum_uj += passed_uj if passed_uj >= 0 else passed_uj + self._ranges_uj[index]
            self._last_uj[index] = now_uj
        return self._sum_uj * 1e-6

    @staticmethod
    def _read_uj(zone: Path) -> int:
        return int((zone / "energy_uj").read_text())


class NvmlMeter:
    """The energy counter of one NVIDIA device (Volta and later), in steps of about 20 to 100 ms."""

    method: Literal["measured"] = "measured"

    def __init__(self, index: int = 0, nvml: Any = None) -> None:
        self._nvml = importlib.import_module("pynvml") if nvml is None else nvml
        self._nvml.nvmlInit()
        self._handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
        self._read_mj()
        self.source = f"NVML, device {index}"

    def read_j(self, num_steps: int) -> float:
        return self._read_mj() * 1e-3

    def _read_mj(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))


def find_meter(device_type: str = "cpu", index: int = 0) -> PowerMeter | None:
    """The meter of the device that trains, or None where there is none that can be read."""
    try:
        return NvmlMeter(index) if device_type == "cuda" else RaplMeter()
    except (OSError, ImportError, ValueError):
        return None
    except Exception as error:
        # pynvml's own exception class exists only where pynvml does.
        if type(error).__module__.split(".")[0] == "pynvml":
            return None
        raise
