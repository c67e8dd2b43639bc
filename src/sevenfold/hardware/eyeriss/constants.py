"""The technology constants of the chip's closed forms: four numbers, all fitted on AlexNet (five rows of Table V).

Their errors on AlexNet are therefore in-sample. They are never fitted to anything else, and a test fits them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CLOCK_HZ = 200e6
PORT_WORDS = 4.0  # 64 bits of reading, and as many of writing, a cycle at the global buffer
# Cycles of a pass beside multiplying and loading filters; rounded to hundreds: the least mean error of latency.
PASS_CYCLES = 500.0
# Outputs that are pooled next are written before pooling, but zeros are published after it. A pooled zero needs all
# the values that it covers to be zero: as if this many of the nine of a window were independent. Rounded.
POOLED_VALUES = 2.0
# Power: joules of a multiply-accumulate with an input that is not zero, all that moves for it included, and watts
# that flow whenever the chip runs (clock, control, leakage). A third term for the global buffer fits no better.
MAC_J = 4.68e-12
RUNNING_W = 0.2146


@dataclass(frozen=True)
class Technology:
    """The fitted constants together: those of all five layers unless others are given."""

    pass_cycles: float = PASS_CYCLES
    pooled_values: float = POOLED_VALUES
    mac_j: float = MAC_J
    running_w: float = RUNNING_W


FITTED = Technology()


def run_length_ratio(zeros: float) -> float:
    """Coded over plain size of values of which a share is zero: one pair of 64 / 3 bits for each that is not.

    Runs are taken to stay below 32. A plain feature map is kept plain where coding would not shrink it.

    >>> round(run_length_ratio(0.725), 4), run_length_ratio(0.0)
    (0.3667, 1.0)
    """
    return min(1.0, (1.0 - zeros) * (64 / 3) / 16)


def zeros_before_pooling(zeros: float, pooled_values: float = POOLED_VALUES) -> float:
    """Share of zeros of the outputs that become, pooled, a map with a share of zeros."""
    return float(zeros ** (1.0 / pooled_values))


def fitted_power(macs_per_s: Sequence[float], watts: Sequence[float]) -> tuple[float, float]:
    """(joules a multiply-accumulate, watts beside) of least squared relative error, both at least zero."""
    import numpy as np
    from scipy.optimize import nnls

    weights = 1.0 / np.asarray(watts)
    terms = np.stack([np.asarray(macs_per_s), np.ones(len(watts))], axis=1)
    found, _ = nnls(terms * weights[:, None], np.ones(len(watts)))
    return float(found[0]), float(found[1])
