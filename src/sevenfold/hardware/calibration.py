"""What `sevenfold calibrate` measures on this machine, as data: curves of time by size, and overheads."""

from __future__ import annotations

from sevenfold.spec import Spec


class Calibration(Spec):
    """Placeholder fields come with the measuring code."""

    torch_version: str
    created: str
