"""Groups that algorithms find in rows of numbers without labels, and how well the groups agree with labels.

N rows, F features, K clusters, C classes.

    accuracy      the largest share of rows right when every cluster stands for one class, each class once
                  (an assignment problem: Kuhn 1955, The Hungarian method)
    adjusted Rand index, normalized mutual information    as scikit-learn computes them (Hubert & Arabie 1985)

Rows are standardized by nobody here: distances are those of the representation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sevenfold.errors import UsageError

__all__ = ["CLUSTERINGS", "Agreement", "agreement", "clustered", "matched_accuracy"]

Rows = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """How clusters agree with labels; 1 is perfect, chance is 0 for the index, about 0 for the information."""

    accuracy: float
    adjusted_rand: float
    mutual_information: float


def _k_means(num: int, seed: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(num, n_init=10, random_state=seed)


def _mixture(num: int, seed: int) -> Any:
    from sklearn.mixture import GaussianMixture

    # Whole covariances of 64 pixels have more numbers than a digit has examples.
    return GaussianMixture(num, covariance_type="diag", n_init=5, reg_covar=1e-3, random_state=seed)


def _agglomerative(num: int, seed: int) -> Any:
    from sklearn.cluster import AgglomerativeClustering

    return AgglomerativeClustering(num, linkage="ward")


#: name -> the algorithm for so many clusters and a seed
CLUSTERINGS: Mapping[str, Callable[[int, int], Any]] = {
    "k_means": _k_means,
    "mixture": _mixture,
    "agglomerative": _agglomerative,
}


def clustered(rows_nf: Rows, method: str, num_clusters: int, *, seed: int = 0) -> Labels:
    """The cluster of each row, [N] in range(num_clusters), by k_means, mixture or agglomerative (Ward).

    Features are divided by one number, their overall standard deviation, which moves no distance but sets the scale
    that the mixture's smallest variance (0.001) is of.
    """
    if not 1 <= num_clusters <= len(rows_nf):
        raise UsageError("clusters do not fit", got=num_clusters, expected=f"1 to {len(rows_nf)}, the rows")
    scaled = rows_nf / max(float(rows_nf.std(0).mean()), 1e-12)
    found: Labels = CLUSTERINGS[method](num_clusters, seed).fit_predict(scaled.astype(np.float64)).astype(np.int64)
    return found


def agreement(clusters_n: Labels, labels_n: Labels) -> Agreement:
    """How clusters agree with labels.

    >>> agreement(np.array([2, 2, 0, 0]), np.array([0, 0, 1, 1])).accuracy
    1.0
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return Agreement(
        accuracy=matched_accuracy(clusters_n, labels_n),
        adjusted_rand=float(adjusted_rand_score(labels_n, clusters_n)),
        mutual_information=float(normalized_mutual_info_score(labels_n, clusters_n)),
    )


def matched_accuracy(clusters_n: Labels, labels_n: Labels) -> float:
    """The share of rows right under the best one-to-one match of clusters and classes."""
    from scipy.optimize import linear_sum_assignment

    if clusters_n.shape != labels_n.shape or not len(labels_n):
        raise UsageError(
            "clusters and labels do not fit",
            got=f"{len(clusters_n)} and {len(labels_n)}",
            expected="one each a row",
        )
    classes, of_label = np.unique(labels_n, return_inverse=True)
    groups, of_cluster = np.unique(clusters_n, return_inverse=True)
    counts = np.zeros((len(groups), len(classes)), dtype=np.int64)
    np.add.at(counts, (of_cluster, of_label), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum()) / len(labels_n)
