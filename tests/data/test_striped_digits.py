"""Two domains without pairs: no digit in both in training, and the true translation is true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sevenfold.data import load
from sevenfold.data.striped_digits import plain, striped
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice


def dataset(**settings):
    return load(DataChoice(name="striped-digits", **settings), task="generation")


def rows(images):
    return {image.numpy().tobytes() for image in (images * 16).round().to(torch.int64)}


def test_no_digit_is_in_both_domains_of_training():
    targets, sources = dataset().train.inputs
    assert len(targets) == len(sources) == 539
    assert not rows(targets) & rows(plain(sources))
    digits = load(DataChoice(name="digits"), task="generation").train.inputs
    assert rows(targets) | rows(plain(sources)) <= rows(digits)


def test_splits_do_not_overlap_and_no_pair_stands_side_by_side():
    data = dataset()
    seen = [
        rows(split.inputs[0]) | rows(plain(split.inputs[1])) for split in (data.train, data.validation, data.test)
    ]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    targets, sources = data.test.inputs
    assert rows(targets) == rows(plain(sources))
    assert (plain(sources) - targets).abs().flatten(1).amax(1).min() > 0.1


def test_the_true_translation_undoes_the_stripes():
    images = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(plain(striped(images)), images)
    paper = striped(torch.zeros(1, 8, 8))
    assert sorted(set(paper.flatten().tolist())) == [0.5, 1.0]
    assert not striped(torch.ones(1, 8, 8)).any()
    assert dataset().translation is plain


def test_batches_and_subsets():
    data = dataset(fraction=0.1)
    assert len(data.train) == 54
    (targets, sources), labels = data.train.batch(np.array([3, 0], dtype=np.int64))
    assert targets.shape == sources.shape == (2, 1, 8, 8)
    assert torch.equal(labels, data.train.targets[[3, 0]])
    assert torch.equal(sources[0], data.train.inputs[1][3])


def test_another_task_is_told():
    with pytest.raises(UsageError, match="does not serve the task"):
        load(DataChoice(name="striped-digits"), task="classification")


# ---- two classes of any data set as domains


def test_two_photographs_are_two_domains():
    apart = DataChoice(name="patches", settings={"condition": "image"})
    data, labelled = load(apart, task="generation"), load(DataChoice(name="patches"), task="generation")
    assert data.num_outputs == 0
    counts = [int((labelled.train.targets == label).sum()) for label in (0, 1)]
    assert len(data.train) == max(counts)
    (targets, sources), labels = data.train.batch(np.arange(len(data.train)))
    assert set(labels.tolist()) == {1}
    of = [labelled.train.inputs[labelled.train.targets == label] for label in (0, 1)]
    for given, whole, count in zip((sources, targets), of, counts, strict=True):
        assert torch.equal(given[:count], whole)
        assert torch.equal(given[count:], whole[: len(given) - count])  # the smaller one once more
    part = load(apart.with_changes({"fraction": 0.2}), task="generation").train
    assert len(part) < len(data.train) / 2
    part.batch(np.arange(len(part)))


def test_ten_classes_are_not_two_domains():
    with pytest.raises(UsageError, match="does not hold two kinds of image: got classes 0, 1, 2, 3"):
        load(DataChoice(name="digits", settings={"condition": "image"}), task="generation")
