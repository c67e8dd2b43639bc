"""The blocks of which the U-Nets and autoencoders of diffusion models are made.

B batch, C channels, H W pixels, P = H W, E width of the time embedding, K width of an attention head.

    ResidualBlock     x + conv(dropout(silu(norm(conv(silu(norm(x))) + time)))), same, half or twice the side
    PixelAttention    x + projection(softmax(q k^T / sqrt(K)) v), every pixel looks at every pixel
    Downsample        half the side, by a convolution of stride 2
    Upsample          twice the side, each pixel repeated, then a convolution
    TimeEmbedding     sines and cosines of the timestep, through two linear layers

Ho, Jain & Abbeel 2020, Denoising Diffusion Probabilistic Models, appendix B, after Salimans et al. 2017; scale
and shift from Nichol & Dhariwal 2021; blocks that change the size from Dhariwal & Nichol 2021, section 3.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "Downsample",
    "Modulation",
    "PixelAttention",
    "Resampling",
    "ResidualBlock",
    "TimeEmbedding",
    "Upsample",
    "timestep_waves",
]

Modulation = Literal["shift", "scale-shift"]
Resampling = Literal["none", "down", "up"]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after group norm and SiLU, beside a shortcut: [B, C, H, W] -> [B, C', H', W'].

    The time embedding [B, E] is added between them ("shift"), or scales and shifts the second norm's output
    ("scale-shift", equation AdaGN(h, y) = y_s norm(h) + y_b with y_s = 1 + what the layer gives). ``time=None``: no
    time. ``resampling`` averages 2x2 pixels, or repeats each 2x2, in both branches, after the first norm and SiLU.

    >>> ResidualBlock(8, 16, time=4, groups=4)(torch.zeros(2, 8, 6, 6), torch.zeros(2, 4)).shape
    torch.Size([2, 16, 6, 6])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        time: int | None,
        groups: int = 32,
        epsilon: float = 1e-5,
        dropout: float = 0.0,
        modulation: Modulation = "shift",
        resampling: Resampling = "none",
    ) -> None:
        super().__init__()
        self.modulation = modulation
        self.resampling = resampling
        self.norm1 = nn.GroupNorm(groups, inputs, eps=epsilon)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        parts = 2 if modulation == "scale-shift" else 1
        self.time = None if time is None else nn.Linear(time, parts * outputs)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=epsilon)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time_be: Tensor | None = None) -> Tensor:
        hidden = F.silu(self.norm1(x))
        hidden, x = _resampled(hidden, self.resampling), _resampled(x, self.resampling)
        hidden = self.conv1(hidden)
        if self.time is None:
            hidden = self.norm2(hidden)
        else:
            assert time_be is not None, "a block that was built with time is given it"
            moved = self.time(F.silu(time_be))[:, :, None, None]
            if self.modulation == "shift":
                hidden = self.norm2(hidden + moved)
            else:
                scale, shift = moved.chunk(2, dim=1)
                hidden = self.norm2(hidden) * (1 + scale) + shift
        hidden = self.conv2(self.dropout(F.silu(hidden)))
        out: Tensor = hidden + (x if self.shortcut is None else self.shortcut(x))
        return out


def _resampled(x: Tensor, resampling: Resampling) -> Tensor:
    if resampling == "down":
        return F.avg_pool2d(x, 2)
    if resampling == "up":
        return F.interpolate(x, scale_factor=2.0, mode="nearest")
    return x


class PixelAttention(nn.Module):
    """Self-attention between all pixels, after group norm, added to its input: [B, C, H, W] -> [B, C, H, W].

    >>> PixelAttention(8, heads=2, groups=4)(torch.zeros(2, 8, 6, 6)).shape
    torch.Size([2, 8, 6, 6])
    """

    def __init__(self, channels: int, *, heads: int = 1, groups: int = 32, epsilon: float = 1e-5) -> None:
        super().__init__()
        assert channels % heads == 0, "specs check this"
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels, eps=epsilon)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.projection = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        pixels_bpc = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (
            layer(pixels_bpc).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed_bpc = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = x + self.projection(mixed_bpc).transpose(1, 2).unflatten(2, x.shape[2:])
        return out


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2: [B, C, H, W] -> [B, C, H / 2, W / 2].

    ``padding`` says where the border of zeros lies: on "all" sides, or "after" (right and below, one pixel each),
    as in DDPM's own code and in the autoencoders of latent diffusion.
    """

    def __init__(self, channels: int, *, padding: Literal["all", "after"] = "all") -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1 if padding == "all" else 0)

    def forward(self, x: Tensor, time_be: Tensor | None = None) -> Tensor:
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)) if self.padding == "after" else x)
        return out


class Upsample(nn.Module):
    """Every pixel four times, then a 3x3 convolution: [B, C, H, W] -> [B, C, 2 H, 2 W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, time_be: Tensor | None = None) -> Tensor:
        out: Tensor = self.conv(_resampled(x, "up"))
        return out


def timestep_waves(
    steps: Tensor, width: int, *, cosines_first: bool = False, shift: float = 1.0, longest: float = 10_000.0
) -> Tensor:
    """Sines and cosines of timesteps [B] at width / 2 frequencies from 1 to 1 / ``longest``: [B, width] float32.

    Frequency i of n is longest^(-i / (n - shift)): shift 1 is DDPM's, which reaches the last frequency, shift 0 the
    transformer's. A width that is odd ends in a zero. Source: Vaswani et al. 2017, section 3.5.

    >>> timestep_waves(torch.tensor([0]), 4, cosines_first=True).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """
    half = width // 2
    powers = torch.arange(half, dtype=torch.float32, device=steps.device) * (-math.log(longest) / (half - shift))
    angles = steps.float()[:, None] * powers.exp()[None, :]
    waves = (angles.cos(), angles.sin()) if cosines_first else (angles.sin(), angles.cos())
    return F.pad(torch.cat(waves, dim=1), (0, width % 2))


class TimeEmbedding(nn.Module):
    """Timesteps [B] -> embedding [B, E]: linear(silu(linear(waves of the timestep)))."""

    def __init__(self, waves: int, width: int, *, cosines_first: bool = False, shift: float = 1.0) -> None:
        super().__init__()
        self.waves = waves
        self.cosines_first = cosines_first
        self.shift = shift
        self.expand = nn.Linear(waves, width)
        self.contract = nn.Linear(width, width)

    def forward(self, steps: Tensor) -> Tensor:
        waves = timestep_waves(steps, self.waves, cosines_first=self.cosines_first, shift=self.shift)
        out: Tensor = self.contract(F.silu(self.expand(waves.to(self.expand.weight.dtype))))
        return out
