"""The law L = floor + scale x^-b that turns a few measured losses into a slope, by variable projection.

For each candidate b the other two are a linear least-squares problem with both kept at or above zero, so that only
b is searched; b is bounded, because three points with noise would otherwise choose a cliff or a straight line.
Everything is vectorised over draws: one row of losses a draw. Knows numbers only.

>>> law = fit_power([0.25, 0.5, 1.0], np.array([[0.1 + 0.2 * x**-0.5 for x in (0.25, 0.5, 1.0)]]))
>>> round(float(law.exponent[0]), 1), round(float(law.floor[0]), 1)
(0.5, 0.1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXPONENTS = (0.05, 2.0)  # bounds of b: nearly logarithmic, and steeper than any published law
_GRID = 40
_FINE = 9

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw:
    """``floor + scale * x**-exponent``, one law a draw; x is relative to the baseline's amount."""

    floor: Array
    scale: Array
    exponent: Array

    def at(self, x: float | Array) -> Array:
        """The loss at x; an array of x of shape [1, X] gives one curve a draw."""
        if isinstance(x, np.ndarray):
            return self.floor[:, None] + self.scale[:, None] * x ** -self.exponent[:, None]
        return self.floor + self.scale * x**-self.exponent

    def gain(self, start: float, end: float) -> Array:
        """The fall in loss from x = start to x = end."""
        return self.scale * (start**-self.exponent - end**-self.exponent)

    def text(self, symbol: str) -> str:
        """The first draw's law in words: ``L = 0.05 + 2.1 D^-0.7``."""
        return f"L = {self.floor[0]:.3g} + {self.scale[0]:.3g} {symbol}^-{self.exponent[0]:.2g}"


def fit_power(x: Sequence[float], losses: Array, *, exponents: tuple[float, float] = EXPONENTS) -> PowerLaw:
    """Least-squares laws through losses of shape [draws, points] at amounts x; floor and scale at or above zero.

    The exponent is searched on a logarithmic grid of 10% steps, then twice between the neighbours of the best, down
    to steps of 0.6%.
    """
    amounts = np.asarray(x, dtype=np.float64)
    assert losses.ndim == 2
    assert losses.shape[1] == amounts.size >= 2
    grid = np.geomspace(*exponents, _GRID)
    best = np.argmin(_project(amounts, losses, grid[None, :])[2], axis=1)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]
    rows = np.arange(len(losses))
    for _ in range(2):
        near = np.geomspace(low, high, _FINE, axis=1)
        floor, scale, error = _project(amounts, losses, near)
        finest = np.argmin(error, axis=1)
        low, high = near[rows, np.maximum(finest - 1, 0)], near[rows, np.minimum(finest + 1, _FINE - 1)]
    return PowerLaw(floor[rows, finest], scale[rows, finest], near[rows, finest])


def _project(amounts: Array, losses: Array, exponents: Array) -> tuple[Array, Array, Array]:
    """Floor, scale and squared error of each draw at each exponent (of shape [draws or 1, grid])."""
    basis = [amount**-exponents for amount in amounts]  # one [draws or 1, grid] a point
    mean_basis, mean_loss = sum(basis) / amounts.size, losses.mean(1)[:, None]
    columns = [losses[:, point, None] for point in range(amounts.size)]
    centred = [one - mean_basis for one in basis]
    spread = sum(one * one for one in centred)
    scale = np.maximum(sum(one * loss for one, loss in zip(centred, columns, strict=True)) / spread, 0.0)
    floor = mean_loss - scale * mean_basis
    # A floor below zero is no cross-entropy: then the scale alone is fitted.
    alone = sum(one * loss for one, loss in zip(basis, columns, strict=True)) / sum(one * one for one in basis)
    scale, floor = np.where(floor < 0, np.maximum(alone, 0.0), scale), np.maximum(floor, 0.0)
    error = sum((loss - floor - scale * one) ** 2 for one, loss in zip(basis, columns, strict=True))
    return floor, scale, np.asarray(error)
