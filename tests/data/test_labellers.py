"""Labellers with known errors: what is found out about them, and what it buys."""

from __future__ import annotations

import numpy as np
import pytest

from sevenfold.data.labellers import dawid_skene, judged, noisy_labeller
from sevenfold.errors import UsageError


def crowd(rates, items=2000, classes=4, seed=0):
    truth = np.random.default_rng(seed).integers(0, classes, items)
    return truth, np.stack([noisy_labeller(truth, rate, classes, seed + 1 + k) for k, rate in enumerate(rates)], 1)


def test_a_labeller_errs_as_often_as_was_said():
    truth, labels = crowd([0.0, 0.3, 1.0])
    assert [(labels[:, k] != truth).mean() for k in range(3)] == pytest.approx([0, 0.3, 1], abs=0.03)
    wrong = labels[labels[:, 1] != truth, 1]
    assert (np.bincount(wrong, minlength=4) / len(wrong)).max() < 0.35


def test_the_third_labeller_judges_where_two_differ():
    truth, labels = crowd([0.1, 0.1, 0.1])
    found, dispute = judged(*labels.T)
    assert dispute.mean() == pytest.approx(1 - 0.9**2 - 0.1**2 / 3, abs=0.03)
    assert (found[~dispute] == labels[~dispute, 0]).all()
    assert (found[dispute] == labels[dispute, 2]).all()
    # right: the first two right, or one of them wrong and the judge right
    assert (found == truth).mean() == pytest.approx(0.81 + 0.9 * 0.1 * 2 * 0.9 + 0.01 * 2 / 3 * 0.9, abs=0.02)


def test_dawid_and_skene_find_the_errors_and_beat_the_majority():
    truth, labels = crowd([0.05, 0.45, 0.45, 0.45, 0.5])
    found = dawid_skene(labels, 4)
    np.testing.assert_allclose(found.error_rates, [0.05, 0.45, 0.45, 0.45, 0.5], atol=0.05)
    votes = np.stack([(labels == c).sum(1) for c in range(4)], 1)
    majority = (votes + 1e-3 * np.random.default_rng(0).random(votes.shape)).argmax(1)
    assert (found.labels == truth).mean() > (majority == truth).mean() + 0.05
    assert (np.diff(found.log_likelihood) > -1e-6).all()


def test_one_rate_a_labeller_is_found_from_few_labels():
    """Where 9 numbers a class and labeller are too many: 360 items of 10 classes, three labellers."""
    rates, errors = [0.05, 0.5, 0.5], {}
    for one_rate in (False, True):
        off = []
        for seed in range(5):
            _, labels = crowd(rates, items=360, classes=10, seed=100 * seed)
            found = dawid_skene(labels, 10, one_rate=one_rate)
            off.append(found.error_rates - rates)
            assert (np.diff(found.log_likelihood) > -0.01).all()
            np.testing.assert_allclose(found.confusion.sum(2), 1)
        errors[one_rate] = np.abs(np.mean(off, 0)).max()
    assert errors[True] < 0.03 < 0.08 < errors[False]


def test_a_confused_labeller_is_understood():
    """One who swaps two classes always is as good as one who never errs."""
    truth, labels = crowd([0.1, 0.1, 0.1])
    swapped = np.where(truth == 0, 1, np.where(truth == 1, 0, truth))
    found = dawid_skene(np.column_stack([labels, swapped]), 4)
    assert found.confusion[3, 0, 1] > 0.95
    assert found.confusion[3, 1, 0] > 0.95
    assert (found.labels == truth).mean() > 0.985


def test_items_that_some_did_not_see():
    truth, labels = crowd([0.1] * 5)
    labels = labels.copy()
    labels[np.random.default_rng(1).random(labels.shape) < 0.4] = -1
    labels[(labels < 0).all(1), 0] = 0
    assert (dawid_skene(labels, 4).labels == truth).mean() > 0.93


def test_what_is_no_label_is_refused():
    for table, said in (
        (np.array([[0, 4]]), "no class"),
        (np.array([[0, 1], [-1, -1]]), "item 1"),
        (np.array([0, 1]), "are a table"),
    ):
        with pytest.raises(UsageError, match=said):
            dawid_skene(table, 4)
    with pytest.raises(UsageError, match="share of errors"):
        noisy_labeller(np.array([0]), 1.5, 4, 0)
