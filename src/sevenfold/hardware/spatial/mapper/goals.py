"""What a mapper may minimise.

>>> from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
>>> score_of("edp", 2.0, 400e6, SPATIAL_CHIPS["eyeriss"])
4.0
"""

from __future__ import annotations

from typing import Any, Literal

from sevenfold.hardware.spatial.architecture import SpatialChip

Goal = Literal["energy", "latency", "edp"]
GOALS = ("energy", "latency", "edp")


def score_of(goal: Goal, energy: Any, cycles: Any, chip: SpatialChip) -> Any:
    """What is minimised, of one mapping or of arrays of them; a latency's ties are broken by energy."""
    if goal == "energy":
        return energy
    if goal == "edp":
        return energy * cycles / chip.clock_hz
    scale = 1e-3 if chip.energy_unit == "J" else 1e-15
    return cycles / chip.clock_hz + scale * 1e-6 * energy
