"""Images to learn to sample from: alone, or with the class that is asked for. It must not know which images.

batch(indices) -> (images [B, C, H, W], labels [B])              condition "none"
                  ((images, labels [B]), labels [B])             condition "class"
                  ((targets, sources [B, C, H, W]), labels [B])  condition "image": class 1 and class 0, no pairs
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from sevenfold.data._dataset import Dataset, Indices, Inputs, Split
from sevenfold.errors import UsageError
from sevenfold.spec import Spec

__all__ = ["ClassConditioned", "Conditioning", "UnpairedSplit", "conditioned", "enlarged", "for_task"]


class Conditioning(Spec):
    """What a model that learns to sample is told beside the image."""

    condition: Literal["none", "class", "image"] = Field(
        default="none",
        description="none; class: the image's label; image: of two classes without pairs, an image of the first",
    )


@dataclass(frozen=True, eq=False)
class ClassConditioned(Split):
    """A split of (images, labels) whose inputs hold the labels too."""

    images: Split

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Indices) -> tuple[Inputs, torch.Tensor]:
        inputs, labels = self.images.batch(indices)
        assert isinstance(inputs, torch.Tensor)
        return (inputs, labels), labels

    def take(self, indices: Indices) -> ClassConditioned:
        return ClassConditioned(self.images.take(indices))

    def to(self, device: torch.device | str) -> ClassConditioned:
        return ClassConditioned(self.images.to(device))

    @property
    def copies(self) -> int:
        return self.images.copies


@dataclass(frozen=True, eq=False)
class UnpairedSplit(Split):
    """Images of two domains side by side, which have nothing to do with each other; labels are the targets'.

    As many as the larger domain has; the smaller one is gone through again.
    """

    of_targets: Split
    of_sources: Split

    @classmethod
    def of_classes(cls, labelled: Split, name: str) -> UnpairedSplit:
        """Class 0 as sources and class 1 as targets; UsageError where there are others, or one is missing."""
        labels = labelled.targets.cpu().numpy()
        found = sorted({int(label) for label in labels})
        if found != [0, 1]:
            raise UsageError(
                f"data set {name!r} does not hold two kinds of image",
                got=f"classes {', '.join(map(str, found[:10]))} in a split",
                expected="two classes, each in every split",
            )
        sources, targets = (np.flatnonzero(labels == label) for label in (0, 1))
        return cls(labelled.take(targets), labelled.take(sources))

    def __len__(self) -> int:
        return max(len(self.of_targets), len(self.of_sources))

    def batch(self, indices: Indices) -> tuple[Inputs, torch.Tensor]:
        targets, labels = self.of_targets.batch(indices % len(self.of_targets))
        sources, _ = self.of_sources.batch(indices % len(self.of_sources))
        assert isinstance(targets, torch.Tensor)
        assert isinstance(sources, torch.Tensor)
        return (targets, sources), labels

    def take(self, indices: Indices) -> UnpairedSplit:
        return UnpairedSplit(
            *(one.take(np.unique(indices % len(one))) for one in (self.of_targets, self.of_sources))
        )

    def to(self, device: torch.device | str) -> UnpairedSplit:
        return UnpairedSplit(self.of_targets.to(device), self.of_sources.to(device))


def for_task(task: str, labelled: Dataset, settings: Conditioning) -> Dataset:
    """Labelled images, as a task takes them; raises UsageError for a condition that the task has no use for."""
    if task != "generation":
        if settings.condition != "none":
            raise UsageError(
                f"data set {labelled.name!r}: condition is for the task generation",
                got=f"condition={settings.condition} for {task}",
                expected="condition=none",
            )
        return labelled
    if len(labelled.input_shape) != 3:
        raise UsageError(
            f"data set {labelled.name!r} holds no images to learn to sample",
            got=f"inputs of shape {list(labelled.input_shape)}",
            expected="[channels, height, width]",
        )
    train, validation, test = (
        conditioned(split, settings, labelled.name)
        for split in (labelled.train, labelled.validation, labelled.test)
    )
    told = settings.condition == "class"
    return replace(
        labelled,
        task=task,
        num_outputs=labelled.num_outputs if told else 0,
        train=train,
        validation=validation,
        test=test,
    )


def conditioned(labelled: Split, settings: Conditioning, name: str) -> Split:
    """Labelled images with what a model is told beside them."""
    if settings.condition == "class":
        return ClassConditioned(labelled)
    return UnpairedSplit.of_classes(labelled, name) if settings.condition == "image" else labelled


def enlarged(images: torch.Tensor, times: int) -> torch.Tensor:
    """Every pixel of [N, C, H, W] repeated ``times`` in both directions: no new information, and no new levels."""
    return images.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
