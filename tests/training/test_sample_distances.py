"""Fréchet distance, precision and recall: held to SciPy's matrix root, closed forms and a slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from sevenfold.errors import UsageError
from sevenfold.training.sampling.distances import frechet_distance, precision_and_recall


def sets(seed=0, first=200, second=150, size=12):
    draw = np.random.default_rng(seed)
    mix = draw.normal(size=(size, size))
    return draw.normal(size=(first, size)) @ mix, 1 + draw.normal(size=(second, size)) * np.arange(1, size + 1)


@pytest.mark.parametrize("seed", range(3))
def test_frechet_equals_the_formula_with_scipys_matrix_root(seed):
    linalg = pytest.importorskip("scipy.linalg")
    first, second = sets(seed)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = linalg.sqrtm(one @ other)
    shift = first.mean(0) - second.mean(0)
    expected = shift @ shift + np.trace(one + other - 2 * root).real
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-10)


def test_frechet_in_closed_form():
    """Equal shapes: the squared shift. One dimension: (m1 - m2)^2 + (s1 - s2)^2. No spread: |shift|^2 + tr S."""
    first, _ = sets()
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, first + 2.0) == pytest.approx(4 * 12, rel=1e-10)
    line = first[:, :1]
    wide = 3 * line + 1
    expected = (line.mean() - wide.mean()) ** 2 + (line.std(ddof=1) - wide.std(ddof=1)) ** 2
    assert frechet_distance(line, wide) == pytest.approx(expected, rel=1e-10)
    mean = np.repeat(first.mean(0, keepdims=True), 50, axis=0)
    assert frechet_distance(first, mean) == pytest.approx(np.cov(first, rowvar=False).trace(), rel=1e-10)


def test_frechet_of_fewer_vectors_than_features_is_finite():
    first, second = sets(first=5, second=7, size=20)
    assert 0 < frechet_distance(first, second) < np.inf


def slow(points, balls, neighbours):
    radii = [sorted(np.linalg.norm(ball - other) for n, other in enumerate(balls) if n != m)[neighbours - 1]
             for m, ball in enumerate(balls)]  # fmt: skip
    inside = [
        any(np.linalg.norm(point - ball) <= r for ball, r in zip(balls, radii, strict=True)) for point in points
    ]
    return sum(inside) / len(points)


@pytest.mark.parametrize("neighbours", [1, 3])
def test_precision_and_recall_equal_a_slow_reference(neighbours):
    draw = np.random.default_rng(3)
    real, samples = draw.normal(size=(40, 3)), 0.5 + 0.7 * draw.normal(size=(30, 3))
    precision, recall = precision_and_recall(real, samples, neighbours=neighbours)
    assert precision == slow(samples, real, neighbours)
    assert recall == slow(real, samples, neighbours)
    assert 0 < recall < 1


def test_precision_and_recall_tell_their_failures_apart():
    """Samples of one mode are precise and recall half; samples everywhere recall all and are not precise."""
    draw = np.random.default_rng(4)
    modes = np.repeat([[0.0, 0.0], [20.0, 0.0]], 100, axis=0)
    real = modes + draw.normal(size=modes.shape)
    precision, recall = precision_and_recall(real, draw.normal(size=(200, 2)))
    assert precision > 0.9
    assert 0.4 < recall <= 0.5
    everywhere = draw.uniform(-20, 40, size=(200, 2))
    precision, recall = precision_and_recall(real, everywhere)
    assert precision < 0.1
    assert recall > 0.9
    same = precision_and_recall(real, modes + draw.normal(size=modes.shape))
    assert min(same) > 0.9


def test_refusals():
    with pytest.raises(UsageError, match="at least 2 vectors"):
        frechet_distance(np.zeros((1, 3)), np.zeros((4, 3)))
    with pytest.raises(UsageError, match="got 3, expected at least 4"):
        precision_and_recall(np.zeros((3, 2)), np.zeros((9, 2)))
