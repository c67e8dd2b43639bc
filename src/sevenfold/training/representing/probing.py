"""What simple classifiers can read off a representation: the nearest neighbours' class, and a linear boundary.

N training rows, M test rows, F features. Both are scikit-learn's; for the linear probe features
are standardized by the training rows, or its penalty would depend on their scale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["linear_accuracy", "neighbour_accuracy"]

Rows = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]


def neighbour_accuracy(
    train_nf: Rows, train_labels_n: Labels, test_mf: Rows, test_labels_m: Labels, *, neighbours: int = 5
) -> float:
    """The share of test rows whose nearest training rows are mostly of their class."""
    from sklearn.neighbors import KNeighborsClassifier

    told = KNeighborsClassifier(neighbours).fit(train_nf, train_labels_n)
    return float((told.predict(test_mf) == test_labels_m).mean())


def linear_accuracy(train_nf: Rows, train_labels_n: Labels, test_mf: Rows, test_labels_m: Labels) -> float:
    """The share of test rows right by logistic regression on standardized rows (C = 1, scikit-learn's own)."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = train_nf.mean(0), np.maximum(train_nf.std(0), 1e-6)
    told = LogisticRegression(max_iter=2000).fit((train_nf - mean) / spread, train_labels_n)
    return float((told.predict((test_mf - mean) / spread) == test_labels_m).mean())
