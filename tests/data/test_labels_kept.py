"""Few labels and unlabelled examples beside them: who is chosen, what a batch holds, what is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sevenfold.data import load
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice


def digits(seed=0, task="classification", fraction=1.0, **settings):
    choice = DataChoice(name="digits", settings=settings, fraction=fraction)
    return load(choice, task=task, subset_seed=seed)


def rows(images):
    return [one.numpy().tobytes() for one in images]


@pytest.mark.parametrize("labels", [40, 250])
def test_as_many_of_each_class_and_nested(labels):
    few, whole = digits(labels=labels), digits()
    assert len(few.train) == labels
    assert np.bincount(few.train.targets).tolist() == [labels // 10] * 10
    known = dict(zip(rows(whole.train.inputs), whole.train.targets.tolist(), strict=True))
    assert all(known[row] == y for row, y in zip(rows(few.train.inputs), few.train.targets.tolist(), strict=True))
    assert set(rows(digits(labels=10).train.inputs)) < set(rows(few.train.inputs))
    assert rows(digits(seed=1, labels=labels).train.inputs) != rows(few.train.inputs)
    assert torch.equal(few.test.inputs, whole.test.inputs)


def test_an_epoch_serves_every_picture_without_its_label_and_every_label_as_often():
    whole, partly = digits(), digits(labels=40, unlabelled=3)
    assert (partly.unlabelled, partly.input_shape, len(partly.train)) == (3, (1, 8, 8), len(whole.train))
    (labelled, beside), targets = partly.train.batch(np.arange(len(whole.train)))
    assert labelled.shape == (1079, 1, 8, 8)
    assert beside.shape == (1079, 3, 1, 8, 8)
    for number in range(3):
        assert sorted(rows(beside[:, number])) == sorted(rows(whole.train.inputs))
    assert rows(beside[:, 0]) != rows(beside[:, 1])
    counts = np.bincount(targets)
    assert counts.max() - counts.min() <= 4
    few = digits(labels=40)
    known = dict(zip(rows(few.train.inputs), few.train.targets.tolist(), strict=True))
    assert all(known[row] == y for row, y in zip(rows(labelled), targets.tolist(), strict=True))
    again, _ = partly.train.batch(np.array([5, 2]))
    assert torch.equal(again[1], beside[[5, 2]])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"labels": 45}, "labels are as many of each class: got labels=45, expected a multiple of 10"),
        ({"labels": 2000}, "at most 1079"),
        ({"labels": 1070}, "too few examples of a class to label"),
        ({"unlabelled": 7}, "unlabelled=7, labels=0"),
        ({"labels": 40, "fraction": 0.5}, "labels says already how much is kept"),
        ({"labels": 40, "task": "generation"}, "labels is for the task classification"),
    ],
)
def test_what_does_not_fit_is_told(settings, told):
    with pytest.raises(UsageError, match=told):
        digits(**settings)
