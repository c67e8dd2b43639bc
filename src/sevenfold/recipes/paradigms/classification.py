"""Learning from labelled examples, beside what needs no network."""

from __future__ import annotations

from sevenfold.recipes._paradigms import Bench, paradigm


@paradigm()
def classification(bench: Bench) -> dict[str, float]:
    """A network against the commonest class, nearest neighbours and logistic regression on the same pixels.

    Command:  sevenfold paradigms run classification
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured yet
    Result:   not measured yet
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
