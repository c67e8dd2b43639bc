"""V of each token of a text: a language model whose head gives one number, 0 before anything is learned.

B texts, T tokens, D width.
"""

from __future__ import annotations

from typing import Protocol, cast

from torch import Tensor, nn

__all__ = ["ReadsFeatures", "TokenValues"]


class ReadsFeatures(Protocol):
    """A language model that can say what its head reads."""

    def features(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] -> [B, T, D]."""
        ...


class TokenValues(nn.Module):
    """tokens [B, T] -> values [B, T]; position t has read tokens 0..t."""

    def __init__(self, reader: ReadsFeatures, width: int) -> None:
        super().__init__()
        self.reader = cast(nn.Module, reader)
        self.head = nn.Linear(width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        features = cast(ReadsFeatures, self.reader).features(tokens)
        values: Tensor = self.head(features).squeeze(-1)
        return values
