"""Maxout: a unit is the largest of several linear ones."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Maxout"]


class Maxout(nn.Module):
    """max over ``pieces`` of x W + b for each of ``units``: [B, features] -> [B, units].

    Source: Goodfellow et al. 2013, Maxout Networks, equation 1.

    >>> Maxout(4, units=3, pieces=5)(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(self, features: int, *, units: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(features, units * pieces)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        best: torch.Tensor = self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)
        return best
