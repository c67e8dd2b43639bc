"""Digits turned by an angle to tell: equal to scipy's rotation, in the splits of the digits, always the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import rotate

from sevenfold.data import load
from sevenfold.data.rotated_digits import rotated
from sevenfold.errors import SevenfoldError
from sevenfold.runs.recipe import DataChoice


def turned(fraction=1.0, split_seed=0, **settings):
    choice = DataChoice(name="rotated-digits", settings=settings, fraction=fraction, split_seed=split_seed)
    return load(choice, task="regression")


def digits():
    return load(DataChoice(name="digits"), task="classification")


def by_scipy(image, degrees):
    # Padded first: beyond the border scipy has a step where ours fades over one pixel of zeros.
    return rotate(np.pad(image, 4), degrees, reshape=False, order=1)[4:-4, 4:-4]


@pytest.mark.parametrize("degrees", [-45.0, -10.0, 30.0, 90.0, 117.0])
def test_a_rotation_is_scipys(degrees):
    images = digits().test.inputs[:5].double()
    got = rotated(images, torch.full((5,), degrees, dtype=torch.float64))[:, 0].numpy()
    expected = np.stack([by_scipy(image, degrees) for image in images[:, 0].numpy()])
    assert np.abs(got - expected).max() < 1e-12
    clockwise = np.stack([by_scipy(image, -degrees) for image in images[:, 0].numpy()])
    assert np.abs(got - clockwise).max() > 0.1


def test_targets_are_the_angles_that_the_images_were_turned_by():
    whole, data = digits(), turned(limit=30.0, turns=3)
    for plain, split in ((whole.train, data.train), (whole.validation, data.validation), (whole.test, data.test)):
        assert len(split) == 3 * len(plain)
        for item in (0, 7, 2 * len(plain) + 5):
            image = by_scipy(plain.inputs[item % len(plain), 0].numpy(), 30 * float(split.targets[item]))
            assert np.abs(split.inputs[item, 0].numpy() - image).max() < 1e-5
    assert data.num_outputs == 1


def test_angles_are_uniform_within_the_limit():
    targets = turned().train.targets
    assert targets.shape == (8 * 1079, 1)
    assert float(targets.abs().max()) <= 1
    assert abs(float(targets.mean())) < 4 * 3**-0.5 / len(targets) ** 0.5
    assert float(targets.square().mean()) == pytest.approx(1 / 3, abs=0.015)


def test_a_subset_keeps_all_turns_of_a_digit_and_the_seed_fixes_the_angles():
    data = turned(fraction=0.1)
    assert (len(data.train), data.train.copies) == (8 * 108, 8)
    whole = turned()
    assert torch.equal(whole.test.targets, data.test.targets)
    assert not torch.equal(whole.test.targets, turned(split_seed=1).test.targets)
    kept = {image.numpy().tobytes() for image in data.train.inputs}
    assert kept < {image.numpy().tobytes() for image in whole.train.inputs}
    assert whole.train.take(np.array([3, 9, 4])).copies == 1


def test_what_makes_no_sense_is_told():
    for settings in ({"limit": 0}, {"turns": 0}, {"limit": 200.0}, {"angle": 3}):
        with pytest.raises(SevenfoldError) as told:
            turned(**settings)
        assert "\n" not in str(told.value)
    with pytest.raises(SevenfoldError, match="does not serve"):
        load(DataChoice(name="rotated-digits"), task="classification")
