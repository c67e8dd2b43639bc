"""What a representation that was learnt without labels is worth, read by simple classifiers."""

from __future__ import annotations

from typing import Any

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm

_FEW = 40


@paradigm(
    measured=(
        Measured("contrastive_linear_at_40", 0.929, 0.011),
        Measured("pixels_linear_at_40", 0.809, 0.021),
        Measured("random_network_linear_at_40", 0.727, 0.032),
        Measured("contrastive_linear", 0.986, 0.007),
        Measured("contrastive_neighbours", 0.979, 0.002),
        Measured("pixels_neighbours", 0.986, 0.0),
    )
)
def contrastive(bench: Bench) -> dict[str, float]:
    """SimCLR's features of digits against the pixels and against the same network without training.

    Each is read by logistic regression (linear) and by the five nearest neighbours, with all 1,079 training labels;
    and by logistic regression and the nearest neighbour with four labels of each digit. Accuracy on 359 test
    digits.

    Command:  sevenfold paradigms run contrastive
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     80 s of CPU time for three seeds
    Result:   means of seeds 0 to 2 (standard deviations)
                                     SimCLR          pixels          untrained network
              40 labels, linear      92.9% (1.1%)    80.9% (2.1%)    72.7% (3.2%)
              40 labels, nearest     90.1% (2.2%)    84.8% (2.4%)    63.4% (4.5%)
              all labels, linear     98.6% (0.7%)    96.4%           92.0% (1.6%)
              all labels, nearest    97.9% (0.2%)    98.6%           92.7% (0.8%)
              With all labels the pixels' nearest neighbours are better than the features'.
    """
    from sevenfold.training.representing.features import features, pixels
    from sevenfold.training.workload import build_workload

    trained = bench.trained(bench.train("contrastive-digits"))
    dataset = trained.dataset
    untrained = build_workload(trained.recipe).model
    read = {
        "contrastive": [features(trained.model, split) for split in (dataset.train, dataset.test)],
        "random_network": [features(untrained, split) for split in (dataset.train, dataset.test)],
        "pixels": [pixels(split) for split in (dataset.train, dataset.test)],
    }
    labels, truth = (split.targets.cpu().numpy() for split in (dataset.train, dataset.test))
    return {
        f"{name}_{figure}": value
        for name, (train, test) in read.items()
        for figure, value in _accuracies(train, labels, test, truth, bench.seed).items()
    }


def _accuracies(train: Any, labels: Any, test: Any, truth: Any, seed: int) -> dict[str, float]:
    from sevenfold.data import labelled_of
    from sevenfold.training.representing.probing import linear_accuracy, neighbour_accuracy

    few = labelled_of(labels, _FEW, 10, seed)
    return {
        "linear": linear_accuracy(train, labels, test, truth),
        "neighbours": neighbour_accuracy(train, labels, test, truth),
        f"linear_at_{_FEW}": linear_accuracy(train[few], labels[few], test, truth),
        f"neighbour_at_{_FEW}": neighbour_accuracy(train[few], labels[few], test, truth, neighbours=1),
    }
