"""The catalogue of chips: one module per maker in ``hardware/chips``, and the calibrated ``this-machine``.

>>> "h100" in CHIPS, "tpu-v5p" in CHIPS
(True, True)
"""

from __future__ import annotations

from sevenfold.catalog import Catalogue
from sevenfold.hardware.chip import Chip

CHIPS: Catalogue[Chip] = Catalogue("chip", package="sevenfold.hardware.chips")
THIS_MACHINE = "this-machine"


def _find_this_machine(name: str) -> Chip | None:
    if name != THIS_MACHINE:
        return None
    from sevenfold.hardware.stored import load_this_machine

    return load_this_machine()


CHIPS.add_finder(_find_this_machine)
