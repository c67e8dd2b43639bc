"""Checksums of everything the store holds: a payload is sealed for one table and one row number.

A flipped byte, a payload of another row, or a value of another type does not open. SQLite has no checksums of its
own: what it can follow, it returns.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

SEAL_BYTES = 16


class Damage(Exception):
    """Something read is not what was written. The store turns it into a StoreError with the file's name."""


def seal(table: str, number: int, payload: bytes) -> bytes:
    """The payload with its checksum behind it."""
    return payload + _sum(table, number, payload)


def unseal(table: str, number: int, data: object) -> bytes:
    """The payload; raises Damage where the checksum does not fit."""
    if not isinstance(data, bytes) or len(data) < SEAL_BYTES:
        raise Damage(f"row {number} of {table} is no sealed row")
    payload, found = data[:-SEAL_BYTES], data[-SEAL_BYTES:]
    if _sum(table, number, payload) != found:
        raise Damage(f"the checksum of row {number} of {table} does not fit")
    return payload


def seal_json(table: str, number: int, value: Any) -> bytes:
    """Sealed JSON; NaN and infinities are kept, floats round-trip exactly."""
    return seal(table, number, json.dumps(value, separators=(",", ":")).encode())


def unseal_json(table: str, number: int, data: object) -> Any:
    """The value that was sealed."""
    return json.loads(unseal(table, number, data))


def _sum(table: str, number: int, payload: bytes) -> bytes:
    digest = hashlib.blake2b(payload, digest_size=SEAL_BYTES, key=table.encode())
    digest.update(number.to_bytes(8, "little"))
    return digest.digest()
