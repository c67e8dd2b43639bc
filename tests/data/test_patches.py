"""Patches of photographs: splits that share no pixel, exact bytes, and every setting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sevenfold.data import load
from sevenfold.data._photographs import photographs
from sevenfold.errors import SpecError, UsageError
from sevenfold.runs.recipe import DataChoice


def read(split_seed=0, fraction=1.0, **settings):
    choice = DataChoice(name="patches", settings=settings, split_seed=split_seed, fraction=fraction)
    return load(choice, task="generation")


@pytest.mark.parametrize(
    ("image", "channels", "a_block"), [(16, 1, 6 * 7), (32, 1, 4 * 5), (16, 3, 6 * 7), (32, 3, 20)]
)
def test_shapes_and_numbers(image, channels, a_block):
    dataset = read(image=image, channels=channels)
    inputs, labels = dataset.train.batch(np.array([0, len(dataset.train) - 1]))
    assert inputs.shape == (2, channels, image, image)
    assert inputs.dtype == torch.float32
    assert labels.tolist() == [0, 1]
    assert dataset.input_shape == (channels, image, image)
    blocks = [len(part) / a_block for part in (dataset.train, dataset.validation, dataset.test)]
    assert blocks == [84, 28, 28]
    assert "CC BY 2.0" in dataset.provenance.licence
    levels = dataset.train.inputs * 255
    assert torch.equal(levels, levels.round())


def test_no_pixel_is_in_two_splits():
    """Each split's patches are painted back on the photographs; what they cover does not meet."""
    dataset = read(image=16, stride=4)
    pictures, _ = photographs("L")
    wide = [np.lib.stride_tricks.sliding_window_view(picture, (16, 16)) for picture in pictures]
    keys = [{} for _ in pictures]
    for picture, windows in enumerate(wide):
        for row in range(windows.shape[0]):
            for column in range(0, windows.shape[1], 4):  # blocks begin at multiples of 64, patches at 4 more
                keys[picture].setdefault(windows[row, column].tobytes(), []).append((row, column))
    covered = {}
    for name in ("train", "validation", "test"):
        split = getattr(dataset, name)
        mask = [np.zeros(picture.shape, bool) for picture in pictures]
        for image, label in zip((split.inputs[:, 0] * 255).byte().numpy(), split.targets.tolist(), strict=True):
            places = keys[label][image.tobytes()]
            if len(places) == 1:  # a flat piece of sky stands in several places
                ((row, column),) = places
                mask[label][row : row + 16, column : column + 16] = True
        covered[name] = np.concatenate([one.ravel() for one in mask])
    assert (covered["train"].mean(), covered["test"].mean()) == pytest.approx((0.54, 0.18), abs=0.06)
    assert not (covered["train"] & covered["validation"]).any()
    assert not (covered["train"] & covered["test"]).any()
    assert not (covered["validation"] & covered["test"]).any()


def test_a_function_of_the_seed_and_smaller_sets_nest():
    first, again, other = read(1), read(1), read(2)
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert not torch.equal(first.test.inputs, other.test.inputs)
    assert len(read(fraction=0.25).train) == 882


def test_refusals():
    with pytest.raises(SpecError, match="image"):
        read(image=20)
    with pytest.raises(UsageError, match="does not serve the task: got classification, expected generation"):
        load(DataChoice(name="patches"), task="classification")
    with pytest.raises(UsageError, match="nothing is left"):
        read(validation_share=0.6, test_share=0.5)
