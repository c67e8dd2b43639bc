"""Two networks in series: what the first is not sure of goes to the second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm
from sevenfold.recipes.paradigms._measuring import labelled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sevenfold.data import Split
    from sevenfold.training.workload import Workload

_FIRST = {"model.width": 16, "model.depth": 1}
_SECOND = {"model.width": 48}


@paradigm(
    measured=(
        Measured("chain_accuracy", 0.976, 0.004, slack=0.01),
        Measured("second_accuracy", 0.977, 0.004, slack=0.01),
        Measured("random_accuracy", 0.942, 0.005, slack=0.01),
        Measured("passed_on", 0.354, 0.034, slack=0.1),
    )
)
def chaining(bench: Bench) -> dict[str, float]:
    """A tiny network answers where it is sure and passes the rest on: accuracy and multiply-accumulates a digit.

    The first is a perceptron with 16 hidden units (1,184 multiply-accumulates a digit), the second a convolutional
    network of width 48 (86,448). A digit is passed on where the first's largest probability is below a threshold:
    the least one at which the chain is right as often as the second alone on the validation digits. ``random`` is
    the accuracy to be expected if the same share of digits were passed on by lot.

    Command:  sevenfold paradigms run chaining
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     7 s of CPU time a seed
    Result:   the chain is right about 97.6% of the test digits (mean of seeds 0 to 2, standard deviation 0.4%), the
              second network alone 97.7% (0.4%), the first 92.3% (0.7%); digits passed on by lot would give 94.2%.
              The chain passes on 35% (3%) and costs 31,800 (2,900) multiply-accumulates a digit, 37% of the
              second's 86,448
    """
    first = bench.trained(bench.train("digits-mlp", _FIRST))
    second = bench.trained(bench.train("digits-cnn", _SECOND))
    digits = second.dataset
    threshold = chosen_threshold(*_answers(first, second, digits.validation))
    sure, first_right, second_right = _answers(first, second, digits.test)
    passed = sure < threshold
    share = float(passed.mean())
    first_macs, second_macs = _macs(first), _macs(second)
    alone = float(first_right.mean()), float(second_right.mean())
    return {
        "first_accuracy": alone[0],
        "second_accuracy": alone[1],
        "chain_accuracy": float((first_right & ~passed | second_right & passed).mean()),
        "random_accuracy": (1 - share) * alone[0] + share * alone[1],
        "passed_on": share,
        "first_macs": first_macs,
        "second_macs": second_macs,
        "chain_macs": first_macs + share * second_macs,
    }


def chosen_threshold(
    sure_n: npt.NDArray[np.float64], first_right_n: npt.NDArray[np.bool_], second_right_n: npt.NDArray[np.bool_]
) -> float:
    """The least threshold of the first's confidence at which the chain is right as often as the second alone.

    >>> import numpy as np
    >>> chosen_threshold(np.array([0.5, 0.7, 0.9]), np.array([False, True, True]), np.array([True, True, True]))
    0.7
    """
    import numpy as np

    for threshold in (0.0, *np.unique(sure_n).tolist(), np.inf):
        passed = sure_n < threshold
        if (first_right_n & ~passed | second_right_n & passed).sum() >= second_right_n.sum():
            return float(threshold)
    raise AssertionError("the second alone is a chain too")


def _answers(
    first: Workload, second: Workload, split: Split
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """How sure the first is of each digit, and whether each of the two is right."""
    from sevenfold.training.calibration import probabilities
    from sevenfold.training.representing.features import outputs

    labels = labelled(split).labels
    by_first, by_second = (probabilities(outputs(one.model, split)) for one in (first, second))
    return by_first.max(1), by_first.argmax(1) == labels, by_second.argmax(1) == labels


def _macs(workload: Workload) -> int:
    """Multiply-accumulates of one digit."""
    from sevenfold.counting import trace

    model = workload.entry.build_meta(workload.settings).eval()
    return trace(model, workload.entry.example(workload.settings), backward=False).macs
