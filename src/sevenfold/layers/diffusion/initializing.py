"""How the U-Nets of diffusion models begin: every residual branch and the output at zero.

Knows the parts of `layers.unet_blocks` and of `layers.diffusion_unet`.
"""

from __future__ import annotations

from torch import nn

from sevenfold.layers.diffusion_unet import DiffusionUNet
from sevenfold.layers.unet_blocks import PixelAttention, ResidualBlock

__all__ = ["init_ddpm", "zero_branches"]


def init_ddpm(unet: DiffusionUNet) -> None:
    """Uniform with variance 2 / (inputs + outputs), biases zero, branches zero: Ho et al. 2020, the authors' code.

    Their zero is a variance of 1e-10.
    """
    for layer in unet.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    zero_branches(unet)


def zero_branches(unet: DiffusionUNet) -> None:
    """The last layer of every residual block and attention, and of the network, at zero."""
    last: list[nn.Conv2d | nn.Linear] = [unet.leave]
    for part in unet.modules():
        if isinstance(part, ResidualBlock):
            last.append(part.conv2)
        elif isinstance(part, PixelAttention):
            last.append(part.projection)
    for layer in last:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
