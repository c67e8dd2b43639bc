"""What must hold around a run and must not leak out of it: threads, determinism, random numbers, signals."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from sevenfold.runs.recipe import Recipe


@contextlib.contextmanager
def run_conditions(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Threads, deterministic CPU kernels and a random-number stream of the run's own; all put back after."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    wanted = recipe.threads or _all_cores()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            if wanted != threads:
                torch.set_num_threads(wanted)
            if device.type == "cpu":
                torch.use_deterministic_algorithms(True, warn_only=True)
                torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            torch.manual_seed(_dropout_seed(recipe.seed))
            yield
        finally:
            if wanted != threads:
                torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The state of each generator that the run draws from, uint8."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: dict[str, Tensor], device: torch.device) -> None:
    """Put every generator back to where `random_states` found it."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


class Interruption:
    """Ctrl-C and SIGTERM wait for the end of the step, so that a whole state is saved; a second comes at once.

    Outside the main thread, where no handler can be set, nothing is changed.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if self.wanted and kind is None:  # it came after the last step: the run is whole, the caller still hears it
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


def _all_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _dropout_seed(seed: int) -> int:
    """A stream of its own, so that dropout does not repeat the numbers that initialization drew."""
    return int.from_bytes(hashlib.sha256(f"dropout {seed}".encode()).digest()[:8], "little") >> 1
