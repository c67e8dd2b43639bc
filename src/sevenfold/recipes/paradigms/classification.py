"""Learning from labelled examples, beside what needs no network."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm


@paradigm(
    measured=(
        Measured("network_accuracy", 0.963, 0.002, slack=0.01),
        Measured("logistic_regression_accuracy", 0.967, 0.0, slack=0.005),
        Measured("nearest_neighbours_accuracy", 0.986, 0.0, slack=0.001),
        Measured("commonest_class_accuracy", 0.100, 0.0, slack=0.001),
    )
)
def classification(bench: Bench) -> dict[str, float]:
    """A network against the commonest class, nearest neighbours and logistic regression on the same pixels.

    Command:  sevenfold paradigms run classification
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     3 s of CPU time a seed
    Result:   the network 96.3% of 359 test digits (mean of seeds 0 to 2, standard deviation 0.2%), logistic
              regression 96.7%, the five nearest neighbours 98.6%, the commonest class 10.0%. 1,079 digits by
              writers whom the test digits share are enough for neighbours, and a network of 10,582 numbers is no
              better; `wide-resnet-digits` comes to 99.2%
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    record = bench.train("digits-cnn")
    dataset = bench.trained(record).dataset
    (x, y), (tested, truth) = (
        split.batch(np.arange(len(split), dtype=np.int64)) for split in (dataset.train, dataset.test)
    )
    pixels, unseen = (np.asarray(part).reshape(len(part), -1) for part in (x, tested))
    labels, right = np.asarray(y), np.asarray(truth)
    accuracy = record.summary["test_accuracy"]
    assert isinstance(accuracy, float)
    return {
        "network_accuracy": accuracy,
        "logistic_regression_accuracy": float(
            LogisticRegression(max_iter=5000).fit(pixels, labels).score(unseen, right)
        ),
        "nearest_neighbours_accuracy": float(KNeighborsClassifier(5).fit(pixels, labels).score(unseen, right)),
        "commonest_class_accuracy": float(np.mean(right == np.bincount(labels).argmax())),
    }
