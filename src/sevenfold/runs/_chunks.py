"""Rows of metrics on their way to disk: buffered in arrays, written as one chunk a flush.

A chunk is a JSON list of groups (``[names, rows]``; one group per set of names logged together), its length in
four bytes before it, and behind it for each group its steps (int64) and its values (float64, row after row),
little-endian. NaN and infinities are values like any other.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterable, Mapping
from operator import index

import numpy as np
import numpy.typing as npt

from sevenfold.runs._seal import Damage

Steps = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Group = tuple[tuple[str, ...], Steps, Values]  # names; steps [rows]; values [rows, names]

assert array("q").itemsize == 8, "chunks hold 64-bit steps"


class Buffer:
    """Rows that are not yet on disk."""

    def __init__(self) -> None:
        self.num_rows = 0
        self._groups: dict[tuple[str, ...], tuple[array[int], array[float]]] = {}

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Append one row; raises TypeError or ValueError, with nothing appended, for what is no number."""
        row = tuple(map(float, values.values()))
        step = index(step)
        names = tuple(values)
        group = self._groups.get(names)
        if group is None:
            group = self._groups[names] = (array("q"), array("d"))
        group[0].append(step)
        group[1].extend(row)
        self.num_rows += 1

    def names(self) -> set[str]:
        """Every name that has a value."""
        return {name for names in self._groups for name in names}

    def encode(self) -> bytes:
        """The rows as one chunk."""
        groups = [
            (names, np.frombuffer(steps, np.int64), np.frombuffer(values, np.float64).reshape(len(steps), -1))
            for names, (steps, values) in self._groups.items()
        ]
        return encode(groups)


def encode(groups: Iterable[Group]) -> bytes:
    """Groups as one chunk."""
    groups = list(groups)
    header = json.dumps([[list(names), len(steps)] for names, steps, _ in groups], separators=(",", ":")).encode()
    parts = [struct.pack("<I", len(header)), header]
    for _, steps, values in groups:
        parts += [steps.astype("<i8", copy=False).tobytes(), values.astype("<f8", copy=False).tobytes()]
    return b"".join(parts)


def decode(payload: bytes) -> list[Group]:
    """The groups of a chunk; raises Damage where lengths do not add up."""
    try:
        (size,) = struct.unpack_from("<I", payload)
        groups, offset = [], 4 + size
        for names, rows in json.loads(payload[4:offset]):
            steps = np.frombuffer(payload, "<i8", rows, offset)
            values = np.frombuffer(payload, "<f8", rows * len(names), offset + steps.nbytes)
            offset += steps.nbytes + values.nbytes
            table = values.astype(np.float64, copy=False).reshape(rows, len(names))
            groups.append((tuple(names), steps.astype(np.int64, copy=False), table))
    except (struct.error, ValueError, TypeError) as error:
        raise Damage(f"a chunk of metrics cannot be read ({error})") from None
    if offset != len(payload):
        raise Damage("a chunk of metrics has a wrong length")
    return groups


def kept(groups: Iterable[Group], last_step: int) -> list[Group]:
    """The groups without the rows past a step; groups that become empty go."""
    rest = []
    for names, steps, values in groups:
        mask = steps <= last_step
        if mask.any():
            rest.append((names, steps[mask], values[mask]))
    return rest
