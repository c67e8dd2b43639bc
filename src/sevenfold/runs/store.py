"""The run store: every run that was carried out here, its metrics and its summary, in one SQLite file.

Several processes write (one per run) while others read. Everything read is checked against what was written: damage
raises StoreError, it is never loaded in silence. The store does not know what a metric means, and imports no torch.

>>> store = RunStore()  # doctest: +SKIP
>>> store.require("digits-cnn-s0").summary["validation_loss"]  # doctest: +SKIP
0.0713
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sevenfold.errors import StoreError, UsageError, unknown_name
from sevenfold.runs._chunks import Steps, Values, decode
from sevenfold.runs._database import connect, create, snapshot, transaction, translated
from sevenfold.runs._opening import checked_facts, insert, take_over
from sevenfold.runs._rest import changed_at_rest, settle
from sevenfold.runs._rows import Rows, flushes_lost
from sevenfold.runs._seal import Damage
from sevenfold.runs._writer import RunWriter
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.record import RunRecord, RunState

__all__ = ["RunRecord", "RunState", "RunStore", "RunWriter"]

# SQLite connections must not be closed by a process that inherited them through a fork.
_OF_THE_PARENT: list[Rows] = []


class RunStore:
    """The runs in one file, by default ``runs.sqlite`` in the user's data folder.

    Nothing is created before the first run is opened; a store that does not exist reads as empty. May be shared
    between threads and handed to another process. Raises StoreError where the file is damaged or of another
    version, StorageError where the system refuses it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._open: tuple[Rows, tuple[int, int, int]] | None = None
        self.path = (data_home() / "runs.sqlite" if path is None else Path(path)).absolute()

    def __reduce__(self) -> tuple[type[RunStore], tuple[Path]]:
        return (type(self), (self.path,))

    def open(
        self, recipe: Recipe, *, provenance: Mapping[str, Any], environment: Mapping[str, Any], again: bool = False
    ) -> RunWriter:
        """Begin a run, or go on with one that was interrupted or failed; ``again`` reopens a finished one too.

        The claim of a process that died is taken over at once. Raises StoreError where a living process writes the
        run or where it is finished, StorageError where the store cannot be written.
        """
        facts = checked_facts(recipe, provenance, environment)
        with translated(self.path):
            if not self.path.exists():
                create(self.path)
        database = connect(self.path, write=True)
        try:
            rows = Rows(self.path, database)
            last = rows.witness.last()
            with transaction(self.path, database, durable=True):
                rows.unsettle()
                number = rows.number(recipe.run_id(), last)
                if number is None:
                    number, row = insert(database, recipe, facts)
                else:
                    row = take_over(rows, number, facts, again)
            with translated(self.path):
                rows.attest(number, row)
            return RunWriter(self.path, database, rows.witness, number, row)
        except BaseException:
            database.close()
            raise

    def record(self, run_id: str) -> RunRecord | None:
        """The record of a run by its whole id, or None."""
        with self._reading() as rows:
            number = None if rows is None else rows.snapshot_row(run_id)
            if rows is None or number is None:
                return None
            slot = rows.witness.read(number)  # before the snapshot, which then is never behind it
            with snapshot(self.path, rows.database):
                return rows.record(number, slot)

    def require(self, run_id: str) -> RunRecord:
        """The record of a run by its id, or by a beginning that one id alone has.

        Raises UnknownNameError with the nearest id, UsageError where several ids begin like that.
        """
        record = self.record(run_id)
        if record is not None:
            return record
        ids = self.ids()
        matches = [known for known in ids if known.startswith(run_id)] if run_id else []
        if not matches:
            raise unknown_name("run", run_id, ids, hint="`sevenfold runs list`")
        if len(matches) > 1:
            shown = ", ".join(matches[:4]) + (f", ... ({len(matches)} in all)" if len(matches) > 4 else "")
            raise UsageError("several runs begin like that", got=repr(run_id), expected=f"one of {shown}")
        record = self.record(matches[0])
        assert record is not None, "a run that is listed has a record"
        return record

    def records(
        self, state: RunState | None = None, recipe_name: str | None = None, limit: int | None = None
    ) -> list[RunRecord]:
        """Records, newest first; of one state, of one recipe's name, at most ``limit``."""
        chosen: list[RunRecord] = []
        with self._reading() as rows:
            if rows is None:
                return []
            slots, last = rows.witness.all(), rows.witness.last()
            with snapshot(self.path, rows.database):
                for number in reversed(rows.numbers(last)):
                    if limit is not None and len(chosen) >= limit:
                        break
                    record = rows.record(number, slots.get(number))
                    if state in (None, record.state) and recipe_name in (None, record.recipe_name):
                        chosen.append(record)
        return chosen

    def ids(self) -> list[str]:
        """The ids of all runs, oldest first."""
        with self._reading() as rows:
            if rows is None:
                return []
            last = rows.witness.last()
            with snapshot(self.path, rows.database):
                return [rows.row(number)["id"] for number in rows.numbers(last)]

    def metric_names(self, run_id: str) -> list[str]:
        """The names of the metrics that a run logged, sorted. Raises UnknownNameError."""
        with self._reading_run(run_id) as (_, _, row):
            return list(row["names"])

    def metrics(self, run_id: str, name: str) -> tuple[Steps, Values]:
        """Steps (int64) and values (float64) of one metric, in order of step. Raises UnknownNameError."""
        steps, values = [np.empty(0, np.int64)], [np.empty(0)]
        with self._reading_run(run_id) as (rows, number, row):
            if name not in row["names"]:
                raise unknown_name(f"metric of {run_id}", name, row["names"])
            for payload in rows.chunks(number, row):
                for names, group_steps, group_values in decode(payload):
                    if name in names:
                        steps.append(group_steps)
                        values.append(group_values[:, names.index(name)])
        all_steps, all_values = np.concatenate(steps), np.concatenate(values)
        order = np.argsort(all_steps, kind="stable")
        return all_steps[order], all_values[order]

    def check(self) -> list[str]:
        """Read everything; one sentence for each damage found, none for a store that is whole."""
        found: list[str] = []
        try:
            with self._reading() as rows:
                if rows is None:
                    return []
                if changed_at_rest(self.path, rows.witness):
                    found.append(f"{self.path} is not the file that was closed: bytes of it have changed")
                found += self._check_witness(rows)
                faults = [str(row[0]) for row in rows.database.execute("PRAGMA integrity_check(20)")]
                found += [f"{self.path}: {fault}" for fault in faults if fault != "ok"]
            ids = self.ids()
        except StoreError as error:
            return [*found, str(error)]
        for run_id in ids:
            found += self._check_run(run_id)
        return found

    def _check_witness(self, rows: Rows) -> list[str]:
        if not rows.witness.path.exists():
            return []  # deleted: what is left was accepted
        with snapshot(self.path, rows.database):
            # A run's first commit may be an instant ahead of its slot; before the second one the slot is there.
            attested = [number for number in rows.numbers(None) if rows.row(number)["revision"] > 1]
        slots, damaged = rows.witness.all(), rows.witness.damaged()
        missing = [number for number in attested if number not in {*slots, *damaged}]
        told = [f"slot {number} of {rows.witness.path} is damaged" for number in damaged]
        return [*told, *(f"slot {number} of {rows.witness.path} is missing" for number in missing)]

    def _check_run(self, run_id: str) -> list[str]:
        try:
            self.record(run_id)
            with self._reading_run(run_id) as (rows, number, row):
                groups = [group for payload in rows.chunks(number, row) for group in decode(payload)]
                if sum(len(steps) for _, steps, _ in groups) != row["rows"]:
                    raise Damage(f"{run_id} has not its {row['rows']} rows of metrics")
        except StoreError as error:
            return [f"{run_id}: {error}"]
        return []

    def close(self) -> None:
        """Give the file back; the next reading opens it again."""
        with self._lock:
            opened, self._open = self._open, None
            if opened is not None and opened[1][2] == os.getpid():
                opened[0].database.close()
                settle(self.path, opened[0].witness)
            elif opened is not None:
                _OF_THE_PARENT.append(opened[0])

    def __del__(self) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[Rows | None]:
        """The open store, or None where there is none. One reader at a time in a process."""
        with self._lock, translated(self.path):
            yield self._current()

    def _current(self) -> Rows | None:
        try:
            status = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        now_open = (status.st_dev, status.st_ino, os.getpid())
        if self._open is None or self._open[1] != now_open:  # the file was replaced, or this process forked
            self.close()
            self._open = (Rows(self.path, connect(self.path, write=False)), now_open)
        return self._open[0]

    @contextmanager
    def _reading_run(self, run_id: str) -> Iterator[tuple[Rows, int, dict[str, Any]]]:
        """A snapshot with one run's row in it."""
        with self._reading() as rows:
            number = None if rows is None else rows.snapshot_row(run_id)
            if rows is None or number is None:
                raise unknown_name("run", run_id, self.ids(), hint="`sevenfold runs list`")
            slot = rows.witness.read(number)
            with snapshot(self.path, rows.database):
                row = rows.row(number)
                lost = flushes_lost(row, slot)
                if lost:
                    raise StoreError(
                        f"the last {lost} flushes of metrics of a run are lost",
                        got=f"{run_id} in {self.path}",
                        expected="a write-ahead log that is whole (a power cut can cost it its end)",
                        hint="running it again: it goes on from its checkpoint",
                    )
                yield rows, number, row
