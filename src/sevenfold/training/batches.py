"""Which examples a step sees: a pure function of (seed, step), so that resuming needs two integers.

The training set is read as one endless sequence, epoch after epoch, each epoch in its own order
(`sevenfold.data.order`). Step s takes positions s*B ... s*B + B - 1 of it. Batches are always whole; one may
straddle the border of two epochs, or hold several epochs where B is larger than the data set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sevenfold.data.order import order

_WINDOW = 8192  # positions computed at once: the order is cheap by the thousand, not one batch at a time

Order = Callable[[int, int, int, int, int], "np.ndarray"]


class BatchOrder:
    """The indices of each step's batch.

    >>> BatchOrder(seed=0, size=10, batch_size=4).indices(3).shape
    (4,)
    """

    def __init__(self, *, seed: int, size: int, batch_size: int, window: int = _WINDOW) -> None:
        assert size > 0
        self._seed = seed
        self._size = size
        self._batch_size = batch_size
        self._steps_kept = max(1, window // batch_size)
        self._first_step = 0
        self._kept = np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> np.ndarray:
        """Indices into the training split for optimizer step ``step`` (0-based), shape [batch_size]."""
        start = (step - self._first_step) * self._batch_size
        if start < 0 or start + self._batch_size > len(self._kept):
            self._first_step, start = step, 0
            self._kept = self.positions(step * self._batch_size, self._steps_kept * self._batch_size)
        return self._kept[start : start + self._batch_size]

    def positions(self, start: int, count: int) -> np.ndarray:
        """The indices at ``count`` positions of the endless sequence, from ``start``."""
        parts = []
        end = start + count
        while start < end:
            epoch, offset = divmod(start, self._size)
            taken = min(self._size - offset, end - start)
            parts.append(order(self._seed, epoch, offset, taken, self._size))
            start += taken
        return np.concatenate(parts)
