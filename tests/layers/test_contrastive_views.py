"""Random views of pictures: crops against slicing, blur against scipy, hue against its own definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sevenfold.layers.contrastive_views import blurred, cropped, hue_turned, view


def pictures(channels=3, side=24, count=4):
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_a_crop_is_the_box_enlarged():
    images = pictures(side=8)
    whole = cropped(images, torch.full((2, 4), 0.5), torch.ones(2, 4))
    assert torch.allclose(whole, images, atol=1e-6)
    # The right upper quarter, enlarged twice: by torch's own resizing of the slice.
    centres, sides = torch.tensor([[0.75], [0.25]]).expand(2, 4), torch.full((2, 4), 0.5)
    quarter = cropped(images, centres, sides)
    theirs = torch.nn.functional.interpolate(images[:, :, :4, 4:], scale_factor=2, mode="bilinear")
    # Inside the box both read the same pixels; at its border torch repeats, and a crop sees what lies beyond.
    assert torch.allclose(quarter[:, :, :7, 1:], theirs[:, :, :7, 1:], atol=1e-5)
    assert not torch.allclose(quarter[:, :, 7], theirs[:, :, 7], atol=1e-3)


def test_blur_is_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = pictures(side=40).double()
    sigmas = torch.tensor([0.3, 0.7, 1.1, 2.0], dtype=torch.float64)
    got = blurred(images, sigmas)
    for ours, image, sigma in zip(got, images, sigmas.tolist(), strict=True):
        theirs = ndimage.gaussian_filter(image.numpy(), (0, sigma, sigma), mode="mirror", radius=(0, 2, 2))
        assert np.abs(ours.numpy() - theirs).max() < 1e-12


def test_hue_turns_colours_and_keeps_greys_and_luminance():
    images = pictures().double()
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    turned = hue_turned(images, torch.full((4,), 0.25, dtype=torch.float64))
    assert (turned - images).abs().max() > 0.1
    assert torch.allclose(
        torch.einsum("bchw,c->bhw", turned, weights), torch.einsum("bchw,c->bhw", images, weights), atol=1e-9
    )
    back = hue_turned(turned, torch.full((4,), 0.75, dtype=torch.float64))
    assert torch.allclose(back, images, atol=1e-9)
    grey = images.mean(1, keepdim=True).expand(4, 3, 24, 24)
    assert torch.allclose(hue_turned(grey, torch.full((4,), 0.3, dtype=torch.float64)), grey, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_random_and_each_pictures_own(channels):
    torch.manual_seed(0)
    image = pictures(channels)[:1]
    settings = {"smallest": 0.3, "mirrored": True, "colour": 1.0, "blur": True}
    many = view(image.expand(60, channels, 24, 24), **settings)
    assert len({one.numpy().tobytes() for one in many}) == 60
    assert float(many.min()) >= 0
    assert float(many.max()) <= 1
    if channels == 3:
        grey = ((many[:, 0] - many[:, 1]).abs().amax((1, 2)) < 1e-6).sum()
        assert 3 <= int(grey) <= 27  # a fifth of them
    torch.manual_seed(0)
    assert torch.equal(view(image.expand(60, channels, 24, 24), **settings), many)


def test_crops_keep_the_area_and_the_picture_that_they_should():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 24).expand(500, 1, 24, 24)
    seen = view(ramp, smallest=0.5, mirrored=False, colour=0.0, blur=False)
    widths = (seen.amax((1, 2, 3)) - seen.amin((1, 2, 3))).numpy()
    assert widths.min() > np.sqrt(0.5 * 3 / 4) - 0.06  # the narrowest box: half the area, three quarters as wide
    assert widths.max() <= 1
    torch.manual_seed(0)
    same = view(ramp, smallest=1.0, mirrored=False, colour=0.0, blur=False)
    assert torch.allclose(same.amin((1, 2, 3)), torch.zeros(500), atol=0.15)
