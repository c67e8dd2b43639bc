"""Live progress of a diagnosis on stderr: which probe, how many are left, time left.

On a terminal one line that is redrawn; elsewhere a plain line now and then, so that a log stays readable.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from sevenfold import units

PLAIN_EVERY_S = 10.0


class ProbeProgress:
    """Called with (kind, label, done, planned, seconds left) at every event of a diagnosis."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet  # with --json, stderr is for one error object alone
        self._bar: Any = None
        self._task: Any = None
        self._last = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("preparing", total=None, left="")
        return self

    def __call__(self, kind: str, label: str, done: int, planned: int, seconds_left: float | None) -> None:
        left = "" if seconds_left is None else f"about {units.show(max(1.0, seconds_left), units.SECONDS)} left"
        if self._bar is not None:
            self._bar.update(self._task, description=label[:48], completed=done, total=planned or None, left=left)
            return
        now = time.monotonic()
        if self._quiet:
            return
        if now - self._last >= PLAIN_EVERY_S or kind in ("preparing", "warning"):
            self._last = now
            counted = f" [{done}/{planned}]" if planned else ""
            print(f"{label}{counted} {left}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
