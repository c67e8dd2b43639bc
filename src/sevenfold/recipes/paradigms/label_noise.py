"""What wrong labels cost, and whether the same money is better spent on more items or on more labels an item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sevenfold.recipes._paradigms import Bench, paradigm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BUDGET = 1079  # labels: one for each training example
_NOISE = (0, 10, 20, 40)  # % of errors of each of three equal labellers
_UNEQUAL = "0.05,0.5,0.5"
_PLANTED = (0.05, 0.5, 0.5)


@paradigm()
def label_noise(bench: Bench) -> dict[str, float]:
    """Digits labelled by people who err: one label each on all of them, or three labels each on a third.

    Command:  sevenfold paradigms run label-noise
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured yet
    Result:   not measured yet
    """
    figures: dict[str, float] = {}
    truth = _truth()
    for noise in _NOISE:
        errors = ",".join([f"{noise / 100:g}"] * 3)
        for combine in ("first", "majority", "judged", *(["dawid-skene"] if noise else [])):
            bought: dict[str, object] = {"label_errors": errors, "combine": combine, "labels_bought": _BUDGET}
            figures |= _measured(bench, f"errors_{noise}_{combine}", bought, truth)
    thrice: dict[str, object] = {"label_errors": "0.4,0.4,0.4", "combine": "majority"}
    figures |= _measured(bench, "errors_40_majority_thrice_the_money", thrice, truth)
    for combine in ("majority", "dawid-skene"):
        unequal: dict[str, object] = {"label_errors": _UNEQUAL, "combine": combine}
        figures |= _measured(bench, f"unequal_{combine}_thrice_the_money", unequal, truth)
    return figures | _estimates(truth, bench.seed)


def _truth() -> npt.NDArray[np.int64]:
    """True labels [N] of the training examples."""
    from sevenfold.data import load
    from sevenfold.runs.recipe import DataChoice

    labels: npt.NDArray[np.int64] = load(DataChoice(name="digits"), task="classification").train.targets.numpy()
    return labels


def _measured(
    bench: Bench, name: str, bought: Mapping[str, object], truth: npt.NDArray[np.int64]
) -> dict[str, float]:
    """Test accuracy of the network, and the share of its training labels that are right."""
    from sevenfold.data.bought_labels import BoughtLabels, buy_labels

    settings = dict(bought) | {"label_seed": bench.seed}
    record = bench.train("digits-cnn", {f"data.{key}": value for key, value in settings.items()})
    accuracy = record.summary["test_accuracy"]
    assert isinstance(accuracy, float)
    labels = buy_labels(truth, BoughtLabels.from_dict(settings), 10)
    figure = name.replace("-", "_")
    return {figure: accuracy, f"{figure}_labels_right": labels.accuracy(truth)}


def _estimates(truth: npt.NDArray[np.int64], seed: int) -> dict[str, float]:
    """What Dawid and Skene's method believes of each unequal labeller, from labels of all items and of a third."""
    from sevenfold.data.bought_labels import BoughtLabels, buy_labels

    figures: dict[str, float] = {}
    for where, budget in (("all_items", None), ("a_third", _BUDGET)):
        settings = BoughtLabels(label_errors=_UNEQUAL, combine="dawid-skene", labels_bought=budget, label_seed=seed)
        found = buy_labels(truth, settings, 10).error_rates
        assert found is not None
        for planted, name, rate in zip(_PLANTED, ("good", "poor", "other_poor"), found, strict=True):
            figures[f"{where}_{name}_labeller_estimated_less_planted"] = rate - planted
    return figures
