"""A model that takes unlabelled examples beside the labelled ones, in training only."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

__all__ = ["LearnsUnlabelled"]


class LearnsUnlabelled(ABC):
    """``model(labelled [B, ...], unlabelled [B, m, ...])``; in evaluation the second is not looked at."""

    @abstractmethod
    def forward(self, pixels: Tensor, unlabelled: Tensor | None = None) -> Tensor:
        """Logits [B, K] of the labelled examples."""
