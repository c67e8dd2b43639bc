"""Pictures changed at random, so that what they show stays what it is: shifted and mirrored, or distorted strongly.

B batch, C channels (1 or 3), S side; pixels in 0..1. Random numbers are torch's own, one set a picture.

    weak     mirrored with probability 1/2 where mirror images mean the same; shifted by up to an eighth of the
             side, with the border reflected (section 2.3: on all data sets but SVHN, whose digits are not mirrored)
    strong   two operations, each drawn from `OPERATIONS` with a magnitude drawn from its range (RandAugment without
             its global magnitude), then Cutout: a grey square of up to half the side (section 2.3, table 12)

The operations on brightness, contrast, sharpness, posterize, solarize, autocontrast and equalize are those of PIL,
without its rounding to 255 levels after each; geometry is bilinear with black beyond the border.

Sohn et al. 2020, FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence. Cubuk et al. 2019,
RandAugment. DeVries & Taylor 2017, Improved Regularization of Convolutional Neural Networks with Cutout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["OPERATIONS", "Operation", "cut_out", "shifted", "strong", "weak"]

_SHIFT = 0.125
_CUT = 0.5
_GREY = 0.5
_LEVELS = 256
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601-2, as PIL converts to grey


@dataclass(frozen=True)
class Operation:
    """``apply(images [B, C, S, S], magnitudes [B])``; magnitudes are uniform from ``low`` to ``high``."""

    apply: Callable[[Tensor, Tensor], Tensor]
    low: float = 0.0
    high: float = 0.0


def weak(images: Tensor, *, mirrored: bool) -> Tensor:
    """Shifted by up to an eighth of the side and, where asked for, mirrored. [B, C, S, S] -> the same.

    >>> weak(torch.rand(2, 1, 8, 8), mirrored=False).shape
    torch.Size([2, 1, 8, 8])
    """
    if mirrored:
        flip = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
        images = torch.where(flip, images.flip(3), images)
    most = round(_SHIFT * images.shape[-1])
    offsets = torch.randint(0, 2 * most + 1, (2, len(images)), device=images.device)
    return shifted(images, offsets, most)


def shifted(images: Tensor, offsets: Tensor, most: int) -> Tensor:
    """Squares cut out of images whose border is reflected over ``most`` pixels; offsets [2, B] from 0 to 2 most.

    An offset of ``most`` leaves the image as it is, a smaller one moves it down or right.
    """
    if most == 0:
        return images
    side = images.shape[-1]
    padded = F.pad(images, (most, most, most, most), mode="reflect")
    span = torch.arange(side, device=images.device)
    rows, columns = (offset[:, None] + span for offset in offsets)
    batch = torch.arange(len(images), device=images.device)[:, None, None, None]
    channels = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return padded[batch, channels, rows[:, None, :, None], columns[:, None, None, :]]


def strong(images: Tensor, *, operations: int = 2, cut: float = _CUT) -> Tensor:
    """Two operations drawn for each image, then a grey square of up to ``cut`` of the side over it.

    >>> strong(torch.rand(2, 3, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """
    for _ in range(operations):
        images = _operated(images)
    sides = torch.rand(len(images), device=images.device) * cut * images.shape[-1]
    return cut_out(images, torch.rand(2, len(images), device=images.device), sides)


def _operated(images: Tensor) -> Tensor:
    chosen = torch.randint(0, len(OPERATIONS), (len(images),), device=images.device)
    shares = torch.rand(len(images), device=images.device)
    out = images.clone()
    for number, operation in enumerate(OPERATIONS.values()):
        rows = (chosen == number).nonzero().flatten()
        if len(rows):
            magnitudes = operation.low + (operation.high - operation.low) * shares[rows]
            out[rows] = operation.apply(images[rows], magnitudes)
    return out


def cut_out(images: Tensor, centres: Tensor, sides: Tensor) -> Tensor:
    """A grey square over each image: centres [2, B] as shares of the side, sides [B] in pixels.

    A pixel is covered where its middle lies in the square; what lies beyond the border is lost.
    """
    side = images.shape[-1]
    middles = torch.arange(side, device=images.device) + 0.5
    near = (middles - side * centres[..., None]).abs() <= sides[:, None] / 2  # [2, B, S]
    covered = near[0][:, None, :, None] & near[1][:, None, None, :]
    return images.masked_fill(covered, _GREY)


def _wide(magnitudes: Tensor) -> Tensor:
    return magnitudes[:, None, None, None]


def _grey(images: Tensor) -> Tensor:
    """Luminance [B, 1, S, S]."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(_LUMINANCE, dtype=images.dtype, device=images.device)
    return torch.einsum("bchw,c->bhw", images, weights)[:, None]


def _blended(images: Tensor, towards: Tensor, magnitudes: Tensor) -> Tensor:
    return (towards + _wide(magnitudes) * (images - towards)).clamp(0, 1)


def _identity(images: Tensor, magnitudes: Tensor) -> Tensor:
    return images


def _brightness(images: Tensor, magnitudes: Tensor) -> Tensor:
    return _blended(images, torch.zeros_like(images), magnitudes)


def _colour(images: Tensor, magnitudes: Tensor) -> Tensor:
    return _blended(images, _grey(images).expand_as(images), magnitudes)


def _contrast(images: Tensor, magnitudes: Tensor) -> Tensor:
    return _blended(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True).expand_as(images), magnitudes)


def _sharpness(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Between a smoothed image (magnitude 0) and itself; PIL smooths with 1s about a 5, and not at the border."""
    channels = images.shape[1]
    kernel = torch.ones(channels, 1, 3, 3, dtype=images.dtype, device=images.device)
    kernel[:, :, 1, 1] = 5
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel / 13, groups=channels)
    return _blended(images, smooth, magnitudes)


def _autocontrast(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Each channel stretched to 0..1; one of a single value stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-12), images)


def _equalize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """The histogram of each channel made even over 256 levels, by PIL's rule of whole steps."""
    levels = (images * (_LEVELS - 1)).round().long().flatten(2)  # [B, C, P]
    histogram = torch.zeros(*levels.shape[:2], _LEVELS, dtype=torch.int64, device=images.device)
    histogram.scatter_add_(2, levels, torch.ones_like(levels))
    cumulated = histogram.cumsum(2)
    last = histogram.gather(2, levels.amax(2, keepdim=True))  # pixels of the highest level that there is
    step = (levels.shape[2] - last) // (_LEVELS - 1)
    table = ((cumulated - histogram + step // 2) // step.clamp(min=1)).clamp(0, _LEVELS - 1)
    table = torch.where(step > 0, table, torch.arange(_LEVELS, device=images.device))
    return (table.gather(2, levels) / (_LEVELS - 1)).to(images.dtype).view_as(images)


def _posterize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """As many of the eight bits kept as the magnitude says, rounded."""
    unit = 2.0 ** (8 - _wide(magnitudes).round())
    return ((images * (_LEVELS - 1)).round() / unit).floor() * unit / (_LEVELS - 1)


def _solarize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Pixels from the threshold on are inverted."""
    return torch.where(images >= _wide(magnitudes), 1 - images, images)


def _moved(images: Tensor, matrix: list[list[Tensor]]) -> Tensor:
    """The pixel at (x, y), each from -1 to 1 over the picture, is that of the image at matrix (x, y, 1)."""
    theta = torch.stack([torch.stack(row, dim=-1) for row in matrix], dim=-2).to(images.dtype)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Counter-clockwise about the middle."""
    angle = torch.deg2rad(degrees)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _moved(images, [[cosine, -sine, zero], [sine, cosine, zero]])


def _shear_x(images: Tensor, m: Tensor) -> Tensor:
    one, zero = torch.ones_like(m), torch.zeros_like(m)
    return _moved(images, [[one, m, zero], [zero, one, zero]])


def _shear_y(images: Tensor, m: Tensor) -> Tensor:
    one, zero = torch.ones_like(m), torch.zeros_like(m)
    return _moved(images, [[one, zero, zero], [m, one, zero]])


def _translate_x(images: Tensor, m: Tensor) -> Tensor:
    """By a share of the side: the grid is two sides wide."""
    one, zero = torch.ones_like(m), torch.zeros_like(m)
    return _moved(images, [[one, zero, 2 * m], [zero, one, zero]])


def _translate_y(images: Tensor, m: Tensor) -> Tensor:
    one, zero = torch.ones_like(m), torch.zeros_like(m)
    return _moved(images, [[one, zero, zero], [zero, one, 2 * m]])


#: Table 12 of the paper: what strong augmentation draws from.
OPERATIONS: Mapping[str, Operation] = {
    "autocontrast": Operation(_autocontrast),
    "brightness": Operation(_brightness, 0.05, 0.95),
    "colour": Operation(_colour, 0.05, 0.95),
    "contrast": Operation(_contrast, 0.05, 0.95),
    "equalize": Operation(_equalize),
    "identity": Operation(_identity),
    "posterize": Operation(_posterize, 4, 8),
    "rotate": Operation(_rotate, -30, 30),
    "sharpness": Operation(_sharpness, 0.05, 0.95),
    "shear-x": Operation(_shear_x, -0.3, 0.3),
    "shear-y": Operation(_shear_y, -0.3, 0.3),
    "solarize": Operation(_solarize, 0, 1),
    "translate-x": Operation(_translate_x, -0.3, 0.3),
    "translate-y": Operation(_translate_y, -0.3, 0.3),
}
