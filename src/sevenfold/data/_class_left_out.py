"""A class that training never shows, an anomaly in the test part. It must not know what a class is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from sevenfold.data._dataset import Dataset, Split
from sevenfold.errors import UsageError
from sevenfold.spec import Spec

__all__ = ["ClassLeftOut", "leave_out"]


class ClassLeftOut(Spec):
    """Which class is kept from the model."""

    without: int | None = Field(
        default=None, ge=0, description="a class that training and validation leave out; the test part keeps it"
    )


def leave_out(labelled: Dataset, settings: ClassLeftOut) -> Dataset:
    """The data set without a class in training and validation; raises UsageError for a class that is not there."""
    unwanted = settings.without
    if unwanted is None:
        return labelled
    if unwanted >= labelled.num_outputs:
        raise UsageError(
            f"data set {labelled.name!r} has no such class to leave out",
            got=f"without={unwanted}",
            expected=f"0 to {labelled.num_outputs - 1}",
        )

    def others(split: Split) -> Split:
        return split.take(np.flatnonzero(split.targets.cpu().numpy() != unwanted).astype(np.int64))

    train = others(labelled.train)
    return replace(labelled, train=train, validation=others(labelled.validation), num_train_whole=len(train))
