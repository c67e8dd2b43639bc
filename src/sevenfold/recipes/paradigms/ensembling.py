"""Several networks asked together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm
from sevenfold.recipes.paradigms._measuring import labelled, mean_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MEMBERS = 5
_LARGE = {"model.width": 57}
_FEW = {"data.validation_share": 0.05, "data.test_share": 0.85}
_SHORT = {"accuracy": "accuracy", "negative_log_likelihood": "nll", "expected_calibration_error": "ece"}


@paradigm(
    measured=(
        Measured("many_single_accuracy", 0.963, 0.004, slack=0.005),
        Measured("many_ensemble_accuracy", 0.968, 0.003, slack=0.005),
        Measured("many_large_accuracy", 0.976, 0.006, slack=0.005),
        Measured("few_single_nll", 0.390, 0.025),
        Measured("few_ensemble_nll", 0.296, 0.014),
        Measured("few_large_nll", 0.353, 0.055),
        Measured("few_ensemble_ece", 0.013, 0.002, slack=0.01),
        Measured("few_single_ece", 0.040, 0.004, slack=0.01),
    )
)
def ensembling(bench: Bench) -> dict[str, float]:
    """The mean of five networks' probabilities, against one of the five and one network of five times the size.

    Convolutional networks (``digits-cnn``) that differ in seed alone: other weights to begin with and another order
    of the same data. 10,582 parameters each; 55,095 in the large one, trained for the same steps. ``many``: 1,079
    training digits and 359 to test; ``few``: 180 and 1,527. ``single`` is the mean over the five members, whose
    seeds are 5 s to 5 s + 4. Beside the accuracy: negative log likelihood in nats (nll), expected calibration error
    in 15 bins (ece).

    Command:  sevenfold paradigms run ensembling
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     28 s of CPU time a seed
    Result:   means of seeds 0 to 2, standard deviations in brackets:

                                many digits                                few digits
                      accuracy     nll            ece          accuracy     nll            ece
                  single    96.3% (0.4)  0.106 (0.009)  0.022     89.8% (0.6)  0.390 (0.025)  0.040 (0.004)
                  ensemble  96.8% (0.3)  0.094 (0.009)  0.030     91.5% (0.4)  0.296 (0.014)  0.013 (0.002)
                  large     97.6% (0.6)  0.073 (0.010)  0.014     91.5% (0.4)  0.353 (0.055)  0.039 (0.005)

              The ensemble is better than its members, and where digits are few much better calibrated than the
              large network, which is as often right. Where there are many, the large network is better in all
              three, and the ensemble's calibration error is above its members'
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
