"""The one writer of a run: logs metrics, keeps the claim, and ends the run.

Rows are buffered and a thread commits them about twice a second, so that the training loop never waits for the disk
and a killed process loses half a second of metrics at most. A power cut can lose the last flushes as well (never
half of one); ``flush(durable=True)``, which a checkpoint calls first, and the end of a run wait for the disk.
"""

from __future__ import annotations

import atexit
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from sevenfold.errors import SevenfoldError, StoreError
from sevenfold.runs._chunks import Buffer, decode, encode, kept
from sevenfold.runs._claim import HEARTBEAT_S
from sevenfold.runs._database import CHUNKS_PER_RUN, transaction
from sevenfold.runs._rest import settle
from sevenfold.runs._rows import slot_of
from sevenfold.runs._seal import seal, seal_json, unseal, unseal_json
from sevenfold.runs._witness import Witness

FLUSH_S = 0.5
FLUSH_ROWS = 16_384  # wakes the flushing thread before its time
FULL_ROWS = 262_144  # the thread does not keep up: the caller flushes


class RunWriter:
    """Writes one run; made by ``RunStore.open``.

    >>> with store.open(recipe, provenance={}, environment={}) as writer:  # doctest: +SKIP
    ...     writer.log(0, {"train_loss": 2.3})
    ...     writer.finish({"validation_loss": 0.1})

    Leaving the block by an exception fails the run; leaving it without ``finish`` leaves it interrupted. A failure
    to write (disk full, claim lost to another process) is raised by the next call; rows stay buffered until then.
    """

    def __init__(
        self, path: Path, database: sqlite3.Connection, witness: Witness, number: int, row: dict[str, Any]
    ) -> None:
        self.run_id: str = row["id"]
        self._path = path
        self._number = number
        self._row = row
        self._database = database
        self._witness = witness
        self._written = seal_json("runs", number, row)  # what stands in the store while we hold the claim
        self._buffer = Buffer()
        self._pending: list[Buffer] = []  # taken from the buffer, not yet committed
        self._buffer_lock = threading.Lock()
        self._commit_lock = threading.RLock()
        self._failure: SevenfoldError | None = None
        self._closed = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self._at_exit)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep one row of metrics: ``log(10, {"train_loss": 0.5})``. NaN and infinities are kept as they are."""
        if self._failure is not None or self._closed:
            self._complain()
        with self._buffer_lock:
            self._buffer.add(step, values)
            rows = self._buffer.num_rows
        if rows == 1 and self._thread is None:
            self._start()
        elif rows >= FLUSH_ROWS:
            self._wake.set()
            if rows >= FULL_ROWS:
                self.flush()

    def flush(self, *, durable: bool = False) -> None:
        """Commit what was logged; ``durable`` also waits for the disk (before a checkpoint that relies on it)."""
        self._complain()
        with self._commit_lock:
            self._commit(durable=durable)

    def truncate_after(self, step: int) -> None:
        """Drop rows past ``step``, so that a run resumed there doubles none."""
        self._complain()
        with self._commit_lock:
            self._commit()
            with self._changing_row():
                self._drop_after(step)

    def finish(self, summary: Mapping[str, float | str | None]) -> None:
        """End the run well: flush, keep the summary, give the claim back, wait for the disk."""
        self._end("finished", summary={name: _plain(value) for name, value in summary.items()}, error=None)

    def fail(self, error: str) -> None:
        """End the run badly; what was logged is kept, and the run may be tried again."""
        self._end("failed", error=error)

    def close(self) -> None:
        """Flush and give the claim back; a run that was not ended is interrupted and may go on later."""
        if not self._closed:
            self._end("interrupted")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._closed:
            return
        if not isinstance(error, Exception):
            self.close()
            return
        try:
            self.fail(str(error) if isinstance(error, SevenfoldError) else f"{type(error).__name__}: {error}")
        except SevenfoldError as second:
            error.add_note(f"the run store could not note it: {second}")

    def _end(self, state: str, **changes: Any) -> None:
        if self._closed:
            raise StoreError("the run is no longer written here", got=self.run_id, expected="an open writer")
        self._closed = True
        atexit.unregister(self._at_exit)
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        try:
            with self._commit_lock:
                self._commit(durable=True, changes={"state": state, "claim": None, **changes})
        finally:
            self._database.close()
            settle(self._path, self._witness)

    def _commit(self, *, durable: bool = False, changes: Mapping[str, Any] | None = None) -> None:
        """Everything logged so far, and changes of the run's row, as one transaction."""
        with self._buffer_lock:
            if self._buffer.num_rows:
                self._pending.append(self._buffer)
                self._buffer = Buffer()
        if not self._pending and changes is None and not durable:
            return
        with self._changing_row(durable=durable):
            self._row.update(changes or {})
            for buffer in self._pending:
                self._append(buffer.encode())
                self._row["rows"] += buffer.num_rows
                self._row["names"] = sorted(buffer.names().union(self._row["names"]))
        self._pending.clear()

    @contextmanager
    def _changing_row(self, *, durable: bool = False) -> Iterator[None]:
        """One transaction that ends with the run's row; where it fails, nothing has changed, here or on disk."""
        before = dict(self._row)
        try:
            with transaction(self._path, self._database, durable=durable):
                self._hold()
                yield
                sealed = self._write_row()
        except BaseException:
            self._row = before
            raise
        self._written = sealed
        self._attest()

    def _hold(self) -> None:
        """Make sure that the row is as we left it: that nobody took the run over."""
        row = self._database.execute("SELECT data FROM runs WHERE number = ?", (self._number,)).fetchone()
        if row is not None and row[0] == self._written:
            return
        found = unseal_json("runs", self._number, row[0] if row else None)
        claim = found["claim"]
        raise StoreError(
            "another process took this run over",
            got=f"{self.run_id}, held by process {claim['pid']}" if claim else f"{self.run_id}, {found['state']}",
            expected="one writer a run",
        )

    def _append(self, payload: bytes) -> None:
        number = self._number * CHUNKS_PER_RUN + self._row["chunks"]
        self._database.execute("INSERT INTO chunks VALUES (?, ?)", (number, seal("chunks", number, payload)))
        self._row["chunks"] += 1

    def _drop_after(self, step: int) -> None:
        first = self._number * CHUNKS_PER_RUN
        rest: list[bytes] = []
        rows, names = 0, set[str]()
        for number in range(first, first + self._row["chunks"]):
            row = self._database.execute("SELECT data FROM chunks WHERE number = ?", (number,)).fetchone()
            groups = kept(decode(unseal("chunks", number, row[0] if row else None)), step)
            rows += sum(len(steps) for _, steps, _ in groups)
            names.update(name for group in groups for name in group[0])
            rest.append(encode(groups))
        self._database.execute(
            "DELETE FROM chunks WHERE number BETWEEN ? AND ?", (first, first + CHUNKS_PER_RUN - 1)
        )
        self._row.update(chunks=0, rows=rows, names=sorted(names))
        for payload in rest:
            self._append(payload)

    def _write_row(self) -> bytes:
        self._row["updated"] = now()
        self._row["revision"] += 1
        if self._row["claim"] is not None:
            self._row["claim"] = {**self._row["claim"], "beat": time.time()}
        sealed = seal_json("runs", self._number, self._row)
        self._database.execute("UPDATE runs SET data = ? WHERE number = ?", (sealed, self._number))
        return sealed

    def _attest(self) -> None:
        # What is committed is safe without its witness; a slot that stays behind accuses nobody.
        with suppress(OSError):
            self._witness.write(slot_of(self._number, self._row))

    def _complain(self) -> None:
        if self._closed:
            raise StoreError("the run is no longer written here", got=self.run_id, expected="an open writer")
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._flush_by_time, name=f"log {self.run_id}", daemon=True)
        self._thread.start()

    def _flush_by_time(self) -> None:
        last = time.monotonic()
        while not self._closed:
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            if self._closed:
                return
            try:
                with self._commit_lock:
                    before = self._row["revision"]
                    quiet = time.monotonic() - last > HEARTBEAT_S
                    self._commit(changes={} if quiet else None)
                    if self._row["revision"] != before:
                        last = time.monotonic()
            except SevenfoldError as error:
                self._failure = error  # raised by the next call of the training loop
                self._wake.wait(FLUSH_S)

    def _at_exit(self) -> None:
        try:
            self.close()
        except SevenfoldError as error:
            sys.stderr.write(f"sevenfold: {error}\n")


def now() -> str:
    """The time as the store writes it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _plain(value: Any) -> int | float | str | None:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool) or not isinstance(plain, (int, float, str, type(None))):
        raise TypeError(f"a summary holds numbers, texts and None, not {type(value).__name__}")
    return plain
