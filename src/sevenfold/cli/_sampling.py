"""Progress of sampling on stderr: a bar, a line now and then where that is no terminal, nothing with ``--json``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from sevenfold.cli._output import tell

_LINE_S = 10.0


@contextmanager
def watching_samples(*, quiet: bool) -> Iterator[Callable[[float, int], None]]:
    """What is to be called with (samples done, of how many)."""
    if quiet:
        yield lambda done, of: None
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn("sampling"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bar:
            task = bar.add_task("sampling", total=None)
            yield lambda done, of: bar.update(task, completed=done, total=of)


class _Lines:
    """One line every few seconds."""

    def __init__(self) -> None:
        self._last = monotonic()

    def __call__(self, done: float, of: int) -> None:
        if monotonic() - self._last >= _LINE_S:
            self._last = monotonic()
            tell(f"sample {done:.0f}/{of}")
