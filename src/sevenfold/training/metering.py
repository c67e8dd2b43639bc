"""Which meter a run uses: the one it was given; where joules are limited, the machine's own, else a model."""

from __future__ import annotations

import torch

from sevenfold.errors import UsageError
from sevenfold.hardware.energy import WATTS_PER_CORE
from sevenfold.training.power import PowerMeter, TimedMeter, find_meter
from sevenfold.training.workload import Workload


def meter_for(workload: Workload, given: PowerMeter | None) -> PowerMeter | None:
    """The meter of a run, None where it needs none and has none.

    A limit on a CPU without a meter is counted as watts of busy cores times seconds, and the record says
    "modelled". Raises UsageError for a limit on a device of which nothing is known.
    """
    if given is not None or workload.recipe.limits.energy_j is None:
        return given
    meter = find_meter(workload.device.type, workload.device.index or 0)
    if meter is not None:
        return meter
    if workload.device.type != "cpu":
        raise UsageError(
            "an energy limit needs a meter",
            got=f"limits.energy_j={workload.recipe.limits.energy_j:g} on {workload.device}, which NVML cannot read",
            expected="a device that NVML can read (`pip install nvidia-ml-py`)",
            hint="limits.time_s",
        )
    threads = workload.recipe.threads or torch.get_num_threads()
    watts = WATTS_PER_CORE * threads
    return TimedMeter(watts, f"{watts:g} W: {WATTS_PER_CORE:g} W for each of {threads} busy core(s)")
