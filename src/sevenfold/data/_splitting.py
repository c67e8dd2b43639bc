"""Who goes to training, validation and test, and which training examples a subset keeps.

Both are pure functions of a seed. It must not know what an item is: it sees labels, and groups of equal items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sevenfold.data.order import order
from sevenfold.errors import UsageError
from sevenfold.spec import Spec

__all__ = ["Parts", "Shares", "equal_groups", "split_by_class", "split_by_size", "subset"]

Indices = npt.NDArray[np.int64]


class Shares(Spec):
    """How much of the data is held out."""

    validation_share: float = Field(default=0.2, gt=0, lt=1, description="share held out for validation")
    test_share: float = Field(default=0.2, gt=0, lt=1, description="share held out for the final test")

    def checked(self) -> Shares:
        """Itself; raises UsageError where nothing is left to train on."""
        if self.validation_share + self.test_share >= 1:
            raise UsageError(
                "nothing is left for training",
                got=f"validation_share {self.validation_share} + test_share {self.test_share}",
                expected="a sum below 1",
            )
        return self


@dataclass(frozen=True)
class Parts:
    """Indices of the three splits, each sorted."""

    train: Indices
    validation: Indices
    test: Indices


def subset(size: int, fraction: float, seed: int) -> Indices:
    """Sorted indices of the ceil(fraction * size) items that a subset keeps; for one seed smaller ones nest."""
    # Rounded first: 0.1 * 30 is 3.0000000000000004 in floating point, and means 3.
    count = min(size, max(1, math.ceil(round(fraction * size, 9))))
    return np.sort(order(seed, 0, 0, count, size, purpose="subset"))


def equal_groups(contents: Sequence[bytes]) -> Indices:
    """A group number for each item; items of equal content share one. Numbers grow in order of appearance."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(content, len(seen)) for content in contents], dtype=np.int64)


def split_by_class(labels: Indices, groups: Indices, shares: Shares, seed: int) -> Parts:
    """Splits with every class in its share; items of one group (equal contents) stay in one split.

    labels [N] and groups [N]. A class with few items gives them to training first. Raises UsageError where
    validation or test would be empty.
    """
    shares.checked()
    first = np.unique(groups, return_index=True)[1]
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    part_of = np.zeros(len(labels), dtype=np.int64)  # 0 training, 1 validation, 2 test
    wanted, given = [0.0, 0.0], [0, 0]
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels[first] == label)
        if not len(of_class):  # every item of this class equals an item of another class
            continue
        shuffled = of_class[order(seed, int(label), 0, len(of_class), len(of_class), purpose="splits")]
        num_items = sum(len(members[group]) for group in shuffled)
        # Totals are rounded over all classes so far, so that each split gets its share of the whole.
        wanted = [wanted[0] + shares.validation_share * num_items, wanted[1] + shares.test_share * num_items]
        spare = num_items - 1
        position = 0
        for part in (0, 1):
            quota = min(round(wanted[part]) - given[part], spare)
            taken = 0
            while taken < quota and position < len(shuffled) - 1:
                rows = members[shuffled[position]]
                part_of[rows] = part + 1
                taken += len(rows)
                position += 1
            given[part] += taken
            spare -= taken
    parts = Parts(*(np.flatnonzero(part_of == part) for part in range(3)))
    if min(len(parts.validation), len(parts.test), len(parts.train)) == 0:
        raise UsageError(
            "too few examples to split into training, validation and test",
            got=f"{len(labels)} examples, {len(first)} of them different",
            expected=f"enough for shares of {shares.validation_share} and {shares.test_share}",
            hint="larger shares, or more data",
        )
    return parts


def split_by_size(sizes: Sequence[int], shares: Shares, seed: int) -> Parts:
    """Splits of whole documents whose sizes add up to the shares, as near as whole documents allow.

    Documents are taken in an order drawn by the seed; each goes to the split that is furthest below its share.
    Needs three documents; raises UsageError for fewer.
    """
    shares.checked()
    if len(sizes) < 3:
        raise UsageError("too few documents to split", got=len(sizes), expected="at least 3")
    goal = [1 - shares.validation_share - shares.test_share, shares.validation_share, shares.test_share]
    total = sum(sizes)
    missing = [share * total for share in goal]
    chosen: list[list[int]] = [[], [], []]
    # The largest documents first would fit best, but then every seed gives nearly the same split.
    for document in order(seed, 0, 0, len(sizes), len(sizes), purpose="splits").tolist():
        part = max(range(3), key=lambda part: missing[part])
        chosen[part].append(document)
        missing[part] -= sizes[document]
    for part in (1, 2):
        if not chosen[part]:  # few documents, one of them huge: take the smallest from the fullest split
            fullest = max(range(3), key=lambda other: len(chosen[other]))
            smallest = min(chosen[fullest], key=lambda document: sizes[document])
            chosen[fullest].remove(smallest)
            chosen[part].append(smallest)
    return Parts(*(np.array(sorted(part), dtype=np.int64) for part in chosen))
