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

# Chosen by predicting held-out parts of 180 products and 330 convolutions on an AVX-512 server: how far a sample
# speaks for its neighbours (in doublings of a size), and how much of its surprise is its own (the kernel that the
# library picks for it, noise) and not theirs.
_OCTAVES = {"conv": 2.5, "matm": 4.0, "atte": 4.0}
_NUGGET = 0.3


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
        self.octaves = _OCTAVES[family[:4]]
        kernel = _kernel(self.places, self.places, self.octaves) + _NUGGET * np.eye(len(seconds))
        self.solved = np.linalg.solve(kernel, residual - self.mean)

    def seconds(self, sizes: NDArray[np.float64]) -> float:
        base = max(float(_terms(self.family, sizes) @ self.weights), 1e-12)
        here = _places(self.family, sizes[None, :])
        correction = float((_kernel(here, self.places, self.octaves) @ self.solved)[0])
        return base * math.exp(self.mean + correction)


@lru_cache(maxsize=256)
def _fitted(key: Frozen) -> _Fitted:
    family, _, samples = key
    return _Fitted(family, np.array([s for s, _ in samples]), np.array([t for _, t in samples]))


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64], octaves: float) -> NDArray[np.float64]:
    squared = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1)
    kernel: NDArray[np.float64] = np.exp(-0.5 * squared / octaves**2)
    return kernel


def _places(family: str, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a sample lies for its neighbours: doublings of each size; channels as the kernels pad them."""
    sizes = np.maximum(sizes, 1.0)
    if family.startswith("conv"):
        groups, images, positions, inputs, outputs, taps, strides, lanes = sizes.T
        padded = (np.ceil(inputs / lanes) * lanes, np.ceil(outputs / lanes) * lanes)
        sizes = np.stack([groups, images * positions, *padded, taps, strides], axis=1)
    return np.log2(sizes)


def _terms(family: str, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The physical terms of a family: 1 (a call), operations, numbers moved."""
    if family.startswith("matmul"):
        b, m, n, k = sizes
        return np.array([1.0, b * m * n * k, b * (m * k + k * n + m * n)])
    if family.startswith("conv"):
        return _convolution_terms(family, *sizes)
    if family.startswith("attention"):
        heads, queries, keys, width = sizes
        pairs = heads * queries * keys
        return np.array([1.0, pairs * width, pairs, heads * (queries + keys) * width])
    raise AssertionError(family)


def _convolution_terms(
    family: str,
    groups: float,
    images: float,
    positions: float,
    inputs: float,
    outputs: float,
    taps: float,
    strides: float,
    lanes: float,
) -> NDArray[np.float64]:
    """Products with channels as they are and padded to the vector's lanes, numbers moved, weights, groups."""
    cells = groups * images * positions
    wide_in, wide_out = _padded(inputs, lanes), _padded(outputs, lanes)
    moved = cells * (inputs * strides + outputs)
    if family == "conv_grad_weight":
        return np.array([1.0, cells * taps * inputs * wide_out, moved])
    terms = [1.0, cells * taps * inputs * outputs, cells * taps * wide_in * wide_out, moved]
    terms += [groups * inputs * outputs * taps, groups]
    if family == "conv_forward":
        terms += [cells * taps * wide_in * outputs, cells * taps * inputs * wide_out]
        terms += [cells * (wide_in * strides + wide_out), groups * wide_in * wide_out * taps]
    return np.array(terms)


def _padded(channels: float, lanes: float) -> float:
    return math.ceil(channels / lanes) * lanes
