"""How unlike the training examples an example is, by methods that never see an anomaly in training.

N examples, F features. Higher scores are stranger.

    isolation_forest    how few random cuts set an example apart        Liu, Ting & Zhou 2008
    local_outlier       its density beside that of its neighbours       Breunig, Kriegel, Ng & Sander 2000
    one_class_svm       its distance from a surface around the others   Schölkopf et al. 2001
    reconstruction      squared error through a bottleneck learnt on the others

The first three are scikit-learn's with its default settings, but for ``novelty`` (scores of unseen examples) and
nu = 0.1 of the support vector machine (at most a tenth of the training examples outside). The seed is the forest's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from sevenfold.data import Split
from sevenfold.errors import UsageError
from sevenfold.layers import Reconstructs

__all__ = ["DETECTORS", "area_under_curve", "bound_scores", "detected", "reconstruction_errors"]

Rows = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


def _isolation_forest(seed: int) -> Any:
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=100, random_state=seed)


def _local_outlier(seed: int) -> Any:
    from sklearn.neighbors import LocalOutlierFactor

    return LocalOutlierFactor(n_neighbors=20, novelty=True)


def _one_class_svm(seed: int) -> Any:
    from sklearn.svm import OneClassSVM

    return OneClassSVM(nu=0.1, gamma="scale")


#: name -> the detector for a seed
DETECTORS: Mapping[str, Callable[[int], Any]] = {
    "isolation_forest": _isolation_forest,
    "local_outlier": _local_outlier,
    "one_class_svm": _one_class_svm,
}


def detected(train_nf: Rows, test_nf: Rows, method: str, *, seed: int = 0) -> Scores:
    """How strange each test row is to a detector that was fitted on the training rows, [N]."""
    return -np.asarray(DETECTORS[method](seed).fit(train_nf).score_samples(test_nf), dtype=np.float64)


def reconstruction_errors(model: nn.Module, split: Split) -> Scores:
    """The squared error of each picture through the model and back, mean over its pixels, [N].

    Raises UsageError for a model that does not reconstruct.
    """
    if not isinstance(model, Reconstructs):
        raise UsageError("this model reconstructs nothing", got=type(model).__name__, hint="a VAE")

    def error(images: Tensor) -> Tensor:
        return (model.reconstruct(images) - images).square().flatten(1).mean(1)

    return _over(model, split, error)


def bound_scores(model: nn.Module, split: Split, *, draws: int = 10) -> Scores:
    """The loss that a model that learns to sample gives each picture, mean over ``draws`` from fixed seeds, [N].

    Of a VAE it bounds -log p(x): what is improbable is strange.
    """
    import torch

    def loss(images: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return torch.stack([model(images) for _ in range(draws)]).mean(0)

    return _over(model, split, loss)


def _over(model: nn.Module, split: Split, score: Callable[[Tensor], Tensor]) -> Scores:
    import torch

    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    images = split.inputs
    assert isinstance(images, Tensor)
    try:
        with torch.no_grad():
            return score(images.to(device)).double().cpu().numpy()
    finally:
        model.train(was_training)


def area_under_curve(scores_n: Scores, anomalous_n: npt.NDArray[np.bool_]) -> float:
    """The share of pairs (an anomaly, a normal example) that the scores order rightly: area under the ROC curve.

    >>> area_under_curve(np.array([0.1, 0.9, 0.5]), np.array([False, True, False]))
    1.0

    0.5 is chance. Raises UsageError where one of the two kinds is missing.
    """
    from sklearn.metrics import roc_auc_score

    if not 0 < int(anomalous_n.sum()) < len(anomalous_n):
        raise UsageError("an area under the curve needs both kinds", got=f"{int(anomalous_n.sum())} anomalies")
    return float(roc_auc_score(anomalous_n, scores_n))
