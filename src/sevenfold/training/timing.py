"""Reading clocks fairly: every function once a round, medians over rounds, nothing else in between."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import torch

from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.training.conditions import run_conditions

Clock = Callable[[], float]
_LEAST_S = 3e-5  # a reading shorter than this repeats its operator; a longer one is taken with cold caches


def clock_of(threads: int) -> Clock:
    """The clock for a number of threads: the thread's own processor time, or the wall's."""
    return time.thread_time if threads == 1 else time.perf_counter


@contextmanager
def fair_conditions(threads: int) -> Iterator[None]:
    """What a training run has (so many threads, deterministic kernels), and no garbage collection in a reading."""
    recipe = Recipe(
        name="-",
        task="classification",
        model=ModelChoice(name="-"),
        data=DataChoice(name="-"),
        threads=threads,
    )
    collecting = gc.isenabled()
    gc.disable()
    try:
        with run_conditions(recipe, torch.device("cpu")):
            yield
    finally:
        if collecting:
            gc.enable()


@dataclass
class Timed:
    """A function and its readings."""

    run: Callable[[], object]
    repeats: int = 0  # calls a reading; 0: chosen at the first
    least_s: float = _LEAST_S  # what a reading takes at least, by repeating
    warm: bool = False  # one call before each reading brings code and data back into the caches
    readings: list[float] = field(default_factory=list)

    def prepare(self, clock: Clock) -> None:
        """Two calls, the second of which says how often a reading repeats it."""
        self.run()
        if self.repeats == 0:
            began = clock()
            self.run()
            self.repeats = max(1, min(50, round(self.least_s / max(clock() - began, 1e-7))))

    def read(self, clock: Clock) -> None:
        """One reading: the mean of a few consecutive calls."""
        run, repeats = self.run, self.repeats
        if self.warm:
            run()
        began = clock()
        for _ in range(repeats):
            run()
        seconds = (clock() - began) / repeats
        self.readings.append(seconds)

    @property
    def seconds(self) -> float:
        """Median of the readings."""
        assert self.readings
        return median(self.readings)


def time_rounds(
    often: Sequence[Timed], rare: Sequence[Timed], clock: Clock, *, at_least: int, at_most_s: float
) -> None:
    """Read every function of ``often`` once a round, for so many seconds and at least so many rounds.

    ``rare`` are long ones: they are read in turn, in between, in up to half of the time, at least three times each.
    """
    for one in [*often, *rare]:
        one.prepare(clock)
    began = time.perf_counter()
    rounds, spent_on_rare, turn = 0, 0.0, 0
    while rounds < at_least or time.perf_counter() - began < at_most_s:
        for one in often:
            one.read(clock)
        rounds += 1
        while rare and spent_on_rare < 0.5 * (time.perf_counter() - began):
            at = time.perf_counter()
            rare[turn % len(rare)].read(clock)
            spent_on_rare += time.perf_counter() - at
            turn += 1
    while turn < 3 * len(rare):
        rare[turn % len(rare)].read(clock)
        turn += 1


def clock_seconds(clock: Clock) -> float:
    """What reading the clock itself adds to a reading."""
    return median(abs(clock() - clock()) for _ in range(201))
