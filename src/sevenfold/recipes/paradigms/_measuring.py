"""What several paradigms need of a run: rows and labels of a split, and a number of its summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from sevenfold.data import Split
from sevenfold.runs.record import RunRecord
from sevenfold.training.representing.features import pixels

__all__ = ["Rows", "figure", "labelled", "mean_of"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Examples of a split as rows of numbers, and their labels."""

    rows: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]


def labelled(split: Split) -> Rows:
    """The pixels of a split's examples, and their labels or numbers to tell, [N] or [N, K]."""
    return Rows(pixels(split), split.targets.cpu().numpy())


def figure(record: RunRecord, name: str) -> float:
    """A number of a run's summary; every finished run of its task has it."""
    found = record.summary[name]
    assert isinstance(found, float), f"{record.id} has no {name}"
    return found


def mean_of(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over several measurements of the same figures."""
    several = list(figures)
    return {name: fmean(one[name] for one in several) for name in several[0]}
