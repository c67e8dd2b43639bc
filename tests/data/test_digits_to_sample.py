"""The digits as images to learn to sample from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sevenfold.data import load
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice


def digits(**settings):
    return load(DataChoice(name="digits", settings=settings), task="generation")


def test_the_same_digits_in_the_same_splits():
    plain = load(DataChoice(name="digits"), task="classification")
    shown = digits()
    assert shown.num_outputs == 0
    assert torch.equal(shown.train.inputs, plain.train.inputs)
    assert torch.equal(shown.test.targets, plain.test.targets)


def test_with_their_class():
    shown = digits(condition="class")
    (images, labels), targets = shown.train.take(np.arange(7)).batch(np.array([3, 0]))
    assert images.shape == (2, 1, 8, 8)
    assert torch.equal(labels, targets)
    assert shown.num_outputs == 10


def test_enlarged_pixels_are_repeated():
    small, large = digits().train.inputs, digits(image=16).train.inputs
    assert large.shape[1:] == (1, 16, 16)
    assert torch.equal(large[:, :, ::2, ::2], small)
    assert torch.equal(large[:, :, 1::2, 1::2], small)


def test_a_condition_is_for_generation():
    with pytest.raises(UsageError, match="for the task generation"):
        load(DataChoice(name="digits", settings={"condition": "class"}), task="classification")
