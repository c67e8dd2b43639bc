"""DATASETS: name -> how to read it; and ``load``, which reads a choice and takes its subset.

>>> from sevenfold.runs.recipe import DataChoice
>>> len(load(DataChoice(name="digits", fraction=0.5), task="classification").train)
540
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sevenfold.catalog import Catalogue
from sevenfold.data._dataset import Dataset, Split
from sevenfold.data._labels_kept import FewLabelled, PartlyLabelled
from sevenfold.data._splitting import subset
from sevenfold.errors import SevenfoldError, UsageError
from sevenfold.runs.recipe import DataChoice
from sevenfold.spec import Spec

__all__ = ["DATASETS", "DatasetEntry", "check_choice", "load"]


@dataclass(frozen=True)
class DatasetEntry:
    """A data set of the catalogue: what it is for, its settings, and how it is read."""

    name: str
    tasks: tuple[str, ...]
    summary: str
    settings: type[Spec]
    read: Callable[[Any, int, str], Dataset]  # (settings, split_seed, task) -> the whole data set


DATASETS: Catalogue[DatasetEntry] = Catalogue("data set", package="sevenfold.data")


def load(choice: DataChoice, *, task: str, subset_seed: int = 0) -> Dataset:
    """The data set of a choice, split by ``split_seed``, its training part cut to ``fraction``.

    Which examples a subset keeps depends on ``subset_seed`` (a recipe's seed); for one seed smaller subsets lie in
    larger ones. Validation and test parts depend on ``split_seed`` alone. Raises UnknownNameError for an unknown
    data set or setting, UsageError for a task that the data cannot serve, InputFileError for files that are missing
    or damaged.
    """
    settings = check_choice(choice, task=task)
    dataset = DATASETS[choice.name].read(settings, choice.split_seed, task)
    train = dataset.train
    if isinstance(train, (FewLabelled, PartlyLabelled)):
        return dataset.with_train(_labelled(train, choice, subset_seed))
    if choice.fraction == 1.0:
        return dataset
    size = len(train) // train.copies
    kept = subset(size, choice.fraction, subset_seed)
    items = (kept[None, :] + size * np.arange(train.copies, dtype=np.int64)[:, None]).reshape(-1)
    return dataset.with_train(train.take(items))


def check_choice(choice: DataChoice, *, task: str) -> Any:
    """The settings of a choice, nothing read yet; raises for a name, task or setting that `load` would refuse."""
    entry = DATASETS[choice.name]
    if task not in entry.tasks:
        raise UsageError(
            f"data set {choice.name!r} does not serve the task",
            got=task,
            expected=" or ".join(entry.tasks),
        )
    try:
        return entry.settings.from_dict(choice.settings)
    except SevenfoldError as error:
        error.message = f"data set {choice.name!r}: {error.message}"
        raise


def _labelled(train: FewLabelled | PartlyLabelled, choice: DataChoice, seed: int) -> Split:
    if choice.fraction != 1.0:
        raise UsageError(
            f"data set {choice.name!r}: labels says already how much is kept",
            got=f"labels and fraction={choice.fraction:g}",
            expected="fraction=1",
            hint="--set data.labels=20",
        )
    return train.drawn(seed)
