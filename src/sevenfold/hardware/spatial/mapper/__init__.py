"""The mapping of least energy, latency or energy-delay product of a layer on a chip.

space.py        which mappings are considered: tiles, spatial spreads, loop orders
closed_form.py  their costs, thousands at a time
search.py       best first, with a bound that says when to stop
levels.py       the same for chips of any depth, uneven mappings included:
lattice.py      the cheapest chain of tiles, by dynamic programming
tables.py       what every border costs at every tile
networks.py     all layers of a network: equal ones once, results kept on disk
sweep.py        many designs of a chip, and those that no other beats

>>> from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
>>> from sevenfold.hardware.spatial.layer import Layer
>>> found = find_mapping(Layer("conv", M=16, C=16, P=8, Q=8, R=3, S=3), SPATIAL_CHIPS["eyeriss"])
>>> found.verdict, found.cost.macs
('optimal', 147456)
"""

from __future__ import annotations

from sevenfold.hardware.spatial.mapper.goals import Goal
from sevenfold.hardware.spatial.mapper.search import FoundMapping, find_mapping

__all__ = ["FoundMapping", "Goal", "find_mapping"]
