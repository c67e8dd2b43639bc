"""Augmentations against PIL's operations, and what weak and strong ones may do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from sevenfold.layers.augmentation import OPERATIONS, cut_out, shifted, strong, weak


def pictures(channels=3, side=12, seed=0):
    """Two pictures [2, C, S, S] of whole levels, not of the whole range."""
    levels = np.random.default_rng(seed).integers(20, 220, (2, channels, side, side))
    return torch.from_numpy(levels).float() / 255


def as_pil(image):
    levels = (image * 255).round().byte().numpy()
    return Image.fromarray(levels[0]) if len(levels) == 1 else Image.fromarray(levels.transpose(1, 2, 0))


def from_pil(image):
    array = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(array)[None] if array.ndim == 2 else torch.from_numpy(array).permute(2, 0, 1)


THEIRS = {
    "autocontrast": lambda image, m: ImageOps.autocontrast(image),
    "brightness": lambda image, m: ImageEnhance.Brightness(image).enhance(m),
    "colour": lambda image, m: ImageEnhance.Color(image).enhance(m),
    "contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(m),
    "equalize": lambda image, m: ImageOps.equalize(image),
    "identity": lambda image, m: image,
    "posterize": lambda image, m: ImageOps.posterize(image, round(m)),
    "sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(m),
    "solarize": lambda image, m: ImageOps.solarize(image, round(m * 255)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(THEIRS))
def test_colours_are_pils(name, channels):
    images = pictures(channels, side=40)
    operation = OPERATIONS[name]
    magnitudes = torch.tensor([operation.low + 0.3 * (operation.high - operation.low), operation.high])
    if name == "solarize":
        magnitudes = torch.tensor([77 / 255, 200 / 255])
    got = operation.apply(images, magnitudes)
    theirs = torch.stack(
        [from_pil(THEIRS[name](as_pil(one), m)) for one, m in zip(images, magnitudes.tolist(), strict=True)]
    )
    # PIL rounds to 255 levels, the contrast's mean and a smoothed pixel too; equal but for these roundings.
    assert (got - theirs).abs().max() < 2.01 / 255
    exact = name in ("equalize", "identity", "posterize", "solarize")
    assert not exact or torch.allclose(got, theirs, atol=1e-6)
    if name not in ("identity", "posterize", "colour"):
        assert (got - images).abs().max() > 0.05


def test_geometry_of_quarter_turns_whole_shifts_and_shears():
    images = pictures()
    turned = OPERATIONS["rotate"].apply(images, torch.tensor([90.0, 180.0]))
    assert torch.allclose(turned[0], images[0].rot90(1, (1, 2)), atol=1e-5)  # counter-clockwise
    assert torch.allclose(turned[1], images[1].rot90(2, (1, 2)), atol=1e-5)
    left = OPERATIONS["translate-x"].apply(images, torch.tensor([0.25, -0.25]))
    assert torch.allclose(left[0, :, :, :9], images[0, :, :, 3:], atol=1e-5)
    assert not left[0, :, :, 9:].any()
    assert torch.allclose(left[1, :, :, 3:], images[1, :, :, :9], atol=1e-5)
    up = OPERATIONS["translate-y"].apply(images, torch.tensor([0.25, 0.25]))
    assert torch.allclose(up[:, :, :9], images[:, :, 3:], atol=1e-5)
    for name, axis in (("shear-x", 2), ("shear-y", 1)):
        sheared = OPERATIONS[name].apply(torch.ones(1, 1, 9, 9), torch.tensor([0.3]))
        middle = sheared[0, 0, 4] if axis == 2 else sheared[0, 0, :, 4]
        assert torch.allclose(middle, torch.ones(9), atol=1e-5)  # the axis stays
        assert float(sheared.sum()) < 80  # corners left the picture


def test_rotation_is_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = pictures(channels=1, side=9)
    got = OPERATIONS["rotate"].apply(images, torch.tensor([25.0, -10.0]))
    for one, ours, degrees in zip(images, got, (25.0, -10.0), strict=True):
        theirs = ndimage.rotate(one[0].numpy(), degrees, reshape=False, order=1, mode="grid-constant")
        assert np.abs(ours[0].numpy() - theirs).max() < 1e-4


def test_weak_moves_by_one_pixel_of_eight_and_reflects():
    torch.manual_seed(0)
    image = pictures(channels=1, side=8)[:1]
    padded = np.pad(image[0, 0].numpy(), 1, mode="reflect")
    allowed = {padded[r : r + 8, c : c + 8].tobytes() for r in range(3) for c in range(3)}
    seen = {one[0].numpy().tobytes() for one in weak(image.expand(300, 1, 8, 8), mirrored=False)}
    assert seen == allowed
    assert torch.equal(shifted(image, torch.ones(2, 1, dtype=torch.int64), 1), image)
    mirrored = {one[0].numpy().tobytes() for one in weak(image.expand(600, 1, 8, 8), mirrored=True)}
    flipped = padded[:, ::-1]
    assert mirrored == allowed | {flipped[r : r + 8, c : c + 8].tobytes() for r in range(3) for c in range(3)}


def test_cutout_covers_the_square_and_nothing_else():
    images = torch.ones(2, 1, 8, 8)
    got = cut_out(images, torch.tensor([[0.5, 0.0], [0.5, 0.0]]), torch.tensor([4.0, 4.0]))
    assert (got[0, 0, 2:6, 2:6] == 0.5).all()
    assert (got[0] == 1).sum() == 64 - 16
    assert (got[1, 0, :2, :2] == 0.5).all()  # the rest of that square is beyond the border
    assert (got[1] == 1).sum() == 64 - 4


def test_strong_draws_every_operation_anew_for_each_picture():
    torch.manual_seed(0)
    image = pictures(channels=1, side=8)[:1]
    many = strong(image.expand(200, 1, 8, 8))
    assert len({one.numpy().tobytes() for one in many}) > 190
    assert float(many.min()) >= 0
    assert float(many.max()) <= 1
    assert len(OPERATIONS) == 14  # the paper's table
    torch.manual_seed(0)
    assert torch.equal(strong(image.expand(200, 1, 8, 8)), many)
    only_cut = strong(image.expand(50, 1, 8, 8), operations=0)
    changed = (only_cut != image).flatten(1).sum(1)
    assert int(changed.max()) <= 25  # a square of half the side covers the middles of 4 or 5 pixels a row
