"""Several networks asked together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sevenfold.recipes._paradigms import Bench, paradigm
from sevenfold.recipes.paradigms._measuring import labelled, mean_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MEMBERS = 5
_LARGE = {"model.width": 57}
_FEW = {"data.validation_share": 0.05, "data.test_share": 0.85}
_SHORT = {"accuracy": "accuracy", "negative_log_likelihood": "nll", "expected_calibration_error": "ece"}


@paradigm()
def ensembling(bench: Bench) -> dict[str, float]:
    """The mean of five networks' probabilities, against one of the five and one network of five times the size.

    Convolutional networks (``digits-cnn``) that differ in seed alone: other weights to begin with and another order
    of the same data. 10,582 parameters each; 55,095 in the large one, trained for the same steps. ``many``: 1,079
    training digits and 359 to test; ``few``: 180 and 1,527. ``single`` is the mean over the five members, whose
    seeds are 5 s to 5 s + 4. Beside the accuracy: negative log likelihood in nats (nll), expected calibration error
    in 15 bins (ece).

    Command:  sevenfold paradigms run ensembling
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured yet
    Result:   not measured yet
    """
    return _on(bench, "many", {}) | _on(bench, "few", _FEW)


def _on(bench: Bench, name: str, data: Mapping[str, Any]) -> dict[str, float]:
    import numpy as np

    members = [_stated(bench, {**data, "seed": _MEMBERS * bench.seed + k}) for k in range(_MEMBERS)]
    labels = members[0][1]
    found = {
        "single": mean_of(_scores(stated, labels) for stated, _ in members),
        "ensemble": _scores(np.mean([stated for stated, _ in members], axis=0), labels),
        "large": _scores(*_stated(bench, {**data, **_LARGE})),
    }
    return {
        f"{name}_{which}_{figure}": value for which, scores in found.items() for figure, value in scores.items()
    }


def _stated(bench: Bench, changes: Mapping[str, Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """A network's probabilities on the test digits, and their labels."""
    from sevenfold.training.calibration import probabilities
    from sevenfold.training.representing.features import outputs

    workload = bench.trained(bench.train("digits-cnn", changes))
    test = workload.dataset.test
    return probabilities(outputs(workload.model, test)), labelled(test).labels


def _scores(stated: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> dict[str, float]:
    from sevenfold.training.calibration import calibration

    scores = asdict(calibration(stated, labels))
    return {short: scores[name] for name, short in _SHORT.items()}
