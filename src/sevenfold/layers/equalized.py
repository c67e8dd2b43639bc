"""Layers whose weights have unit variance and are scaled as they are used, and what goes with them in StyleGAN.

B batch, C maps, S side. A weight is drawn from N(0, 1) and multiplied by gain / sqrt(inputs) at every use, so that
Adam's steps are of one relative size everywhere ("equalized learning rate", Karras et al. 2018, section 4.1);
`rate` below 1 slows a layer down further.

>>> doubled(torch.tensor([[[[1.0, 2.0]]]])).tolist()
[[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "AdaptiveInstanceNorm",
    "EqualizedConvolution",
    "EqualizedLinear",
    "blurred",
    "doubled",
    "halved",
    "leaky",
    "unit_features",
    "with_deviation",
]

RELU_GAIN = math.sqrt(2)


class EqualizedLinear(nn.Module):
    """[B, inputs] -> [B, outputs]; weights N(0, 1 / rate^2), used times rate gain / sqrt(inputs)."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = RELU_GAIN, rate: float = 1.0) -> None:
        super().__init__()
        self.scale, self.rate = rate * gain / math.sqrt(inputs), rate
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualizedConvolution(nn.Module):
    """[B, inputs, S, S] -> [B, maps, S, S]; weights N(0, 1), used times gain / sqrt(inputs kernel^2)."""

    def __init__(self, inputs: int, maps: int, kernel: int, *, gain: float = RELU_GAIN, bias: bool = True) -> None:
        super().__init__()
        self.scale, self.padding = gain / math.sqrt(inputs * kernel**2), kernel // 2
        self.weight = nn.Parameter(torch.randn(maps, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(maps)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class AdaptiveInstanceNorm(nn.Module):
    """AdaIN: each map at mean 0 and deviation 1, then given the scale and the shift that a style says.

    x [B, C, S, S], w [B, styles] -> (1 + s) (x - mean) / deviation + t, (s, t) an affine map of w. Source: Karras
    et al. 2019, equation 1; the 1, so that styles of zero change nothing, as in the authors' release.
    """

    def __init__(self, maps: int, styles: int) -> None:
        super().__init__()
        self.style = EqualizedLinear(styles, 2 * maps, gain=1.0)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scale, shift = self.style(w)[:, :, None, None].chunk(2, dim=1)
        centred = x - x.mean((2, 3), keepdim=True)
        normal = centred * torch.rsqrt(centred.square().mean((2, 3), keepdim=True) + 1e-8)
        out: Tensor = normal * (1 + scale) + shift
        return out


def leaky(x: Tensor) -> Tensor:
    """x, and a fifth of it below zero."""
    return F.leaky_relu(x, 0.2)


def unit_features(x: Tensor) -> Tensor:
    """[B, features] scaled to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def doubled(x: Tensor) -> Tensor:
    """Each place four times: [B, C, S, S] -> [B, C, 2 S, 2 S]."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def halved(x: Tensor) -> Tensor:
    """The mean of each 2x2: [B, C, S, S] -> [B, C, S / 2, S / 2]."""
    return F.avg_pool2d(x, 2)


def blurred(x: Tensor) -> Tensor:
    """[1, 2, 1] / 4 along rows and along columns, zeros beyond the edge.

    >>> blurred(torch.tensor([[[[16.0, 0.0]]]])).tolist()
    [[[[4.0, 2.0]]]]
    """
    line = torch.tensor([1.0, 2.0, 1.0], device=x.device, dtype=x.dtype) / 4
    kernel = (line[:, None] * line[None]).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def with_deviation(x: Tensor, group: int = 4) -> Tensor:
    """One more map: how much the batch varies. [B, C, S, S] -> [B, C + 1, S, S].

    The deviation over ``group`` examples (fewer where the batch is no multiple), a mean over maps and places. It
    lets a discriminator see that samples are all alike. Source: Karras et al. 2018, section 3.
    """
    batch, _, height, width = x.shape
    size = next(size for size in range(min(group, batch), 0, -1) if batch % size == 0)
    groups = x.reshape(size, batch // size, *x.shape[1:])
    deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, deviation.repeat(size)[:, None, None, None].expand(batch, 1, height, width)], dim=1)
