"""How good stated probabilities are. N examples, C classes, K bins.

accuracy                    the share whose likeliest class is the right one
negative log likelihood     mean of -ln p(right class), in nats
Brier score                 mean of sum_c (p_c - [c is right])^2                      Brier 1950
expected calibration error  sum_k n_k / N |accuracy in bin k - mean confidence in bin k|, bins of equal width
                            of the confidence max_c p_c                               Guo et al. 2017, equation 3
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sevenfold.errors import UsageError

__all__ = ["Calibration", "calibration", "probabilities"]

Rows = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """What stated probabilities came to."""

    accuracy: float
    negative_log_likelihood: float
    brier: float
    expected_calibration_error: float


def probabilities(logits_nc: Rows) -> npt.NDArray[np.float64]:
    """The softmax of logits [N, C], in float64."""
    shifted = logits_nc.astype(np.float64) - logits_nc.max(1, keepdims=True)
    raised = np.exp(shifted)
    return np.asarray(raised / raised.sum(1, keepdims=True))


def calibration(probabilities_nc: Rows, labels_n: Labels, *, bins: int = 15) -> Calibration:
    """How the probabilities [N, C] fare on the labels [N].

    >>> calibration(np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 0])).accuracy
    1.0

    Raises UsageError where the two do not fit, or a row does not sum to 1.
    """
    stated = np.asarray(probabilities_nc, dtype=np.float64)
    if stated.ndim != 2 or len(stated) != len(labels_n) or not len(labels_n):
        raise UsageError(
            "probabilities and labels do not fit",
            got=f"{list(stated.shape)} and {list(labels_n.shape)}",
            expected="[examples, classes] and [examples]",
        )
    if np.abs(stated.sum(1) - 1).max() > 1e-6 or stated.min() < 0:
        raise UsageError("these are no probabilities", got=f"a row that sums to {stated.sum(1)[0]:g}", expected="1")
    right = stated.argmax(1) == labels_n
    confidence = stated.max(1)
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = [abs(float(right[bin_of == k].sum() - confidence[bin_of == k].sum())) for k in range(bins)]
    of_right = stated[np.arange(len(labels_n)), labels_n]
    return Calibration(
        accuracy=float(right.mean()),
        negative_log_likelihood=float(-np.log(np.maximum(of_right, np.finfo(np.float64).tiny)).mean()),
        brier=float((np.square(stated).sum(1) - 2 * of_right + 1).mean()),
        expected_calibration_error=sum(gaps) / len(labels_n),
    )
