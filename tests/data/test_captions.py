"""A folder of images with captions: which items come of it, how captions become tokens, what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sevenfold.data import Dataset, load, pinned
from sevenfold.errors import InputFileError, UsageError
from sevenfold.runs.recipe import DataChoice

SETTINGS: dict[str, bool | int | float | str | None] = {"size": 8, "context": 8, "vocabulary": 300}


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    """20 images of one colour each; every fourth has a second caption."""
    root = tmp_path / "photos"
    root.mkdir()
    lines = ["file_name,text"]
    for number in range(20):
        Image.new("RGB", (10, 6), (10 * number, 0, 255 - 10 * number)).save(root / f"{number:02d}.png")
        lines.append(f'{number:02d}.png,"Picture, number {number}"')
        if number % 4 == 0:
            lines.append(f"{number:02d}.png,another view of {number}")
    (root / "metadata.csv").write_text("\n".join(lines))
    return root


def photos(root: Path, **settings: int) -> Dataset:
    return load(DataChoice(name=f"folder:{root}", settings=SETTINGS | settings), task="image-text")


def test_every_caption_of_a_training_image_is_an_item_and_the_first_of_the_others(folder: Path, home: Path) -> None:
    dataset = photos(folder)
    assert (len(dataset.validation), len(dataset.test)) == (4, 4)
    assert 12 < len(dataset.train) <= 12 + 5
    assert dataset.input_shape == (3, 8, 8, 8)
    colours = []
    for split in (dataset.train, dataset.validation, dataset.test):
        inputs, targets = split.batch(np.arange(len(split)))
        assert isinstance(inputs, tuple)
        pictures, tokens = inputs
        assert pictures.shape[1:] == (3, 8, 8)
        assert tokens.shape[1:] == (8,)
        assert targets.tolist() == list(range(len(split)))
        assert int(tokens.max()) == dataset.num_outputs - 1  # the end token is the largest
        assert (tokens[:, 0] == dataset.num_outputs - 2).all()
        colours.append({round(float(red) * 255) for red in pictures[:, 0, 0, 0]})
    assert set().union(*colours) == {10 * number for number in range(20)}
    assert sum(map(len, colours)) == 20  # no image lies in two splits


def test_long_captions_are_cut_and_keep_their_end(folder: Path, home: Path) -> None:
    inputs, _ = photos(folder, context=4).train.batch(np.arange(3))
    assert isinstance(inputs, tuple)
    dataset = photos(folder, context=4)
    assert (inputs[1][:, -1] == dataset.num_outputs - 1).all()


def test_a_batch_is_the_same_wherever_it_is_served(folder: Path, home: Path) -> None:
    split = photos(folder).train
    taken, _ = split.take(np.array([3, 5])).batch(np.array([1, 0]))
    direct, _ = split.to("cpu").batch(np.array([5, 3]))
    for one, two in zip(taken, direct, strict=True):
        assert torch.equal(one, two)


def test_a_changed_folder_is_another_recipe(folder: Path, home: Path) -> None:
    choice = pinned(DataChoice(name=f"folder:{folder}", settings=SETTINGS))
    load(choice, task="image-text")
    table = (folder / "metadata.csv").read_text()
    (folder / "metadata.csv").write_text(table.replace("another view", "a second look"))
    with pytest.raises(InputFileError, match="has changed"):
        load(choice, task="image-text")


def test_what_does_not_fit_is_told(folder: Path, home: Path) -> None:
    with pytest.raises(UsageError, match="does not serve the task: got classification, expected image-text"):
        load(DataChoice(name=f"folder:{folder}", settings=SETTINGS), task="classification")
    (folder / "07.png").unlink()
    with pytest.raises(InputFileError, match=r"a captioned image is missing: got .*07.png"):
        photos(folder)
    (folder / "metadata.csv").write_text("name,text\n1.png,one")
    with pytest.raises(InputFileError, match="with name, text, expected file_name and text"):
        photos(folder)
    (folder / "metadata.csv").write_text("file_name,text\n")
    with pytest.raises(InputFileError, match="a table of captions is empty"):
        photos(folder)


def test_captions_to_sample_by(folder: Path, home: Path) -> None:
    dataset = load(DataChoice(name=f"folder:{folder}", settings=SETTINGS | {"context": 40}), task="generation")
    assert dataset.task == "generation"
    assert dataset.captions is not None
    tokens = dataset.captions.tokens(["Picture, number 7", "another view of 12!"])
    assert dataset.captions.texts(tokens) == ["picture, number 7", "another view of 12!"]
    inputs, _ = dataset.test.batch(np.arange(4))
    assert torch.equal(dataset.captions.tokens(dataset.captions.texts(inputs[1])), inputs[1])
