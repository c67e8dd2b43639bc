"""The digits: what scikit-learn's own loader gives, in splits that never overlap."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from sevenfold.data import DATASETS, Dataset, Split, load
from sevenfold.data.digits import _file
from sevenfold.errors import UnknownNameError, UsageError
from sevenfold.runs.recipe import DataChoice


def digits(fraction: float = 1.0, *, split_seed: int = 0, subset_seed: int = 0) -> Dataset:
    choice = DataChoice(name="digits", fraction=fraction, split_seed=split_seed)
    return load(choice, task="classification", subset_seed=subset_seed)


def images(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.inputs}


def test_the_images_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    theirs, labels = load_digits(return_X_y=True)
    dataset = digits()
    splits = (dataset.train, dataset.validation, dataset.test)
    ours = {
        image.numpy().tobytes(): int(label)
        for split in splits
        for image, label in zip(split.inputs, split.targets, strict=True)
    }
    expected = {
        (row / 16).astype(np.float32).tobytes(): int(label) for row, label in zip(theirs, labels, strict=True)
    }
    assert len(expected) == 1797  # no two images are equal, as the provenance says
    assert ours == expected
    assert sum(len(split) for split in splits) == 1797


@pytest.mark.parametrize("split_seed", [0, 1, 2])
def test_splits_share_no_image_and_keep_the_classes_in_proportion(split_seed: int) -> None:
    dataset = digits(split_seed=split_seed)
    train, validation, test = (images(split) for split in (dataset.train, dataset.validation, dataset.test))
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (1079, 359, 359)
    for split in (dataset.train, dataset.validation, dataset.test):
        shares = torch.bincount(split.targets, minlength=10) / len(split)
        assert float((shares - 0.1).abs().max()) < 0.006


def test_the_split_seed_fixes_the_splits() -> None:
    assert images(digits().test) == images(digits().test)
    shared = images(digits().test) & images(digits(split_seed=1).test)
    assert 30 < len(shared) < 120  # a fifth of 359 by chance


def test_subsets_nest_depend_on_the_seed_and_leave_the_held_out_splits_alone() -> None:
    whole, half, quarter = digits(), digits(0.5), digits(0.25)
    assert (len(half.train), len(quarter.train)) == (540, 270)
    assert images(quarter.train) < images(half.train) < images(whole.train)
    assert images(digits(0.5, subset_seed=1).train) != images(half.train)
    assert images(digits(0.5).train) == images(half.train)
    assert images(half.validation) == images(whole.validation)
    assert images(half.test) == images(whole.test)
    assert half.num_train_whole == 1079
    assert len(digits(1e-9).train) == 1


def test_a_batch_follows_its_indices() -> None:
    train = digits().train
    inputs, targets = train.batch(np.array([5, 0, 5]))
    assert inputs.shape == (3, 1, 8, 8)
    assert inputs.dtype == torch.float32
    assert targets.dtype == torch.int64
    assert torch.equal(inputs, train.inputs[[5, 0, 5]])
    assert torch.equal(targets, train.targets[[5, 0, 5]])
    assert float(train.inputs.min()) == 0.0
    assert float(train.inputs.max()) == 1.0


def test_provenance_says_what_was_read() -> None:
    provenance = digits().provenance
    assert provenance.sha256 == hashlib.sha256(_file().read_bytes()).hexdigest()
    assert provenance.num_examples == 1797
    assert provenance.licence.startswith("BSD-3")
    assert provenance.version.startswith("scikit-learn ")
    assert "divided by 16" in provenance.notes


def test_scikit_learn_is_not_imported() -> None:
    code = (
        "import sys; from sevenfold.data import load; from sevenfold.runs.recipe import DataChoice;"
        "load(DataChoice(name='digits'), task='classification'); print('sklearn' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_wrong_choices_are_told_in_one_line() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown data set: got 'digit', expected .*; try digits"):
        load(DataChoice(name="digit"), task="classification")
    with pytest.raises(
        UsageError, match="'digits' does not serve the task: got causal-lm, expected classification"
    ):
        load(DataChoice(name="digits"), task="causal-lm")
    with pytest.raises(
        UnknownNameError, match=r"data set 'digits': unknown setting: got 'test_shar'.*try test_share"
    ):
        load(DataChoice(name="digits", settings={"test_shar": 0.1}), task="classification")
    with pytest.raises(UsageError, match="nothing is left for training"):
        load(
            DataChoice(name="digits", settings={"test_share": 0.6, "validation_share": 0.4}), task="classification"
        )


def test_every_entry_of_the_catalogue_has_a_name_a_task_and_a_line_of_help() -> None:
    assert "digits" in DATASETS
    for name in DATASETS:
        entry = DATASETS[name]
        assert entry.name == name
        assert entry.tasks
        assert entry.summary
        assert all(field.description for field in entry.settings.model_fields.values())


def test_a_class_left_out_is_in_the_test_part_alone() -> None:
    for task in ("classification", "generation"):
        kept, whole = (
            load(DataChoice(name="digits", settings=settings), task=task) for settings in ({"without": 7}, {})
        )
        for name in ("train", "validation"):
            labels = getattr(whole, name).targets
            assert torch.equal(getattr(kept, name).targets, labels[labels != 7])
            assert torch.equal(getattr(kept, name).inputs, getattr(whole, name).inputs[labels != 7])
        assert torch.equal(kept.test.targets, whole.test.targets)
    with pytest.raises(UsageError, match="no such class"):
        load(DataChoice(name="digits", settings={"without": 10}), task="classification")
