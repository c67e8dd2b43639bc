"""What no model at all gives, so that a number means something: independent pixels in bits.

Each pixel's level is drawn from its own histogram over the training images, whatever the other pixels are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["pixel_bits"]

_ADDED = 0.5  # to every count, so that no level has probability 0 (Krichevsky & Trofimov 1981)


def pixel_bits(train: Tensor, test: Tensor, levels: int) -> float:
    """Bits per dimension of test images [M, ...] under the histograms of each pixel of training images [N, ...].

    Pixels are multiples of 1 / (levels - 1) in 0..1.

    >>> round(pixel_bits(torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([[0.0]]), 2), 4)  # 2.5 of 4
    0.6781
    """
    counted, asked = (_as_levels(images, levels) for images in (train, test))
    counts = torch.full((counted.shape[1], levels), _ADDED, dtype=torch.float64)
    counts.scatter_add_(1, counted.T, torch.ones(counted.T.shape, dtype=torch.float64))
    logs = (counts / counts.sum(1, keepdim=True)).log()
    return -float(logs.gather(1, asked.T).mean()) / math.log(2)


def _as_levels(images: Tensor, levels: int) -> Tensor:
    scaled = images.flatten(1).double() * (levels - 1)
    rounded = scaled.round()
    if float((scaled - rounded).abs().max()) > 1e-3:
        raise UsageError(
            "pixels are not of these levels", got=f"{levels} levels", expected="multiples of 1 / (levels - 1)"
        )
    return rounded.long()
