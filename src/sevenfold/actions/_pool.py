"""Probe runs in parallel processes: a worker trains one recipe at a time; finished runs come from the run store.

A worker that dies (killed for memory, a crash in native code) costs its own run and nothing else: the run is
reported as failed and another worker takes its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sevenfold.diagnosis.probes import ProbeOutcome
from sevenfold.errors import RunError
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunStore


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    job: Recipe | None = None
    started: float = 0.0
    ready: bool = False

    def send(self, message: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()


class ProbePool:
    """A ProbeRunner over worker processes; use it as a context manager."""

    def __init__(self, store: RunStore, *, workers: int, threads: int, bundles: Sequence[Path] = ()) -> None:
        self.workers = workers
        self._store = store
        self._threads = threads
        self._bundles = [str(path) for path in bundles]
        self._processes: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._processes:
            _stop(worker, gently=kind is None)
        self._processes.clear()

    def run(self, recipes: Sequence[Recipe]) -> Iterator[ProbeOutcome]:
        """Carry out recipes in parallel; each outcome is yielded when it is there, in no fixed order."""
        waiting: deque[Recipe] = deque()
        asked = {recipe.run_id() for recipe in recipes}
        for recipe in recipes:
            record = self._store.record(recipe.run_id())
            if record is not None and record.state == "finished":
                yield ProbeOutcome(recipe, recipe.run_id(), record, None, True, 0.0)
            else:
                waiting.append(recipe)
        with selectors.DefaultSelector() as selector:
            for worker in self._staff(len(waiting)):
                self._watch(selector, worker)
                if worker.ready:
                    self._assign(worker, waiting)
            while waiting or any(worker.job for worker in self._processes):
                for key, _ in selector.select():
                    outcome = self._hear(selector, key.data)
                    if outcome is not None and outcome.run_id in asked:  # not of a call that was left early
                        yield outcome
                    if key.data.job is None and key.data in self._processes and key.data.ready:
                        self._assign(key.data, waiting)
                while len(self._processes) < min(self.workers, len(waiting) + self._busy()):
                    self._watch(selector, self._hire())

    def _busy(self) -> int:
        return sum(worker.job is not None for worker in self._processes)

    def _staff(self, num_jobs: int) -> list[_Worker]:
        while len(self._processes) < min(self.workers, num_jobs):
            self._hire()
        return self._processes

    def _hire(self) -> _Worker:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads), "SEVENFOLD_WORKER": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "sevenfold.actions._worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        worker = _Worker(process)
        self._processes.append(worker)
        worker.send({"threads": self._threads, "bundles": self._bundles})
        return worker

    @staticmethod
    def _watch(selector: selectors.BaseSelector, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        selector.register(worker.process.stdout, selectors.EVENT_READ, worker)

    @staticmethod
    def _assign(worker: _Worker, waiting: deque[Recipe]) -> None:
        if waiting:
            worker.job, worker.started = waiting.popleft(), time.monotonic()
            # A worker that died while idle is found at its end of file, and the job is reported with the signal.
            with contextlib.suppress(BrokenPipeError):
                worker.send({"recipe": worker.job.to_dict()})

    def _hear(self, selector: selectors.BaseSelector, worker: _Worker) -> ProbeOutcome | None:
        assert worker.process.stdout is not None
        line = worker.process.stdout.readline()
        job, seconds = worker.job, time.monotonic() - worker.started
        if not line:
            return self._bury(selector, worker)
        answer = json.loads(line)
        if "ready" in answer:
            worker.ready = True
            return None
        assert job is not None
        worker.job = None
        record = self._store.record(job.run_id()) if "run" in answer else None
        return ProbeOutcome(job, job.run_id(), record, answer.get("error"), False, seconds)

    def _bury(self, selector: selectors.BaseSelector, worker: _Worker) -> ProbeOutcome | None:
        assert worker.process.stdout is not None
        selector.unregister(worker.process.stdout)
        self._processes.remove(worker)
        status = worker.process.wait()
        _stop(worker, gently=True)
        cause = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"left with status {status}"
        if status == -signal.SIGKILL:
            cause += " (out of memory?)"
        if worker.job is None:
            raise RunError("a worker process did not start", got=cause, hint="`sevenfold train` to see the cause")
        error = f"the process of this run {cause}"
        return ProbeOutcome(worker.job, worker.job.run_id(), None, error, False, time.monotonic() - worker.started)


def _stop(worker: _Worker, *, gently: bool) -> None:
    for pipe in (worker.process.stdin, worker.process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # nobody is left to read what was not yet sent
                pipe.close()
    if not gently:
        worker.process.terminate()
    try:
        worker.process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
