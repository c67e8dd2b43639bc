"""Images to learn to sample from: alone, or with the class that is asked for. It must not know which images.

batch(indices) -> (images [B, C, H, W], labels [B])              condition "none"
                  ((images, labels [B]), labels [B])             condition "class"
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import Field

from sevenfold.data._dataset import Dataset, Indices, Inputs, Split
from sevenfold.errors import UsageError
from sevenfold.spec import Spec

__all__ = ["ClassConditioned", "Conditioning", "enlarged", "for_task"]


class Conditioning(Spec):
    """What a model that learns to sample is told beside the image."""

    condition: Literal["none", "class"] = Field(default="none", description="none, or class: the image's label")


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
    told = settings.condition == "class"
    return replace(
        labelled,
        task=task,
        num_outputs=labelled.num_outputs if told else 0,
        train=ClassConditioned(labelled.train) if told else labelled.train,
        validation=ClassConditioned(labelled.validation) if told else labelled.validation,
        test=ClassConditioned(labelled.test) if told else labelled.test,
    )


def enlarged(images: torch.Tensor, times: int) -> torch.Tensor:
    """Every pixel of [N, C, H, W] repeated ``times`` in both directions: no new information, and no new levels."""
    return images.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
