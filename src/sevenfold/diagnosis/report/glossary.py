"""The words of a report: the seven constraints in one line each, the columns, and the marks of the methods.

Plain data, shared by the terminal, the page and the documentation; knows no diagnosis.
"""

from __future__ import annotations

from typing import NamedTuple

from sevenfold.diagnosis.result import ConstraintName, Method


class Meaning(NamedTuple):
    """One constraint: what it bounds, and what is run to measure it."""

    bounds: str
    measured_by: str


MEANINGS: dict[ConstraintName, Meaning] = {
    "data": Meaning(
        "A model is as good as the information about the true distribution in its training set.",
        "The same steps on ¼ and ½ of the examples; one doubling beyond what exists by a fitted law, whose "
        "interval is widened by its error where it could be checked.",
    ),
    "parameters": Meaning(
        "What a network can represent is bounded by the number of its parameters.",
        "Half and twice the width, with the learning rate transferred or tuned again at each size.",
    ),
    "optimization": Meaning(
        "How many parameters can still converge and generalize: learning rate, schedule, regularization.",
        "Learning rate halved, doubled and further while it helps; warm-up, weight decay, dropout, label "
        "smoothing; chosen on some seeds, the gain reported on fresh ones.",
    ),
    "architecture": Meaning(
        "How much useful representation each parameter gives: the inductive bias.",
        "The catalogue's alternatives for the task at equal multiply-accumulates (±10%), each with its own rate "
        "search.",
    ),
    "compute": Meaning(
        "How many parameters can be trained on how many examples.",
        "Half and twice the budget, each with the schedule stretched to its own end.",
    ),
    "efficiency": Meaning(
        "The share of the hardware's arithmetic that the software really uses.",
        "Measured step time against the roofline of the step's operators on the calibrated chip; the factor that "
        "remains goes through the compute curve.",
    ),
    "energy": Meaning(
        "Joules: what a site, a battery or a budget can draw.",
        "Joules a step, from a meter where the machine has one and otherwise from the chip's model, against the "
        "same operators at the chip's best; it can bind only where a limit was stated.",
    ),
}

COLUMNS: dict[str, str] = {
    "limit": "What is available. Levers without an amount have none: their limit is the best setting known.",
    "usage": "What the baseline run used of it.",
    "slack": "Limit less usage. An amount with slack is not what stopped the run: its price is what it would be.",
    "shadow price": "The fall in validation loss if the amount is doubled and everything else stays.",
    "headroom": "The fall in validation loss at the best known setting, at no extra hard resource.",
    "P(best)": "How often this row comes out largest when the seeds are resampled.",
}

METHODS: dict[Method, Meaning] = {
    "measured": Meaning("●", "by probe runs on this machine"),
    "predicted": Meaning("◐", "by a law fitted to probe runs: an extrapolation"),
    "modelled": Meaning("◇", "rests on a model of the chip, not on a meter"),
    "unavailable": Meaning("–", "this lever cannot be pulled; the row says why"),
    "not reached": Meaning("…", "the budget ended before it was its turn"),
    "failed": Meaning("✕", "its probe failed; the row says why"),
}

SHORT_TITLES: dict[ConstraintName, str] = {
    "data": "data",
    "parameters": "parameters",
    "optimization": "optimization",
    "architecture": "architecture",
    "compute": "compute",
    "efficiency": "efficiency",
    "energy": "energy",
}
