"""The digits as images to learn to sample from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sevenfold.data import arrays, load
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
    for setting in ({"condition": "class"}, {"image": 16}):
        with pytest.raises(UsageError, match="for the task generation"):
            load(DataChoice(name="digits", settings=setting), task="classification")


def test_a_callers_images_and_a_folder_of_images(tmp_path):
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (40, 3, 6, 6), dtype=np.uint8)
    choice = arrays(pixels / 255, np.arange(40) % 4).register()
    dataset = load(choice.with_changes({"settings.condition": "class"}), task="generation")
    (images, labels), _ = dataset.train.batch(np.arange(2))
    assert images.shape == (2, 3, 6, 6)
    assert labels.shape == (2,)
    assert dataset.num_outputs == 4
    with pytest.raises(UsageError, match=r"pixels in 0\.\.1"):
        load(arrays(pixels, np.arange(40) % 4).register(), task="generation")
    with pytest.raises(UsageError, match="no images"):
        load(arrays(draw.random((40, 5)), np.arange(40) % 4).register(), task="generation")
    for number, image in enumerate(pixels):
        folder = tmp_path / f"class-{number % 4}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number}.png")
    dataset = load(DataChoice(name=f"folder:{tmp_path}"), task="generation")
    assert dataset.train.batch(np.arange(2))[0].shape == (2, 3, 6, 6)
    assert dataset.num_outputs == 0


def test_rows_of_the_hub_without_labels(tmp_path):
    datasets = pytest.importorskip("datasets")
    draw = np.random.default_rng(0)
    pictures = [Image.fromarray(draw.integers(0, 255, (9, 12, 3), dtype=np.uint8)) for _ in range(30)]
    rows = datasets.Dataset.from_dict({"image": pictures}, features=datasets.Features({"image": datasets.Image()}))
    rows.save_to_disk(tmp_path / "rows")
    choice = DataChoice(name=f"hugging-face:{tmp_path / 'rows'}", settings={"size": 8})
    dataset = load(choice, task="generation")
    assert dataset.train.batch(np.arange(2))[0].shape == (2, 3, 8, 8)
    assert dataset.num_outputs == 0
    with pytest.raises(UsageError, match="label"):
        load(choice, task="classification")
