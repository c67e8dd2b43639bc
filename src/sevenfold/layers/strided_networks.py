"""The convolutional generator and discriminator of DCGAN, which the first Wasserstein GAN trains too.

B batch, C channels, S image side (a power of two), Z latent numbers, W width, F = side of the first maps (4).

    generator       z [B, Z, 1, 1] -> F x F x (S / 2F) W -> ... -> S/2 x S/2 x W -> S x S x C
                    transposed convolutions: FxF from a point, then 4x4 of stride 2, each with batch normalization
                    and relu; tanh at the end
    discriminator   S x S x C -> S/2 x S/2 x W -> ... -> F x F x (S / 2F) W -> 1
                    4x4 convolutions of stride 2 with leaky relu (0.2), and batch normalization but for the first;
                    FxF to a point at the end

No convolution has a bias. With S = 64, C = 3, Z = 100, W = 64: 3,576,704 and 2,765,568 parameters.

Source: Radford, Metz & Chintala 2015, section 3 and figure 1. The figure leaves open how latents become the first
maps and what the discriminator ends in; both are as above in the implementation that most have used since, the
authors' of torch (github.com/pytorch/examples, dcgan), to whose count these are held.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from sevenfold.errors import SpecError

__all__ = ["StridedDiscriminator", "StridedGenerator", "require_doublings", "start_normal"]

_KERNEL = 4


class StridedGenerator(nn.Sequential):
    """Latents [B, Z] -> images [B, C, S, S] in -1..1.

    >>> StridedGenerator(latent=5, channels=1, image=8, width=2, first=4)(torch.zeros(2, 5)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, *, latent: int, channels: int, image: int, width: int, first: int) -> None:
        maps = widths(image, width, first)[::-1]
        layers: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
        layers += _up(latent, maps[0], first, stride=1, padding=0)
        for narrow, wide in zip(maps[1:], maps[:-1], strict=True):
            layers += _up(wide, narrow, _KERNEL, stride=2, padding=1)
        layers += [nn.ConvTranspose2d(maps[-1], channels, _KERNEL, 2, 1, bias=False), nn.Tanh()]
        super().__init__(*layers)
        start_normal(self)


class StridedDiscriminator(nn.Sequential):
    """Images [B, C, S, S] -> logits or scores [B]."""

    def __init__(self, *, channels: int, image: int, width: int, first: int) -> None:
        maps = widths(image, width, first)
        layers: list[nn.Module] = [nn.Conv2d(channels, maps[0], _KERNEL, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for narrow, wide in pairwise(maps):
            layers += [nn.Conv2d(narrow, wide, _KERNEL, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(maps[-1], 1, first, bias=False), nn.Flatten(0)]
        super().__init__(*layers)
        start_normal(self)


def require_doublings(image: int, first: int) -> None:
    """SpecError unless the image's side is the first maps' side doubled once or more."""
    side = first
    while side < image:
        side *= 2
    if side != image or image == first:
        raise SpecError(
            "image does not fit",
            got=f"{image} pixels a side with first={first}",
            expected=f"{first} times 2, 4, 8, ...",
            hint=f"image={max(side, 2 * first)}",
        )


def widths(image: int, width: int, first: int) -> list[int]:
    """Maps from S/2 down to the first side: W, 2 W, 4 W, ...

    >>> widths(64, 64, 4)
    [64, 128, 256, 512]
    """
    maps = [width]
    side = image // 2
    while side > first:
        side //= 2
        maps.append(2 * maps[-1])
    return maps


def _up(inputs: int, maps: int, kernel: int, *, stride: int, padding: int) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(inputs, maps, kernel, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(maps), nn.ReLU()]


def start_normal(network: nn.Module) -> None:
    """Filters N(0, 0.02) (section 4), batch normalization's scales N(1, 0.02) (the implementation)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
