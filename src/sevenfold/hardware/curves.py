"""From samples to seconds at any size: a simple physical model, corrected by what was measured nearby.

The model of a family is overhead + arithmetic / rate + bytes / bandwidth. What the samples took beyond it is smooth
in the logarithms of the sizes, and is interpolated there (kriging with a Gaussian kernel, and a nugget for the
measurement's noise); far from every sample the correction fades to its mean. Torch-free.

>>> from sevenfold.hardware.calibration import Curve, Sample
>>> curve = Curve(family="tanh", dtype="float32", axes=["bytes"],
...               samples=[Sample(sizes=[8e3], seconds=2e-6), Sample(sizes=[8e6], seconds=1e-3)])
>>> seconds_at(curve, [8e6])
0.001
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sevenfold.hardware.calibration import Curve

_OCTAVES = 3.0  # how far a sample speaks for its neighbours, in doublings of a size
_NUGGET = 0.01  # variance of a sample's own noise, beside a prior variance of 1


def seconds_at(curve: Curve, sizes: Sequence[float]) -> float:
    """Seconds of an operator of a family at given sizes."""
    if len(curve.axes) == 1:
        return _on_line(curve, sizes[0])
    return _fitted(_key(curve)).seconds(np.asarray(sizes, dtype=float))


def _on_line(curve: Curve, size: float) -> float:
    """Straight lines between samples in the plain scale; the last slope beyond the last sample."""
    points = sorted((s.sizes[0], s.seconds) for s in curve.samples)
    if size <= points[0][0] or len(points) == 1:
        return points[0][1] if size <= points[0][0] else points[0][1] * size / points[0][0]
    for (x0, y0), (x1, y1) in pairwise(points):
        if size <= x1:
            return y0 + (y1 - y0) * (size - x0) / (x1 - x0)
    (x0, y0), (x1, y1) = points[-2:]
    slope = max((y1 - y0) / (x1 - x0), 0.0)
    return y1 + slope * (size - x1)


Frozen = tuple[str, tuple[str, ...], tuple[tuple[tuple[float, ...], float], ...]]


def _key(curve: Curve) -> Frozen:
    return curve.family, tuple(curve.axes), tuple((tuple(s.sizes), s.seconds) for s in curve.samples)


class _Fitted:
    """A family over several sizes: model, and kriged correction of its logarithm."""

    def __init__(self, family: str, sizes: NDArray[np.float64], seconds: NDArray[np.float64]) -> None:
        self.family = family
        terms = np.array([_terms(family, row) for row in sizes])
        # Non-negative weights on relative errors: seconds = w . terms, each sample counting alike.
        from scipy.optimize import nnls

        self.weights, _ = nnls(terms / seconds[:, None], np.ones(len(seconds)))
        self.places = _places(family, sizes)
        residual = np.log(seconds / np.maximum(terms @ self.weights, 1e-12))
        self.mean = float(residual.mean())
        kernel = _kernel(self.places, self.places) + _NUGGET * np.eye(len(seconds))
        self.solved = np.linalg.solve(kernel, residual - self.mean)

    def seconds(self, sizes: NDArray[np.float64]) -> float:
        base = max(float(_terms(self.family, sizes) @ self.weights), 1e-12)
        correction = float((_kernel(_places(self.family, sizes[None, :]), self.places) @ self.solved)[0])
        return base * math.exp(self.mean + correction)


@lru_cache(maxsize=256)
def _fitted(key: Frozen) -> _Fitted:
    family, _, samples = key
    return _Fitted(family, np.array([s for s, _ in samples]), np.array([t for _, t in samples]))


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1)
    kernel: NDArray[np.float64] = np.exp(-0.5 * squared / _OCTAVES**2)
    return kernel


def _places(family: str, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a sample lies for its neighbours: doublings of each size."""
    return np.log2(np.maximum(sizes, 1.0))


def _terms(family: str, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The physical terms of a family: 1 (a call), operations, numbers moved."""
    if family.startswith("matmul"):
        b, m, n, k = sizes
        return np.array([1.0, b * m * n * k, b * (m * k + k * n + m * n)])
    if family.startswith("conv"):
        groups, images, positions, inputs, outputs, taps, strides, lanes = sizes
        pad = {
            "conv_forward": (inputs, _padded(outputs, lanes)),
            "conv_grad_input": (_padded(inputs, lanes), outputs),
            "conv_grad_weight": (inputs, _padded(outputs, lanes)),
        }[family]
        dense = strides if family == "conv_grad_input" else 1.0
        cells = images * positions
        return np.array(
            [
                1.0,
                groups * cells * pad[0] * pad[1] * taps * dense,
                groups * cells * (inputs * strides + outputs),
            ]
        )
    if family.startswith("attention"):
        heads, queries, keys, width = sizes
        return np.array(
            [1.0, heads * queries * keys * width, heads * queries * keys, heads * (queries + keys) * width]
        )
    raise AssertionError(family)


def _padded(channels: float, lanes: float) -> float:
    return math.ceil(channels / lanes) * lanes
