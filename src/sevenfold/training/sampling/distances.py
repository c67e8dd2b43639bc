"""How far one set of feature vectors is from another: Fréchet distance, precision and recall.

Legend: N, M vectors of two sets, D features; all arithmetic in float64.

    Fréchet    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)): the squared 2-Wasserstein distance of the two normal
               distributions with these means and covariances (Dowson & Landau 1982; Heusel et al. 2017, equation 6)
    precision  share of samples that lie in the ball of a real vector, whose radius is the distance to its k-th
               nearest real one (Kynkäänniemi et al. 2019, equations 1 and 2, k = 3)
    recall     the same with the two sets exchanged

The Fréchet distance of small sets is too large, by an amount that grows with D / N: compare only numbers from the
same N and D, and put the distance of two real sets beside it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sevenfold.errors import UsageError

__all__ = ["NEIGHBOURS", "frechet_distance", "precision_and_recall"]

Vectors = npt.NDArray[np.float64]

NEIGHBOURS = 3


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """The Fréchet distance between the normal distributions fitted to two sets [N, D] and [M, D].

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))
    9.0

    A set of one repeated vector has no spread, which is allowed. Raises UsageError for fewer than two vectors.
    """
    means, covariances = zip(*(_normal(vectors) for vectors in (first, second)), strict=True)
    shift = means[0] - means[1]
    # tr((S1 S2)^(1/2)) = tr((R S2 R)^(1/2)) with R = S1^(1/2), whose argument is symmetric: no complex numbers.
    root = _root(covariances[0])
    common = np.linalg.eigvalsh(root @ covariances[1] @ root)
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(np.clip(common, 0, None)).sum()
    return float(shift @ shift + max(0.0, float(spread)))


def precision_and_recall(real: Vectors, samples: Vectors, *, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Precision and recall of samples [N, D] against real vectors [M, D].

    Raises UsageError for a set that has no ``neighbours`` other vectors.
    """
    for vectors in (real, samples):
        if len(vectors) <= neighbours:
            raise UsageError(
                "precision and recall need more vectors", got=len(vectors), expected=f"at least {neighbours + 1}"
            )
    return _share_inside(samples, real, neighbours), _share_inside(real, samples, neighbours)


def _normal(vectors: Vectors) -> tuple[Vectors, Vectors]:
    """Mean [D] and unbiased covariance [D, D]."""
    if vectors.ndim != 2 or len(vectors) < 2:
        raise UsageError(
            "a Fréchet distance needs two sets of vectors",
            got=f"shape {list(vectors.shape)}",
            expected="[vectors, features] with at least 2 vectors",
        )
    centred = vectors - vectors.mean(0)
    return vectors.mean(0), centred.T @ centred / (len(vectors) - 1)


def _root(covariance: Vectors) -> Vectors:
    values, vectors = np.linalg.eigh(covariance)
    scaled: Vectors = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return scaled


def _share_inside(points: Vectors, balls: Vectors, neighbours: int) -> float:
    """The share of points that lie in at least one ball around the other vectors."""
    among = _squared_distances(balls, balls)
    np.fill_diagonal(among, -1.0)  # a vector is no neighbour of its own, but its equals are
    radii = np.partition(among, neighbours, axis=1)[:, neighbours]
    inside = _squared_distances(points, balls) <= radii
    return float(inside.any(1).mean())


def _squared_distances(first: Vectors, second: Vectors) -> Vectors:
    """[N, M], by differences: the shorter way by products would lose small distances to cancellation."""
    return np.stack([np.square(second - row).sum(1) for row in first])
