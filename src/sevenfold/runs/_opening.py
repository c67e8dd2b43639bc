"""How a run begins in the store, and how one that was left is taken up again."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from typing import Any

from sevenfold.errors import StoreError, UsageError
from sevenfold.runs._claim import is_alive, new_claim
from sevenfold.runs._rows import Rows, flushes_lost
from sevenfold.runs._seal import seal_json
from sevenfold.runs._writer import now
from sevenfold.runs.recipe import Recipe


def checked_facts(recipe: Recipe, provenance: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """What never changes of a run, as one mapping; raises UsageError for what is no plain data."""
    facts = {"recipe": recipe.to_dict(), "provenance": dict(provenance), "environment": dict(environment)}
    try:
        json.dumps(facts)
    except (TypeError, ValueError) as error:
        raise UsageError("provenance and environment hold plain data", got=str(error)) from None
    return facts


def insert(database: sqlite3.Connection, recipe: Recipe, facts: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Begin a run that is not there: its number and its row, claimed by this process."""
    (number,) = database.execute("SELECT coalesce(max(number), 0) + 1 FROM runs").fetchone()
    moment = now()
    row = {
        "id": recipe.run_id(), "revision": 1, "state": "running", "created": moment, "updated": moment,
        "summary": {}, "error": None, "claim": new_claim(), "chunks": 0, "rows": 0, "names": [], "notes": [],
    }  # fmt: skip
    database.execute("INSERT INTO facts VALUES (?, ?)", (number, seal_json("facts", number, facts)))
    database.execute("INSERT INTO runs VALUES (?, ?, ?)", (number, row["id"], seal_json("runs", number, row)))
    return number, row


def take_over(rows: Rows, number: int, facts: dict[str, Any], again: bool) -> dict[str, Any]:
    """Claim a run that nobody writes; raises StoreError where somebody does, or where it is finished."""
    row = rows.row(number)
    if row["state"] == "finished" and not again:
        raise StoreError("the run is finished", got=row["id"], expected="a run that is still to be done")
    claim = row["claim"]
    if claim is not None and is_alive(claim):
        here = " (this process)" if claim["pid"] == os.getpid() else ""
        raise StoreError(
            "another writer holds this run",
            got=f"{row['id']}, written by process {claim['pid']}{here} on {claim['place'].split()[0]}",
            expected="one writer a run",
            hint="waiting for it, or ending that process",
        )
    slot = rows.witness.read(number)
    lost = flushes_lost(row, slot)
    notes = list(row["notes"])
    if lost:
        notes.append(f"{now()}: {lost} flushes of metrics had been lost when the run was taken up again")
    changed = _differences(rows.facts(number)["environment"], facts["environment"])
    if changed:
        notes.append(f"{now()}: taken up again in another environment: {changed}")
    # Past everything ever attested: the loss is told by the note from here on.
    revision = max(row["revision"], slot.revision if slot is not None else 0) + 1
    if again:
        row["summary"] = {}
    row |= {"state": "running", "error": None, "claim": new_claim(), "updated": now(), "notes": notes}
    row["revision"] = revision
    rows.database.execute("UPDATE runs SET data = ? WHERE number = ?", (seal_json("runs", number, row), number))
    return row


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return ", ".join(f"{key} {old.get(key)} -> {new.get(key)}" for key in keys)
