"""Which meter a run uses: the one it was given; where joules are limited, the machine's own, else a model."""

from __future__ import annotations

from sevenfold.errors import UsageError
from sevenfold.training.power import PowerMeter, find_meter
from sevenfold.training.workload import Workload


def meter_for(workload: Workload, given: PowerMeter | None) -> PowerMeter | None:
    """The meter; raises UsageError for an energy limit that nothing here could notice."""
    if given is not None or workload.recipe.limits.energy_j is None:
        return given
    meter = find_meter(workload.device.type, workload.device.index or 0)
    if meter is not None:
        return meter
    raise UsageError(
        "an energy limit needs a meter",
        got=f"limits.energy_j={workload.recipe.limits.energy_j:g} on a machine without NVML or RAPL",
        expected="a meter that can be read",
        hint="limits.time_s",
    )
