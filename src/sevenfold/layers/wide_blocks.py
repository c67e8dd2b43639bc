"""The body of a wide residual network: a 3x3 stem, three groups of pre-activation blocks, a last norm, and a mean.

B batch, C channels in, M channels out, S side, s stride, k widening factor.

A block normalizes and rectifies before each convolution. Where the number of channels changes, the shortcut is a
1x1 convolution of the normalized and rectified input, not of the input itself, as in the authors' code.

Zagoruyko & Komodakis 2016, Wide Residual Networks, table 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sevenfold.layers.residual import convolution

__all__ = ["GROUPS", "STEM", "WideBlock", "wide_groups"]

STEM = 16
GROUPS = 3


class WideBlock(nn.Module):
    """Norm, ReLU, 3x3, norm, ReLU, dropout, 3x3, added to the input. [B, C, S, S] -> [B, M, S/s, S/s].

    ``slope`` is that of the rectifiers below zero.

    >>> WideBlock(4, 8, stride=2).eval()(torch.zeros(1, 4, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, dropout: float = 0.0, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        self.norm1 = nn.BatchNorm2d(inputs)
        self.convolution1 = convolution(inputs, outputs, kernel=3, stride=stride)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.convolution2 = convolution(outputs, outputs, kernel=3)
        changes = inputs != outputs or stride != 1
        self.projection = convolution(inputs, outputs, kernel=1, stride=stride) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = self._rectified(self.norm1(x))
        branch = self.dropout(self._rectified(self.norm2(self.convolution1(active))))
        branch = self.convolution2(branch)
        out: torch.Tensor = branch + (x if self.projection is None else self.projection(active))
        return out

    def _rectified(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x, self.slope) if self.slope else F.relu(x)


def wide_groups(*, blocks: int, width: int, dropout: float = 0.0, slope: float = 0.0) -> nn.ModuleList:
    """The three groups of ``blocks`` blocks each, over a stem of 16 channels; the last has 64 k channels.

    >>> len(wide_groups(blocks=4, width=2)[0])
    4
    """
    groups = nn.ModuleList()
    inputs = STEM
    for number in range(GROUPS):
        outputs = STEM * width * 2**number
        group = nn.Sequential()
        for position in range(blocks):
            stride = 2 if number > 0 and position == 0 else 1
            group.append(WideBlock(inputs, outputs, stride=stride, dropout=dropout, slope=slope))
            inputs = outputs
        groups.append(group)
    return groups
