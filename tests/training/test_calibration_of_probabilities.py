"""Scores of stated probabilities, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from sevenfold.errors import SevenfoldError
from sevenfold.training.calibration import calibration, probabilities


def drawn(num=200, classes=4, seed=0):
    draw = np.random.default_rng(seed)
    return probabilities(2 * draw.normal(size=(num, classes))), draw.integers(classes, size=num)


def test_the_scores_are_scikit_learns():
    from sklearn.metrics import accuracy_score, log_loss

    stated, labels = drawn()
    found = calibration(stated, labels)
    assert found.accuracy == accuracy_score(labels, stated.argmax(1))
    assert found.negative_log_likelihood == pytest.approx(log_loss(labels, stated, labels=range(4)), rel=1e-12)
    one_hot = np.eye(4)[labels]
    assert found.brier == pytest.approx(np.square(stated - one_hot).sum(1).mean(), rel=1e-12)


def test_the_calibration_error_by_hand():
    # two bins: confidences 0.6, 0.6 (one right: 0.5) and 0.9, 0.9 (both right: 1), half of the examples each
    stated = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])
    found = calibration(stated, np.array([0, 0, 0, 1]), bins=5)
    assert found.expected_calibration_error == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    everything_in_one = calibration(stated, np.array([0, 0, 0, 1]), bins=1)
    assert everything_in_one.expected_calibration_error == pytest.approx(abs(0.75 - 0.75))


def test_labels_drawn_from_the_probabilities_are_calibrated_and_sharper_ones_are_not():
    stated, _ = drawn(20_000)
    draw = np.random.default_rng(1)
    labels = (stated.cumsum(1) < draw.random((len(stated), 1))).sum(1)
    assert calibration(stated, labels).expected_calibration_error < 0.015
    sharper = probabilities(3 * np.log(stated))
    assert calibration(sharper, labels).expected_calibration_error > 0.1
    assert (
        calibration(sharper, labels).negative_log_likelihood > calibration(stated, labels).negative_log_likelihood
    )


def test_large_logits_and_certainty_stay_finite():
    stated = probabilities(np.array([[1000.0, 0.0], [0.0, -1000.0]]))
    assert calibration(stated, np.array([0, 0])).negative_log_likelihood == 0
    assert np.isfinite(calibration(stated, np.array([1, 0])).negative_log_likelihood)


def test_what_is_no_probability_is_told():
    for stated, labels in ((np.ones((3, 2)), np.zeros(3, int)), (np.full((3, 2), 0.5), np.zeros(2, int))):
        with pytest.raises(SevenfoldError) as told:
            calibration(stated, labels)
        assert "\n" not in str(told.value)
