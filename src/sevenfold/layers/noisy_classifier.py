"""A classifier of noisy images, the downward half of a diffusion U-Net with attention in place of pooling.

B batch, C channels, H W pixels, S = side of the coarsest map, K classes.

    noisy images [B, C, H, W], timesteps [B] -conv, levels of the U-Net's way down, middle, norm, SiLU->
        [B, D, S, S] -mean and all S^2 pixels, positions, attention of the mean to all-> logits [B, K]

Dhariwal & Nichol 2021, Diffusion Models Beat GANs on Image Synthesis, section 4.3 ("the downsampling trunk of the
UNet model with an attention pool at the 8x8 layer"); the pool is that of CLIP (Radford et al. 2021).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sevenfold.layers.checking import require_images
from sevenfold.layers.diffusion_unet import DiffusionUNetSpec, UNetLevel, UNetMiddle, halving
from sevenfold.layers.unet_blocks import TimeEmbedding

__all__ = ["AttentionPool", "NoisyClassifier"]


class AttentionPool(nn.Module):
    """The mean pixel looks at itself and at all pixels: [B, D, S, S] -> [B, outputs].

    >>> AttentionPool(8, side=2, heads=2, outputs=3)(torch.zeros(5, 8, 2, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(self, width: int, *, side: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.heads = heads
        self.positions = nn.Parameter(torch.randn(side * side + 1, width) / width**0.5)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.projection = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        pixels_bpd = x.flatten(2).transpose(1, 2)
        all_bpd = torch.cat([pixels_bpd.mean(dim=1, keepdim=True), pixels_bpd], dim=1) + self.positions
        q, k, v = (
            layer(of).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, of in ((self.query, all_bpd[:, :1]), (self.key, all_bpd), (self.value, all_bpd))
        )
        out: Tensor = self.projection(F.scaled_dot_product_attention(q, k, v).flatten(1))
        return out


class NoisyClassifier(nn.Module):
    """Noisy images [B, C, H, W] and timesteps [B] -> logits [B, K].

    Takes the settings of a U-Net, whose ``image`` it needs, and of which ``outputs`` is the number of classes.
    """

    def __init__(self, spec: DiffusionUNetSpec) -> None:
        super().__init__()
        self.spec = spec
        waves = spec.waves or spec.widths[0]
        time = spec.time or 4 * waves
        self.time = TimeEmbedding(waves, time, cosines_first=spec.cosines_first, shift=spec.shift)
        self.enter = nn.Conv2d(spec.channels, spec.widths[0], 3, padding=1)
        self.levels = nn.ModuleList()
        inputs, last = spec.widths[0], len(spec.widths) - 1
        for level, (width, heads) in enumerate(zip(spec.widths, spec.heads, strict=True)):
            several = [inputs] + [width] * (spec.blocks - 1)
            resample = halving(spec, width, time) if level < last else None
            self.levels.append(UNetLevel(spec, several, width, heads, time, resample))
            inputs = width
        self.middle = UNetMiddle(spec, inputs, time)
        self.norm = nn.GroupNorm(spec.groups, inputs, eps=spec.epsilon)
        self.pool = AttentionPool(
            inputs, side=spec.image >> last, heads=max(1, spec.middle_heads), outputs=spec.outputs
        )

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:
        require_images("the classifier's first convolution", x, self.spec.channels, self.spec.image)
        time_be = self.time(steps)
        x = self.enter(x)
        for level in self.levels:
            x = level(x, time_be, None)
        out: Tensor = self.pool(F.silu(self.norm(self.middle(x, time_be, None))))
        return out
