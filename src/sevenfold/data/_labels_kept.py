"""Few labels and many examples without: what is kept of a labelled training split for semi-supervised learning.

N examples, L labels kept (as many of each class), m unlabelled ones beside each labelled one, B batch.

    labels=L                the training split is the L examples that are labelled
    labels=L, unlabelled=m  item i of N: labelled example i mod L, and m examples without their labels, one from
                            each of m shufflings of all N (the labelled ones are among them, as in the paper)

    inputs (labelled [B, ...], unlabelled [B, m, ...]), targets [B]

Which examples are labelled is drawn by the recipe's seed, like a subset. Validation and test keep every label.
Source: Sohn et al. 2020, FixMatch, section 4 (40, 250 and 4,000 labels of CIFAR-10, as many of each class).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import Field

from sevenfold.data._dataset import Dataset, Indices, Inputs, Split
from sevenfold.data.order import order
from sevenfold.errors import UsageError
from sevenfold.spec import Spec

__all__ = ["FewLabelled", "LabelsKept", "PartlyLabelled", "keep_labels", "labelled_of"]


class LabelsKept(Spec):
    """How many labels are kept, and what comes beside them."""

    labels: int = Field(
        default=0, ge=0, description="classification: labels kept in training, as many of each class; 0: all"
    )
    unlabelled: int = Field(
        default=0, ge=0, description="classification: unlabelled examples beside each labelled one, for FixMatch"
    )


@dataclass(frozen=True, eq=False)
class FewLabelled(Split):
    """The few examples of a split whose labels are kept; ``drawn`` says which."""

    whole: Split
    labels: int
    classes: int
    chosen: Indices | None = None  # [L] into the whole; None: not drawn yet

    def __len__(self) -> int:
        return self.labels

    def batch(self, indices: Indices) -> tuple[Inputs, torch.Tensor]:
        assert self.chosen is not None
        return self.whole.batch(self.chosen[indices])

    def take(self, indices: Indices) -> FewLabelled:
        return replace(self, whole=self.whole.take(indices), chosen=None)

    def to(self, device: torch.device | str) -> FewLabelled:
        return replace(self, whole=self.whole.to(device))

    def drawn(self, seed: int) -> FewLabelled:
        """With the examples chosen by ``seed``; for one seed those of 40 labels are among those of 250."""
        return replace(self, chosen=labelled_of(self.whole.targets.cpu().numpy(), self.labels, self.classes, seed))


@dataclass(frozen=True, eq=False)
class PartlyLabelled(Split):
    """All examples of a split without their labels, each beside one of those whose labels are kept."""

    few: FewLabelled
    beside: int
    shufflings: Indices | None = None  # [m, N]

    def __len__(self) -> int:
        return len(self.few.whole)

    def batch(self, indices: Indices) -> tuple[Inputs, torch.Tensor]:
        assert self.shufflings is not None
        labelled, targets = self.few.batch(indices % len(self.few))
        without, _ = self.few.whole.batch(self.shufflings[:, indices].T.reshape(-1))
        assert isinstance(labelled, torch.Tensor)
        assert isinstance(without, torch.Tensor)
        return (labelled, without.view(len(indices), self.beside, *without.shape[1:])), targets

    def take(self, indices: Indices) -> PartlyLabelled:
        return PartlyLabelled(self.few.take(indices), self.beside)

    def to(self, device: torch.device | str) -> PartlyLabelled:
        return replace(self, few=self.few.to(device))

    def drawn(self, seed: int) -> PartlyLabelled:
        """With labels and shufflings by ``seed``."""
        size = len(self)
        rows = [order(seed, number, 0, size, size, purpose="unlabelled") for number in range(self.beside)]
        return PartlyLabelled(self.few.drawn(seed), self.beside, np.stack(rows))


def labelled_of(targets: Indices, labels: int, classes: int, seed: int) -> Indices:
    """Indices of ``labels`` examples, as many of each class, the classes by turns; targets [N] in range(classes).

    >>> labelled_of(np.array([0, 1, 0, 1]), 2, 2, seed=0).shape
    (2,)
    """
    each = labels // classes
    found = []
    for label in range(classes):
        of_class = np.flatnonzero(targets == label)
        if len(of_class) < each:
            raise UsageError(
                "too few examples of a class to label",
                got=f"{len(of_class)} of class {label}",
                expected=f"{each}, for labels={labels}",
                hint=f"--set data.labels={len(of_class) * classes}",
            )
        found.append(of_class[order(seed, label, 0, each, len(of_class), purpose="labels")])
    return np.stack(found, axis=1).reshape(-1)


def keep_labels(dataset: Dataset, settings: LabelsKept) -> Dataset:
    """The data set with few labels in its training split; raises UsageError for numbers that do not fit."""
    if not settings.labels:
        if settings.unlabelled:
            raise UsageError(
                f"data set {dataset.name!r}: unlabelled examples are beside few labelled ones",
                got=f"unlabelled={settings.unlabelled}, labels=0",
                hint="--set data.labels=40",
            )
        return dataset
    if dataset.task != "classification":
        raise UsageError(
            f"data set {dataset.name!r}: labels is for the task classification",
            got=f"labels={settings.labels} for {dataset.task}",
            expected="labels=0",
        )
    classes, size = dataset.num_outputs, len(dataset.train)
    if settings.labels % classes or settings.labels > size:
        raise UsageError(
            f"data set {dataset.name!r}: labels are as many of each class",
            got=f"labels={settings.labels}",
            expected=f"a multiple of {classes}, at most {size}",
            hint=f"--set data.labels={max(1, min(settings.labels, size) // classes) * classes}",
        )
    few = FewLabelled(dataset.train, settings.labels, classes)
    train: Split = PartlyLabelled(few, settings.unlabelled) if settings.unlabelled else few
    return replace(dataset, train=train, unlabelled=settings.unlabelled)
