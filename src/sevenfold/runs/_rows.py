"""Rows of the store, opened and compared with each other and with the witness, so that what is missing is noticed.

Seals notice what changed; this notices what is gone: runs are numbered 1, 2, 3..., a run's row says how many chunks
it has, and the witness says how far each run was recorded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sevenfold.runs._claim import is_alive
from sevenfold.runs._database import CHUNKS_PER_RUN, identity_of, snapshot, translated
from sevenfold.runs._seal import Damage, unseal, unseal_json
from sevenfold.runs._witness import Slot, Witness, witness_path
from sevenfold.runs.record import RunRecord


class Rows:
    """One connection's view of the store. Methods raise Damage; the store translates it."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self.database = database
        with translated(path):
            self.witness = Witness(witness_path(path), identity_of(database))

    def number(self, run_id: str, last: Slot | None) -> int | None:
        """The number of a run, or None for a run that is not there (and was not lost). ``last`` was read before."""
        row = self.database.execute("SELECT number FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is not None:
            return int(row[0])
        # The index says no; the rows themselves have the last word.
        numbers = self.numbers(last)
        ids = {row[0] for row in self.database.execute("SELECT id FROM runs NOT INDEXED")}
        if run_id in ids or len(ids) != len(numbers):
            raise Damage("its index of runs does not fit the runs")
        return None

    def numbers(self, last: Slot | None) -> list[int]:
        """The numbers of all runs."""
        numbers = [row[0] for row in self.database.execute("SELECT number FROM runs NOT INDEXED ORDER BY number")]
        if numbers != list(range(1, len(numbers) + 1)):
            raise Damage("a run is missing")
        if last is not None and last.number > len(numbers):
            raise Damage(
                f"{last.number - len(numbers)} of {last.number} runs are missing; deleting "
                f"{self.witness.path.name} accepts what is left"
            )
        return numbers

    def row(self, number: int) -> dict[str, Any]:
        """What changes while a run runs."""
        found = self.database.execute("SELECT id, data FROM runs WHERE number = ?", (number,)).fetchone()
        row: dict[str, Any] = unseal_json("runs", number, found[1] if found else None)
        if row["id"] != found[0]:
            raise Damage(f"row {number} of runs carries another id")
        return row

    def facts(self, number: int) -> dict[str, Any]:
        """What never changes: recipe, provenance, environment."""
        found = self.database.execute("SELECT data FROM facts WHERE number = ?", (number,)).fetchone()
        facts: dict[str, Any] = unseal_json("facts", number, found[0] if found else None)
        return facts

    def chunks(self, number: int, row: dict[str, Any]) -> Iterator[bytes]:
        """The chunks of a run, in the order in which they were logged; all of them or Damage."""
        first, count = number * CHUNKS_PER_RUN, row["chunks"]
        query = "SELECT number, data FROM chunks WHERE number BETWEEN ? AND ? ORDER BY number"
        position = first
        for found, data in self.database.execute(query, (first, first + CHUNKS_PER_RUN - 1)):
            if found != position:
                break
            yield unseal("chunks", found, data)
            position += 1
        if position != first + count:
            raise Damage(f"{row['id']} should have {count} chunks of metrics and has not")

    def record(self, number: int, slot: Slot | None) -> RunRecord:
        """The record of a run; ``slot`` was read before the snapshot that this reads in."""
        row, facts = self.row(number), self.facts(number)
        lost = flushes_lost(row, slot)
        if lost and slot is not None and slot.ended:
            raise Damage(
                f"the end of {row['id']} is missing; deleting {self.witness.path.name} accepts what is left"
            )
        dead = row["state"] == "running" and not is_alive(row["claim"])
        recipe = facts["recipe"]
        return RunRecord(
            id=row["id"],
            recipe_name=recipe["name"],
            recipe=recipe,
            state="interrupted" if dead else row["state"],
            created=row["created"],
            updated=row["updated"],
            seed=recipe["seed"],
            summary=row["summary"],
            provenance=facts["provenance"],
            environment=facts["environment"],
            error=row["error"],
            num_rows=row["rows"],
            notes=[*row["notes"], *([f"the last {lost} flushes of metrics are lost"] if lost else [])],
        )

    def unsettle(self) -> None:
        """The store is about to change; to be called inside the first transaction that changes it."""
        if self.witness.rest() is not None:
            self.witness.note_rest(None)

    def attest(self, number: int, row: dict[str, Any]) -> None:
        """Note a row that was committed; a store without a witness gets one of all that it holds."""
        if self.witness.path.exists():
            self.witness.write(slot_of(number, row))
        else:
            self.witness.write_all(slot_of(known, self.row(known)) for known in self.numbers(None))

    def snapshot_row(self, run_id: str) -> int | None:
        """The number of a run, read in a snapshot of its own."""
        last = self.witness.last()
        with snapshot(self.path, self.database):
            return self.number(run_id, last)


def slot_of(number: int, row: dict[str, Any]) -> Slot:
    """What the witness notes of a row."""
    return Slot(number, row["revision"], row["state"] in ("finished", "failed"))


def flushes_lost(row: dict[str, Any], slot: Slot | None) -> int:
    """How many commits of a run the store is behind its witness."""
    return max(0, slot.revision - row["revision"]) if slot is not None else 0
