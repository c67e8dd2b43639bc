"""Rankings by somebody who errs on a known share of the pairs: Mallows' model.

    P(ranking) ~ phi ^ d        d: pairs that stand the wrong way round, of K (K - 1) / 2; 0 <= phi <= 1
    E[d] = sum over i = 1 to K of  sum_j j phi^j / sum_j phi^j, with j = 0 to i - 1

A ranking is drawn exactly by putting the i-th best answer j places before the end of those already placed, with
probability phi^j / (1 + ... + phi^(i - 1)). Mallows 1957, Non-null ranking models I; Doignon et al. 2004 for the
insertion. It must not know what is ranked.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from sevenfold.errors import UsageError

__all__ = ["noisy_ranking", "spread_of"]


def noisy_ranking(worth: npt.NDArray[np.float64], error_rate: float, seed: int) -> npt.NDArray[np.int64]:
    """The places [K] of what is ranked, best first, with this share of the pairs expected to be wrong.

    Equals stand in an order drawn by chance. Of two, exactly the share ``error_rate`` of rankings is wrong.

    >>> noisy_ranking(np.array([0.5, 2.0, 1.0]), 0.0, seed=0).tolist()
    [1, 2, 0]
    """
    draw = np.random.default_rng(seed)
    best_first = np.lexsort((draw.random(len(worth)), -worth))
    phi = spread_of(len(worth), error_rate)
    placed: list[int] = []
    for place in best_first.tolist():
        weights = phi ** np.arange(len(placed) + 1)
        back = int(draw.choice(len(weights), p=weights / weights.sum()))
        placed.insert(len(placed) - back, place)
    return np.array(placed, dtype=np.int64)


@lru_cache(maxsize=64)
def spread_of(num_ranked: int, error_rate: float) -> float:
    """Mallows' phi under which this share of the pairs is expected to be wrong; raises UsageError beyond 0 to 1/2.

    >>> round(spread_of(2, 0.2), 9)  # of two: phi / (1 + phi)
    0.25
    """
    if not 0 <= error_rate <= 0.5 or num_ranked < 2:
        raise UsageError(
            "a share of wrong pairs",
            got=f"{error_rate:g} of {num_ranked} answers",
            expected="0 to 0.5 (which is chance), of 2 or more",
        )
    if error_rate in (0.0, 0.5):
        return 2 * error_rate
    pairs = num_ranked * (num_ranked - 1) / 2
    return float(brentq(lambda phi: _wrong_pairs(num_ranked, phi) / pairs - error_rate, 0.0, 1.0, xtol=1e-14))


def _wrong_pairs(num_ranked: int, phi: float) -> float:
    total = 0.0
    for size in range(1, num_ranked + 1):
        steps = np.arange(size)
        weights = phi**steps
        total += float((steps * weights).sum() / weights.sum())
    return total
