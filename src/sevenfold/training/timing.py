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
_SHORT_S = 0.03  # a reading that every round can afford
_LONG_S = 0.2  # what takes longer than this leaves the caches as cold as it finds them
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
    reading_s: float = 0.0  # what a reading takes, about
    readings: list[float] = field(default_factory=list)

    def prepare(self, clock: Clock) -> None:
        """One call, and a second that says how often a reading repeats it, unless the first was long already."""
        began = time.perf_counter()
        self.run()
        self.reading_s = time.perf_counter() - began
        if self.reading_s > _LONG_S:
            self.repeats, self.warm = 1, False
        if self.repeats == 0:
            began = clock()
            self.run()
            once_s = max(clock() - began, 1e-7)
            self.repeats = max(1, min(50, round(self.least_s / once_s)))
            self.reading_s = once_s * (self.repeats + self.warm)

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

    @property
    def best_s(self) -> float:
        """The shortest reading."""
        assert self.readings
        return min(self.readings)


def time_rounds(
    often: Sequence[Timed],
    rare: Sequence[Timed],
    clock: Clock,
    *,
    at_least: int,
    at_most_s: float,
    rare_at_least: int = 3,
) -> None:
    """Read every function once a round, for so many seconds and at least so many rounds.

    Long ones among ``rare`` are read in turn, in between, in up to half of the time, at least ``rare_at_least``
    times each.
    On a machine that is so busy that this takes three times as long, three rounds have to do.
    """
    for one in [*often, *rare]:
        one.prepare(clock)
    often = [*often, *(one for one in rare if one.reading_s <= _SHORT_S)]
    rare = [one for one in rare if one.reading_s > _SHORT_S]
    began = time.perf_counter()
    rounds, spent_on_rare, turn = 0, 0.0, 0
    while (
        time.perf_counter() - began < at_most_s
        or rounds < 3
        or (rounds < at_least and time.perf_counter() - began < 3 * at_most_s)
    ):
        for one in often:
            one.read(clock)
        rounds += 1
        while rare and spent_on_rare < 0.5 * (time.perf_counter() - began):
            at = time.perf_counter()
            rare[turn % len(rare)].read(clock)
            spent_on_rare += time.perf_counter() - at
            turn += 1
    while turn < rare_at_least * len(rare):
        rare[turn % len(rare)].read(clock)
        turn += 1


def clock_seconds(clock: Clock) -> float:
    """What reading the clock itself adds to a reading."""
    return median(abs(clock() - clock()) for _ in range(201))
