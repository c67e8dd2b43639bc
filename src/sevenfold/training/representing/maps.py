"""Rows of numbers as points of a plane, and how much of what was near stays near.

N rows, F features, k neighbours, r(i, j) the rank of j among the neighbours of i in the rows (1 is nearest).

    pca     the plane of the largest variance                      Pearson 1901
    tsne    t-distributed stochastic neighbour embedding           van der Maaten & Hinton 2008

    trustworthiness = 1 - 2 / (N k (2N - 3k - 1)) sum_i sum_{j near i in the map only} (r(i, j) - k)

Venna & Kaski 2001, Neighborhood Preservation in Nonlinear Projection Methods. scikit-learn's algorithms.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from sevenfold.errors import UsageError

__all__ = ["METHODS", "Method", "mapped", "trustworthy"]

Rows = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
Method = Literal["pca", "tsne"]
METHODS: tuple[Method, ...] = ("pca", "tsne")
_PERPLEXITY = 30.0


def mapped(rows_nf: Rows, method: Method = "tsne", *, seed: int = 0) -> Points:
    """The rows as points [N, 2]; t-SNE has a perplexity of 30, less where there are fewer than 91 rows.

    Raises UsageError for fewer than four rows or two features.
    """
    if len(rows_nf) < 4 or rows_nf.shape[1] < 2:
        raise UsageError(
            "this cannot be drawn as a map",
            got=f"{len(rows_nf)} rows of {rows_nf.shape[1]}",
            expected="at least 4 of 2",
        )
    rows = rows_nf.astype(np.float64)
    if method == "pca":
        from sklearn.decomposition import PCA

        return np.asarray(PCA(2, random_state=seed).fit_transform(rows))
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows), np.float64)


def trustworthy(rows_nf: Rows, points_n2: Points, *, neighbours: int = 5) -> float:
    """How far neighbours in the map are neighbours in the rows: 1 is all, about 0.5 is chance."""
    from sklearn.manifold import trustworthiness

    if 2 * neighbours >= len(rows_nf):
        raise UsageError("too few rows for so many neighbours", got=neighbours, expected="less than half the rows")
    return float(trustworthiness(rows_nf.astype(np.float64), points_n2, n_neighbors=neighbours))
