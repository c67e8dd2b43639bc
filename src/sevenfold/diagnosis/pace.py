"""How fast probes go and what still fits: the clock of a diagnosis.

The unit is one baseline run. Its wall clock per worker is learned as runs finish; runs found finished in the store
cost nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sevenfold.diagnosis.probes import ProbeOutcome

_SAFETY = 1.15  # probes that are under way when the time is up would be lost
_PART = 0.25  # of the time left, at most, before the clock is looked at again


class Pace:
    """Seconds used, seconds left, and seconds a baseline run takes here."""

    def __init__(self, budget_s: float | None, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget_s = budget_s
        self.workers = workers
        self._clock = clock
        self._start = clock()
        self.num_done = self.num_reused = 0
        self.units_done = 0.0  # carried out now, not reused
        self._busy_s = 0.0  # wall clock of the batches in which something was carried out
        self._batch_start = self._start
        self._batch_units = 0.0

    @property
    def limited(self) -> bool:
        return self.budget_s is not None

    def start_batch(self) -> None:
        self._batch_start = self._clock()

    def finished(self, units: float, outcome: ProbeOutcome) -> None:
        """Count an outcome; a reused one says nothing of the speed."""
        self.num_done += 1
        now = self._clock()
        if outcome.reused:
            self.num_reused += 1
        else:
            self.units_done += units
            self._busy_s += now - self._batch_start
        self._batch_start = now

    def used_s(self) -> float:
        return self._clock() - self._start

    def unit_s(self) -> float:
        """Wall clock of one baseline run's worth of probes, all workers busy; 0 while none was carried out."""
        return self._busy_s / self.units_done if self.units_done else 0.0

    def fits(self, units: float) -> bool:
        """Whether this many baseline runs still fit in the budget."""
        return self.budget_s is None or self.used_s() + _SAFETY * units * self.unit_s() <= self.budget_s

    def affordable_part(self) -> int:
        """Runs that take at most a quarter of the time left."""
        assert self.budget_s is not None
        if not self.units_done:
            return 10**6
        return int(_PART * max(0.0, self.budget_s - self.used_s()) / self.unit_s())

    def seconds_left(self, units: float) -> float | None:
        """Until this many baseline runs are done, or the budget is."""
        if not self.units_done:
            return None
        wanted = units * self.unit_s()
        return wanted if self.budget_s is None else max(0.0, min(wanted, self.budget_s - self.used_s()))
