"""Labels that are bought of people who err: who labels what, what it costs, and what is made of it.

The people are simulated: labeller k gives a wrong class on a known share of the items, each wrong class as often
(people confuse some classes more than others, which is harder). Items are labelled in an order that is drawn, until
the labels that may be bought are spent; who begins goes round, so that each of them labels as much.

    first         one label an item                                                  1 label an item
    majority      everybody labels; most votes, of equals whoever began              K labels
    judged        two label; a third where they differ, whose word it is             2 or 3 labels
    dawid-skene   everybody labels; who errs how often is found out from that        K labels
    one-rate      the same, with one share of errors a labeller for all classes      K labels

I items, K labellers, C classes. Only training labels are bought; validation and test keep the true ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from sevenfold.data._dataset import Dataset, ExampleSplit
from sevenfold.data.labellers import dawid_skene, judged, majority, noisy_labeller
from sevenfold.errors import UsageError
from sevenfold.spec import Spec

__all__ = ["Bought", "BoughtLabels", "buy_labels", "with_bought_labels"]

Labels = npt.NDArray[np.int64]


class BoughtLabels(Spec):
    """Where training labels come from, if not from the truth."""

    label_errors: str | float = Field(
        default="",
        description="classification: labellers' shares of errors, as 0.2 or 0.05,0.4,0.4; else the truth",
    )
    combine: Literal["first", "majority", "judged", "dawid-skene", "one-rate"] = Field(
        default="first", description="label_errors: how an item's labels become one"
    )
    errors_to: Literal["even", "next"] = Field(
        default="even", description="label_errors: all wrong classes as often, or the next class always"
    )
    labels_bought: int | None = Field(
        default=None, ge=1, description="label_errors: labels paid for; none for as many as all items take"
    )
    label_seed: int = Field(default=0, ge=0, description="label_errors: who errs where, and which items come first")

    @property
    def error_rates(self) -> tuple[float, ...]:
        """One a labeller; raises UsageError for what is no share."""
        texts = str(self.label_errors).split(",") if str(self.label_errors).strip() else []
        try:
            rates = tuple(float(text) for text in texts)
        except ValueError:
            rates = (-1.0,)
        if any(not 0 <= rate <= 1 for rate in rates):
            raise UsageError(
                "label_errors are shares of errors, one a labeller",
                got=repr(self.label_errors),
                expected="0.05,0.4,0.4",
            )
        return rates


@dataclass(frozen=True, eq=False)
class Bought:
    """What the money bought."""

    items: Labels  # [I] labelled items, in the order in which they were labelled
    labels: Labels  # [I, K] what each labeller said; -1 where not asked
    combined: Labels  # [I] the label of each item
    error_rates: tuple[float, ...] | None  # of each labeller, as dawid-skene and one-rate estimate them

    @property
    def cost(self) -> int:
        """Labels that were paid for."""
        return int((self.labels >= 0).sum())

    def accuracy(self, truth: Labels) -> float:
        """The share of the combined labels that are right, by the truth of all items."""
        return float((self.combined == truth[self.items]).mean())


def buy_labels(truth: Labels, settings: BoughtLabels, num_classes: int) -> Bought:
    """Labels of items whose true labels [N] are known to the simulated labellers alone.

    >>> bought = buy_labels(np.arange(100) % 10, BoughtLabels(label_errors="0,0,0", labels_bought=60,
    ...                     combine="majority"), 10)
    >>> bought.cost, len(bought.items), bought.accuracy(np.arange(100) % 10)
    (60, 20, 1.0)

    Raises UsageError for settings that do not fit each other, and too few labels for one item.
    """
    rates = settings.error_rates
    _check(settings, rates)
    order = np.random.default_rng([settings.label_seed, 1]).permutation(len(truth))
    people = len(rates)
    said = np.stack(
        [
            noisy_labeller(
                truth,
                rate,
                num_classes,
                1000 * settings.label_seed + number,
                one_wrong=settings.errors_to == "next",
            )
            for number, rate in enumerate(rates)
        ],
        axis=1,
    )[order]
    turns = (np.arange(len(truth))[:, None] + np.arange(people)) % people  # [I, K] who is asked first, second, ...
    in_turn = np.take_along_axis(said, turns, axis=1)
    asked = _asked(in_turn, settings.combine)
    whole = np.cumsum(asked) <= (settings.labels_bought or asked.sum())
    if not whole.any():
        raise UsageError(
            "too few labels for one item",
            got=f"labels_bought={settings.labels_bought}",
            expected=f"{asked[0]} or more",
        )
    in_turn, asked, turns = in_turn[whole], asked[whole], turns[whole]
    paid = np.where(np.arange(people) < asked[:, None], in_turn, -1)
    labels = np.full_like(paid, -1)
    np.put_along_axis(labels, turns, paid, axis=1)
    combined, found = _combined(paid, labels, settings.combine, num_classes)
    return Bought(order[whole], labels, combined, found)


def with_bought_labels(dataset: Dataset, settings: BoughtLabels) -> Dataset:
    """The data set with training labels that were bought; items without a label are left out of training."""
    if str(settings.label_errors).strip() == "":
        _check_unused(dataset.name, settings)
        return dataset
    if dataset.task != "classification":
        raise UsageError(
            f"data set {dataset.name!r}: label_errors is for the task classification",
            got=f"label_errors={settings.label_errors} for {dataset.task}",
        )
    assert isinstance(dataset.train, ExampleSplit)
    truth = dataset.train.stored_targets.numpy()
    bought = buy_labels(truth, settings, dataset.num_outputs)
    kept = dataset.train.take(bought.items)
    train = ExampleSplit(kept.stored_inputs, torch.from_numpy(bought.combined))
    told = (
        f"{bought.cost:,} labels by {len(settings.error_rates)} simulated labellers "
        f"(errors {settings.label_errors}) for {len(train):,} training examples, combined by {settings.combine}: "
        f"{bought.accuracy(truth):.1%} right; validation and test labels are true"
    )
    notes = "; ".join(filter(None, (dataset.provenance.notes, told)))
    return replace(
        dataset,
        train=train,
        num_train_whole=len(train),
        provenance=dataset.provenance.model_copy(update={"notes": notes}),
    )


def _asked(in_turn: Labels, combine: str) -> Labels:
    """How many labels each item takes [I], of what its labellers would say in turn [I, K]."""
    if combine == "first":
        return np.ones(len(in_turn), dtype=np.int64)
    if combine == "judged":
        return np.asarray(2 + (in_turn[:, 0] != in_turn[:, 1]), dtype=np.int64)
    return np.full(len(in_turn), in_turn.shape[1], dtype=np.int64)


def _combined(
    paid: Labels, labels: Labels, combine: str, num_classes: int
) -> tuple[Labels, tuple[float, ...] | None]:
    """The label of each item, from labels in turn [I, K] and by labeller [I, K]; and the labellers' errors."""
    if combine == "first":
        return paid[:, 0], None
    if combine == "judged":
        return judged(paid[:, 0], paid[:, 1], paid[:, 2])[0], None
    if combine == "majority":
        return majority(paid), None
    consensus = dawid_skene(labels, num_classes, one_rate=combine == "one-rate")
    return consensus.labels, tuple(float(rate) for rate in consensus.error_rates)


def _check(settings: BoughtLabels, rates: tuple[float, ...]) -> None:
    least = {"first": 1, "majority": 2, "judged": 3, "dawid-skene": 2, "one-rate": 2}[settings.combine]
    if len(rates) < least:
        raise UsageError(
            f"combine={settings.combine} needs {least} labellers or more",
            got=f"label_errors={settings.label_errors!r}",
            expected=",".join(["0.2"] * least),
        )


def _check_unused(name: str, settings: BoughtLabels) -> None:
    """A setting of labels that nobody sells is told, not passed over."""
    default = BoughtLabels()
    for key in ("combine", "errors_to", "labels_bought", "label_seed"):
        if getattr(settings, key) != getattr(default, key):
            raise UsageError(
                f"data set {name!r}: {key} is for labels that are bought",
                got=f"{key}={getattr(settings, key)}, and no label_errors",
                hint="label_errors=0.2",
            )
