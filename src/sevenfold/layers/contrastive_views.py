"""The two random views of a picture that contrastive learning holds together: cut out, recoloured, blurred.

B batch, C channels (1 or 3), S side; pixels in 0..1. Random numbers are torch's own, one set a picture.

    crop     a part of the picture of random area and aspect ratio (3/4 to 4/3), enlarged to the whole side,
             bilinear without antialiasing; mirrored with probability 1/2 where mirror images mean the same
    colour   with probability 0.8 brightness, contrast, saturation and hue by random factors of strength s, in this
             order; with probability 0.2 grey (appendix A: 0.8 s, 0.8 s, 0.8 s, 0.2 s). Hue is turned in the YIQ
             plane, not in HSV. Grey pictures have brightness and contrast alone
    blur     with probability 1/2, a Gaussian with a sigma of 0.1 to 2, over a tenth of the side (no blur where that
             is less than three pixels)

Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations, section 3 and appendix A.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blurred", "cropped", "hue_turned", "view"]

_LUMINANCE = (0.299, 0.587, 0.114)
_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def view(images: Tensor, *, smallest: float, mirrored: bool, colour: float, blur: bool) -> Tensor:
    """A random view of each image; ``smallest`` is the least area of a crop, ``colour`` the strength s.

    >>> view(torch.rand(2, 1, 8, 8), smallest=0.5, mirrored=False, colour=0.5, blur=False).shape
    torch.Size([2, 1, 8, 8])
    """
    images = cropped(images, *_boxes(images, smallest))
    if mirrored:
        images = torch.where(_chance(images, 0.5), images.flip(3), images)
    if colour:
        images = _recoloured(images, colour)
    if blur and images.shape[-1] >= 20:
        sigmas = _uniform(images, 0.1, 2.0)
        images = torch.where(_chance(images, 0.5), blurred(images, sigmas), images)
    return images.clamp(0, 1)  # interpolation and blur round


def cropped(images: Tensor, centres: Tensor, sides: Tensor) -> Tensor:
    """Boxes of images enlarged to the whole side: centres and sides [2, B] (x, y), each as a share of the side.

    A box of sides 1 in the middle is the image itself.
    """
    zero = torch.zeros_like(sides[0])
    rows = [
        torch.stack([sides[0], zero, 2 * centres[0] - 1], -1),
        torch.stack([zero, sides[1], 2 * centres[1] - 1], -1),
    ]
    grid = F.affine_grid(torch.stack(rows, -2).to(images.dtype), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _boxes(images: Tensor, smallest: float) -> tuple[Tensor, Tensor]:
    """Centres and sides [2, B] of boxes inside the image; a box that would be too long is cut to the side."""
    area = _uniform(images, smallest, 1.0)
    ratio = _uniform(images, -math.log(4 / 3), math.log(4 / 3)).exp()
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()]).clamp(max=1)
    return sides / 2 + torch.rand(2, len(images), device=images.device) * (1 - sides), sides


def _recoloured(images: Tensor, strength: float) -> Tensor:
    span = 0.8 * strength
    changed = images * _wide(_uniform(images, max(0.0, 1 - span), 1 + span))
    changed = changed.clamp(0, 1)
    mean = _grey(changed).mean(dim=(1, 2, 3), keepdim=True)
    changed = (mean + _wide(_uniform(images, max(0.0, 1 - span), 1 + span)) * (changed - mean)).clamp(0, 1)
    if images.shape[1] == 3:
        grey = _grey(changed)
        changed = (grey + _wide(_uniform(images, max(0.0, 1 - span), 1 + span)) * (changed - grey)).clamp(0, 1)
        changed = hue_turned(changed, _uniform(images, -0.2 * strength, 0.2 * strength)).clamp(0, 1)
    images = torch.where(_chance(images, 0.8), changed, images)
    if images.shape[1] == 3:
        images = torch.where(_chance(images, 0.2), _grey(images).expand_as(images), images)
    return images


def hue_turned(images: Tensor, turns: Tensor) -> Tensor:
    """Hues [B, 3, S, S] turned by a share [B] of the circle, with luminance and saturation in YIQ kept."""
    to = torch.tensor(_TO_YIQ, dtype=images.dtype, device=images.device)
    angle = (2 * math.pi * turns).to(images.dtype)
    cosine, sine, one, zero = angle.cos(), angle.sin(), torch.ones_like(angle), torch.zeros_like(angle)
    turn = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], -1).view(-1, 3, 3)
    return torch.einsum("bij,bjhw->bihw", torch.linalg.inv(to) @ turn @ to, images)


def blurred(images: Tensor, sigmas: Tensor) -> Tensor:
    """A Gaussian of each image's sigma [B] in pixels, cut off at a tenth of the side; the border is reflected."""
    batch, channels, side = images.shape[:3]
    reach = max(1, side // 20)
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = (-(offsets**2) / (2 * sigmas[:, None].to(images.dtype) ** 2)).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    flat = images.reshape(1, batch * channels, side, side)
    flat = F.conv2d(F.pad(flat, (reach, reach, 0, 0), "reflect"), kernel[:, :, None, :], groups=len(kernel))
    flat = F.conv2d(F.pad(flat, (0, 0, reach, reach), "reflect"), kernel[:, :, :, None], groups=len(kernel))
    return flat.view_as(images)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(_LUMINANCE, dtype=images.dtype, device=images.device)
    return torch.einsum("bchw,c->bhw", images, weights)[:, None]


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(len(images), device=images.device)


def _chance(images: Tensor, probability: float) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device) < probability


def _wide(numbers: Tensor) -> Tensor:
    return numbers[:, None, None, None]
