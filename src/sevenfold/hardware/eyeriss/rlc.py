"""Run-length coding of feature maps on their way to DRAM: three pairs and a terminator bit in a 64-bit word.

A pair is a run of zeros (5 bits, at most 31) and the value after it (16 bits). A run longer than 31 carries a zero
as its value. In the last word, pairs that are not used are (0, 0), and the terminator bit is 1.

>>> import numpy as np
>>> values = np.array([0, 0, 5, 0, -7, 0], dtype=np.int16)
>>> words = encode(values)
>>> len(words), decode(words, 6).tolist()
(1, [0, 0, 5, 0, -7, 0])
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sevenfold.errors import UsageError

RUN_BITS, VALUE_BITS, PAIRS = 5, 16, 3
LONGEST_RUN = 2**RUN_BITS - 1
Words = NDArray[np.uint64]


def _pairs(values: NDArray[np.int16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs and values of every pair."""
    places = np.flatnonzero(values)
    ends = np.append(places, len(values))
    starts = np.concatenate([[0], places + 1])
    gaps = ends - starts  # zeros before every value, and after the last one
    # A pair with a zero value covers 32 zeros: its run and its value.
    full = gaps // (LONGEST_RUN + 1)
    rest = gaps % (LONGEST_RUN + 1)
    runs, coded = [], []
    for count, left, place in zip(full.tolist(), rest.tolist(), ends.tolist(), strict=True):
        runs += [LONGEST_RUN] * count
        coded += [0] * count
        if place < len(values):
            runs.append(left)
            coded.append(int(values[place]))
        elif left:  # zeros that end the map: a shorter run and a zero
            runs.append(left - 1)
            coded.append(0)
    return np.array(runs, dtype=np.int64), np.array(coded, dtype=np.int64)


def encode(values: NDArray[np.int16]) -> Words:
    """The 64-bit words of a flat feature map; raises UsageError for values that 16 bits do not hold."""
    flat = np.asarray(values).reshape(-1)
    if len(flat) and (flat.min() < -(2**15) or flat.max() >= 2**15):
        raise UsageError("run-length coding is of 16-bit values", got=f"{flat.min()} to {flat.max()}")
    runs, coded = _pairs(flat.astype(np.int16))
    short = -len(runs) % PAIRS
    pairs = np.concatenate([(runs << VALUE_BITS) | (coded & 0xFFFF), np.zeros(short, dtype=np.int64)])
    words: Words = np.zeros(len(pairs) // PAIRS, dtype=np.uint64)
    for place in range(PAIRS):
        shift = np.uint64(1 + place * (RUN_BITS + VALUE_BITS))
        words |= pairs[place::PAIRS].astype(np.uint64) << shift
    if len(words):
        words[-1] |= np.uint64(1)
    return words


def decode(words: Words, length: int) -> NDArray[np.int16]:
    """The values of a map of a known length; raises UsageError where the words hold another number of them."""
    found: list[int] = []
    for word in words.tolist():
        for place in range(PAIRS):
            pair = word >> (1 + place * (RUN_BITS + VALUE_BITS))
            run = pair >> VALUE_BITS & LONGEST_RUN
            value = pair & 0xFFFF
            found += [0] * run
            found.append(value - 2**VALUE_BITS if value >= 2 ** (VALUE_BITS - 1) else value)
    tail = found[length:]
    if len(found) < length or any(tail) or len(tail) >= PAIRS:
        raise UsageError("run-length words hold another map", got=f"{len(found)} values", expected=length)
    return np.array(found[:length], dtype=np.int16)


def coded_words(values: NDArray[np.int16]) -> int:
    """How many 64-bit words ``encode`` makes, without making them.

    >>> coded_words(np.array([0, 0, 5, 0, -7, 0], dtype=np.int16))
    1
    """
    flat = np.asarray(values).reshape(-1)
    places = np.flatnonzero(flat)
    gaps = np.diff(np.concatenate([[-1], places, [len(flat)]])) - 1
    full = int((gaps // (LONGEST_RUN + 1)).sum())
    ends_in_zeros = bool(gaps[-1] % (LONGEST_RUN + 1))
    return -(-(full + len(places) + ends_in_zeros) // PAIRS)


def coded_share(values: NDArray[np.int16]) -> float:
    """Coded over plain size."""
    return 64.0 * coded_words(values) / (VALUE_BITS * max(1, np.asarray(values).size))
