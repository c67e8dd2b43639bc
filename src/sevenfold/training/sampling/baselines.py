"""What no model at all gives, so that a number means something: independent pixels, in bits and as images.

Each pixel's level is drawn from its own histogram over the training images, whatever the other pixels are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["independent_pixels", "pixel_bits"]

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


def independent_pixels(train: Tensor, num: int, labels: Tensor | None, asked: Tensor | None) -> Tensor:
    """Images [num, C, H, W] whose every pixel is that of a training image [N, C, H, W] drawn for it alone.

    With the classes of the training images and those asked for, the training image has the asked class.
    """
    draw = torch.Generator().manual_seed(0)
    flat = train.flatten(1)
    if labels is None or asked is None:
        rows = torch.randint(len(flat), (num, flat.shape[1]), generator=draw)
        return flat.gather(0, rows).reshape(num, *train.shape[1:])
    images = torch.empty(num, flat.shape[1])
    for label in sorted(set(asked.tolist())):
        wanted, of_class = asked == label, flat[labels == label]
        rows = torch.randint(len(of_class), (int(wanted.sum()), flat.shape[1]), generator=draw)
        images[wanted] = of_class.gather(0, rows)
    return images.reshape(num, *train.shape[1:])


def _as_levels(images: Tensor, levels: int) -> Tensor:
    scaled = images.flatten(1).double() * (levels - 1)
    rounded = scaled.round()
    if float((scaled - rounded).abs().max()) > 1e-3:
        raise UsageError(
            "pixels are not of these levels", got=f"{levels} levels", expected="multiples of 1 / (levels - 1)"
        )
    return rounded.long()
