"""Several people label the same items: what the label is, and how often each of them errs.

    judged       three labellers: what two agree on; where the first two differ, the third decides
    dawid_skene  labels and the labellers' errors together, by expectation maximization (Dawid & Skene 1979):
                 E: p(z_i = j) ~ p_j prod_k prod_l pi_k[j, l] ^ n_ikl      M: p and pi from these weights
                 with one error rate a labeller in place of a table, where labels are few
    majority     the class with most votes; of equals the one that the labeller named who stands first
    kappa        (p_o - p_e) / (1 - p_e): agreement beyond that of two who name classes as often, but at random
                 (Cohen 1960, A coefficient of agreement for nominal scales)

I items, K labellers, C classes. Labels are numbers 0 to C - 1; -1 is an item that a labeller did not see. It must
not know what the items are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sevenfold.errors import UsageError

__all__ = ["Consensus", "cohen_kappa", "dawid_skene", "judged", "majority", "noisy_labeller"]

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Consensus:
    """What the labels say together."""

    probabilities: Floats  # [I, C] of each item's class
    prior: Floats  # [C]
    confusion: Floats  # [K, C, C]: labeller k calls class j by the name l with this probability
    log_likelihood: tuple[float, ...]  # after each round; it never falls

    @property
    def labels(self) -> Labels:
        """The likeliest class of each item [I]."""
        return np.asarray(self.probabilities.argmax(1), dtype=np.int64)

    @property
    def error_rates(self) -> Floats:
        """The share of wrong labels that each labeller is expected to give [K]."""
        right = np.einsum("kjj,j->k", self.confusion, self.prior)
        return np.asarray(1 - right, dtype=np.float64)


def judged(first: Labels, second: Labels, third: Labels) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """The label of each item [I], and where it was in dispute: the third labeller judges there.

    >>> judged(np.array([1, 1]), np.array([1, 0]), np.array([0, 0]))
    (array([1, 0]), array([False,  True]))
    """
    dispute = first != second
    return np.where(dispute, third, first), dispute


def majority(labels: Labels) -> Labels:
    """The label of each item [I] that most of its labels [I, K] name; of equals the one that stands first.

    >>> majority(np.array([[2, 0, 0], [2, 0, 1], [-1, 0, 1]]))
    array([0, 2, 0])
    """
    _check(labels, int(labels.max(initial=0)) + 1)
    agreeing = (labels[:, :, None] == labels[:, None, :]).sum(2)  # [I, K] votes for what labeller k says
    best = np.where(labels >= 0, agreeing, 0).argmax(1)
    return np.asarray(np.take_along_axis(labels, best[:, None], axis=1)[:, 0], dtype=np.int64)


def cohen_kappa(first: Labels, second: Labels) -> float | None:
    """Cohen's kappa of two labellers' labels [I] of the same items; None where chance alone agrees on all of them.

    >>> cohen_kappa(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
    0.5
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise UsageError(
            "two labellers' labels of the same items",
            got=f"shapes {list(first.shape)} and {list(second.shape)}",
            expected="two lists of one length",
        )
    names = np.union1d(first, second)
    chance = float(sum((first == name).mean() * (second == name).mean() for name in names))
    observed = float((first == second).mean())
    return None if chance >= 1 else (observed - chance) / (1 - chance)


def dawid_skene(
    labels: Labels, num_classes: int, *, one_rate: bool = False, rounds: int = 200, tolerance: float = 1e-9
) -> Consensus:
    """Classes and errors from labels [I, K], begun at the vote of the majority.

    ``one_rate`` finds one share of errors a labeller, the same for every class and spread evenly over the wrong
    ones, in place of C (C - 1) numbers: better where labels are few, wrong where some classes are confused more.
    Ends when the log-likelihood an item grows by less than ``tolerance``, or after ``rounds``. Every count is
    raised by 0.01, so that a name that a labeller never used keeps some probability. Raises UsageError for labels
    that are no classes and items without any label.
    """
    _check(labels, num_classes)
    given = np.zeros((*labels.shape, num_classes))
    items, who = np.nonzero(labels >= 0)
    given[items, who, labels[items, who]] = 1
    weights = given.sum(1)
    weights /= weights.sum(1, keepdims=True)
    found: list[float] = []
    while True:
        prior = weights.sum(0) + 0.01
        prior /= prior.sum()
        confusion = np.einsum("ij,ikl->kjl", weights, given) + 0.01
        confusion = _evenly(confusion) if one_rate else confusion / confusion.sum(2, keepdims=True)
        log = np.log(prior) + np.einsum("ikl,kjl->ij", given, np.log(confusion))
        top = log.max(1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(log - top).sum(1))
        weights = np.exp(log - total[:, None])
        found.append(float(total.sum()))
        if len(found) >= rounds or (len(found) > 1 and found[-1] - found[-2] < tolerance * len(labels)):
            return Consensus(weights, prior, confusion, tuple(found))


def noisy_labeller(
    truth: Labels, error_rate: float, num_classes: int, seed: int, *, one_wrong: bool = False
) -> Labels:
    """Labels [I] of somebody who errs on a known share of the items.

    Each wrong class is named as often, or, with ``one_wrong``, always the next one (of the last class the first):
    as where every class has one that it is taken for ("pair flipping" of Han et al. 2018, Co-teaching).
    """
    if not 0 <= error_rate <= 1 or num_classes < 2:
        raise UsageError(
            "a share of errors", got=f"{error_rate:g} of {num_classes} classes", expected="0 to 1, 2 or more"
        )
    draw = np.random.default_rng(seed)
    drawn = draw.integers(1, num_classes, len(truth))
    wrong = (truth + (1 if one_wrong else drawn)) % num_classes
    return np.where(draw.random(len(truth)) < error_rate, wrong, truth)


def _evenly(counts: Floats) -> Floats:
    """Confusion [K, C, C] of labellers who err on the share that the counts say, on every class alike."""
    classes = counts.shape[1]
    right = np.einsum("kjj->k", counts) / counts.sum((1, 2))
    wrong = (1 - right) / (classes - 1)
    confusion = np.broadcast_to(wrong[:, None, None], counts.shape).copy()
    confusion[:, np.arange(classes), np.arange(classes)] = right[:, None]
    return confusion


def _check(labels: Labels, num_classes: int) -> None:
    if labels.ndim != 2 or not len(labels):
        raise UsageError("labels are a table", got=f"shape {list(labels.shape)}", expected="[items, labellers]")
    if labels.min() < -1 or labels.max() >= num_classes:
        raise UsageError(
            "a label is no class",
            got=f"{labels.min()} to {labels.max()}",
            expected=f"0 to {num_classes - 1}, or -1 for none",
        )
    unseen = np.flatnonzero((labels < 0).all(1))
    if len(unseen):
        raise UsageError("an item that nobody labelled", got=f"item {unseen[0]}", expected="a label at least")
