"""The store at rest: a digest of the whole file, noted when the last process that used it closes it.

Seals notice whatever changes a row. A byte that no row uses may change as well, and nothing that is loaded differs;
the digest lets ``RunStore.check`` notice that too: a disk that changes one byte will change others.

Who begins to write forgets the digest, inside its first transaction; who closes last (SQLite then removes the
write-ahead log) notes it and looks once more whether a log has appeared meanwhile. So a digest that stands is true.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from sevenfold.runs._witness import Witness

LARGEST = 2**26  # bytes; a larger store is left to its seals, so that closing it stays fast


def settle(path: Path, witness: Witness) -> None:
    """Note the digest of a store that nobody uses any more."""
    log = Path(f"{path}-wal")
    with suppress(OSError):  # without a note, there is the check of every row
        if log.exists() or path.stat().st_size > LARGEST or witness.rest() is not None:
            return
        witness.note_rest(_digest(path))
        if log.exists():
            witness.note_rest(None)


def changed_at_rest(path: Path, witness: Witness) -> bool:
    """Whether the file is not the one that was closed. False also where that is not known."""
    noted = witness.rest()
    log = Path(f"{path}-wal")
    if noted is None or (log.exists() and log.stat().st_size > 0):
        return False
    found = _digest(path)
    return found != noted and witness.rest() == noted  # else somebody began to write while we read


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
