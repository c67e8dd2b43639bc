"""A second, tiny file that says how far each run was recorded.

After a kill, the newest flushes stand only in SQLite's write-ahead log, and SQLite drops in silence whatever lies
behind a damaged or missing frame of it. The witness notices: per run one slot of 64 bytes, written after each
commit, with the revision that was committed. A store that is behind its witness lost something; a store ahead of it
is fine (killed between the commit and the slot). So a reader reads the slot first and the store after it.

A slot that does not open is no witness; nothing that is loaded rests on it. Deleting the file accepts what is left.
Slot 0 belongs to no run: it holds the digest of the store at rest (`_rest`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SLOT_BYTES = 64
_REST = struct.Struct("<16s16s16x16s")  # store, digest of the file, checksum
_SLOT = struct.Struct("<16sQQB15x16s")  # store, run number, revision, ended, checksum


@dataclass(frozen=True)
class Slot:
    """How far one run was recorded."""

    number: int
    revision: int
    ended: bool  # finished or failed, and committed so that a power cut cannot undo it


class Witness:
    """The slots of one store, known by the store's own 16 random bytes (another store's slots are not ours)."""

    def __init__(self, path: Path, identity: bytes) -> None:
        self.path = path
        self._identity = identity

    def write(self, slot: Slot) -> None:
        """Note what was committed, where there is a witness. Raises OSError."""
        self._put(self._pack(slot), slot.number)

    def write_all(self, slots: Iterable[Slot]) -> None:
        """Make the witness anew. Raises OSError."""
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        content = b"".join([bytes(SLOT_BYTES), *(self._pack(slot) for slot in slots)])
        try:
            draft.write_bytes(content)
            os.replace(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)

    def read(self, number: int) -> Slot | None:
        """What was noted for a run, if anything."""
        return self._unpack(self._at(number), number)

    def rest(self) -> bytes | None:
        """The digest of the store at rest, if it was noted."""
        data = self._at(0)
        if self._checked(data) is None or data[:16] != self._identity:
            return None
        digest: bytes = _REST.unpack(data)[1]
        return digest

    def note_rest(self, digest: bytes | None) -> None:
        """Note the digest of the store at rest, or forget it (on the disk, before this returns). Raises OSError."""
        data = bytes(SLOT_BYTES)
        if digest is not None:
            bare = _REST.pack(self._identity, digest, bytes(16))
            data = bare[:-16] + _checksum(bare[:-16])
        self._put(data, 0, durable=digest is None)

    def last(self) -> Slot | None:
        """The slot of the highest run number."""
        try:
            count = self.path.stat().st_size // SLOT_BYTES
        except OSError:
            return None
        for number in range(count - 1, 0, -1):  # another store's slots and unfinished ones are passed over
            slot = self.read(number)
            if slot is not None:
                return slot
        return None

    def all(self) -> dict[int, Slot]:
        """Every slot of this store, by run number."""
        slots = (self._unpack(data, number) for number, data in enumerate(self._contents()) if number)
        return {slot.number: slot for slot in slots if slot is not None}

    def damaged(self) -> list[int]:
        """Numbers whose slots hold something that does not open."""
        return [n for n, data in enumerate(self._contents()) if any(data) and self._checked(data) is None]

    def _contents(self) -> list[bytes]:
        try:
            content = self.path.read_bytes()
        except OSError:
            return []
        return [content[at : at + SLOT_BYTES] for at in range(0, len(content), SLOT_BYTES)]

    def _at(self, number: int) -> bytes:
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError:
            return b""
        try:
            return os.pread(file, SLOT_BYTES, number * SLOT_BYTES)
        except OSError:
            return b""
        finally:
            os.close(file)

    def _put(self, data: bytes, number: int, *, durable: bool = False) -> None:
        file = os.open(self.path, os.O_WRONLY)
        try:
            os.pwrite(file, data, number * SLOT_BYTES)
            if durable:
                os.fsync(file)
        finally:
            os.close(file)

    def _pack(self, slot: Slot) -> bytes:
        bare = _SLOT.pack(self._identity, slot.number, slot.revision, slot.ended, bytes(16))
        return bare[:-16] + _checksum(bare[:-16])

    def _unpack(self, data: bytes, number: int) -> Slot | None:
        fields = self._checked(data)
        if fields is None or fields[0] != self._identity or fields[1] != number:
            return None
        return Slot(number, fields[2], bool(fields[3]))

    @staticmethod
    def _checked(data: bytes) -> tuple[bytes, int, int, int] | None:
        if len(data) != SLOT_BYTES or _checksum(data[:-16]) != data[-16:]:
            return None
        identity, number, revision, ended, _ = _SLOT.unpack(data)
        return identity, number, revision, ended


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def witness_path(store: Path) -> Path:
    """Where the witness of a store lies."""
    return store.with_name(f"{store.name}-witness")
