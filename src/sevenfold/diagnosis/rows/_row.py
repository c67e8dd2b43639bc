"""What every row does, and what all rows share: the case at hand.

A row is a pure function of the ledger: `wants` looks at what is known and names the next probes, `estimate` turns
what was measured into an effect with joint draws, `constraint` writes the row. No row runs anything.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from sevenfold.diagnosis.effects import Estimate, JointDraws, paired_mean
from sevenfold.diagnosis.facts import Facts
from sevenfold.diagnosis.laws import PowerLaw
from sevenfold.diagnosis.ledger import BASELINE, LOSS, Ledger, Probe, Setting
from sevenfold.diagnosis.probes import SELECTION, measurement
from sevenfold.diagnosis.result import HARD, TITLES, Amount, Constraint, ConstraintName, Effect, Fit, Method, Point
from sevenfold.runs.recipe import Recipe
from sevenfold.units import COUNT, show

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Case:
    """The recipe under diagnosis, what is known of it, and everything measured so far."""

    recipe: Recipe
    facts: Facts
    ledger: Ledger
    draws: JointDraws
    min_seeds: int  # measurement seeds of every row
    min_effect_share: float = 0.01
    frugal: bool = False  # the budget asks for fewer candidates

    def baseline_seeds(self) -> tuple[int, ...]:
        """Every seed index on which the baseline finished."""
        return tuple(self.ledger.values(BASELINE, range(self.ledger.num_seeds)))

    def baseline_loss(self) -> float:
        values = self.ledger.values(BASELINE, self.baseline_seeds())
        return math.fsum(values.values()) / len(values)

    def margin(self) -> float:
        """Differences below this are not worth a change of setting."""
        return self.min_effect_share * abs(self.baseline_loss())

    def summary_mean(self, key: str) -> float | None:
        """Mean of a summary value over the baseline's runs."""
        values = self.ledger.values(BASELINE, self.baseline_seeds(), key)
        return math.fsum(values.values()) / len(values) if values else None

    def stopped_by(self) -> str:
        """Which limit stopped the baseline: steps, time or energy; what most of its runs say."""
        told = []
        for seed in self.baseline_seeds():
            outcome = self.ledger.outcome(BASELINE, seed)
            assert outcome is not None
            assert outcome.record is not None
            told.append(str(outcome.record.summary.get("stopped_by") or "steps"))
        return max(sorted(set(told)), key=told.count)

    def scaled_compute(self, factor: float) -> dict[str, Any]:
        """Changes that multiply the run's length, and with it whatever limit could stop it."""
        recipe = self.recipe
        changes: dict[str, Any] = {"steps": max(1, round(recipe.steps * factor))}
        if recipe.limits.time_s is not None:
            changes["limits.time_s"] = recipe.limits.time_s * factor
        if recipe.limits.energy_j is not None:
            changes["limits.energy_j"] = recipe.limits.energy_j * factor
        return changes


class Row(ABC):
    """One constraint under diagnosis."""

    name: ConstraintName

    def __init__(self, case: Case) -> None:
        self.case = case
        self.num_seeds = case.min_seeds  # measurement seeds that this row asks for
        self._memory: dict[str, tuple[Any, Any]] = {}

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why this row cannot be measured at all; None where it can."""

    @abstractmethod
    def wants(self) -> list[Probe]:
        """The probes to carry out next; empty when the row knows all it asked for."""

    @abstractmethod
    def forecast(self) -> float:
        """Baseline runs that this row still needs, what it wants now included."""

    @abstractmethod
    def seed_cost(self) -> float:
        """Baseline runs that one more measurement seed of this row costs."""

    @abstractmethod
    def estimate(self) -> Estimate | None:
        """The effect that this row is ranked by; None while it is not known."""

    @abstractmethod
    def constraint(self, num_compared: int) -> Constraint:
        """The row of the result, its simultaneous intervals covering ``num_compared`` effects."""

    def active(self) -> bool:
        """Whether this limit stopped the run, or (levers) can be pulled."""
        return self.unavailable() is None

    @property
    def seeds(self) -> tuple[int, ...]:
        return measurement(self.num_seeds)

    @property
    def kind(self) -> Literal["hard", "lever"]:
        return "hard" if self.name in HARD else "lever"

    def remember(self, what: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, made anew only when more is known or asked for."""
        state = (len(self.case.ledger), self.num_seeds)
        if self._memory.get(what, (None, None))[0] != state:
            self._memory[what] = (state, make())
        kept: T = self._memory[what][1]
        return kept

    # What the rows have in common ------------------------------------------------------------------------------

    def paired(self, setting: Setting, key: str = LOSS, *, against: Setting = BASELINE) -> Estimate | None:
        """The gain of a setting on the measurement seeds of this row; None with fewer than two pairs."""
        gains = self.case.ledger.gains(setting, self.seeds, against=against, key=key)
        return paired_mean(gains, self.case.draws) if len(gains) >= 2 else None

    def change_gain(self, key: str = LOSS) -> Estimate | None:
        """The gain of the exact change that this row names, on one split; None where it names none that was run."""
        return None

    def measured_by(self) -> Row:
        """The row whose probes measure this one: itself, if it has its own."""
        return self

    def ask(self, num_seeds: int) -> None:
        """Ask for this many measurement seeds: this row decides the verdict and its interval is too wide."""
        self.num_seeds = max(self.num_seeds, num_seeds)

    def choose(self, finalists: Sequence[Setting]) -> Setting:
        """The lowest loss on the selection seeds; the first of those that come near it, simplest first.

        What failed when it was measured is passed over.
        """
        ledger = self.case.ledger
        alive = [one for one in finalists if ledger.failure(one, self.seeds) is None] or list(finalists)
        scores = [math.inf if (score := ledger.score(one, SELECTION)) is None else score for one in alive]
        best = min(scores) + self.case.margin()
        return next(one for one, score in zip(alive, scores, strict=True) if score <= best)

    def missing(self, settings: Iterable[Setting]) -> list[Probe]:
        """Measurement probes not carried out yet, seed by seed so that a cut leaves whole pairs."""
        found = [probe for one in settings for probe in self.case.ledger.missing(one, self.seeds)]
        return sorted(found, key=lambda probe: probe[1])

    def evidence(self, settings: Iterable[Setting], seeds: Sequence[int] | None = None) -> list[str]:
        """Ids of the baseline's and these settings' runs on the row's seeds, each once."""
        chosen = self.seeds if seeds is None else seeds
        ids = [run for one in (BASELINE, *settings) for run in self.case.ledger.runs(one, chosen)]
        return list(dict.fromkeys(ids))

    def point(self, setting: Setting, seeds: Sequence[int] | None = None) -> Point:
        """A probed setting as the report shows it."""
        ledger, chosen = self.case.ledger, self.seeds if seeds is None else tuple(seeds)
        values = ledger.values(setting, chosen)
        failed = ledger.failure(setting, chosen)
        low = high = loss = math.fsum(values.values()) / len(values) if values else 0.0
        if len(values) >= 2:
            low, high = paired_mean(values, self.case.draws).interval(0.95)
        return Point(
            lever=setting.lever, setting=setting.label, x=setting.x, loss=loss, low=low, high=high,
            num_runs=len(values), runs=ledger.runs(setting, chosen), macs_ratio=setting.macs_ratio,
            time_ratio=setting.time_ratio, failed=failed,
        )  # fmt: skip

    def blank(self, method: Method, why: str, **fields: Any) -> Constraint:
        """A row without an effect: why it has none."""
        return self.row(None, method, why, **fields)

    def row(self, ranked: Effect | None, method: Method, why: str, **fields: Any) -> Constraint:
        """A row of the result with what every row has."""
        slot = "shadow_price" if self.kind == "hard" else "headroom"
        given: dict[str, Any] = {
            "name": self.name, "title": TITLES[self.name], "kind": self.kind, "limit": None, "usage": None,
            "slack": None, "slack_share": None, "active": self.active() and method != "unavailable",
            "headroom": None, "shadow_price": None, "p_best": None, "method": method, "why": why, "evidence": [],
            "interval": None if ranked is None else [ranked.low, ranked.high],
        }  # fmt: skip
        return Constraint(**{**given, slot: ranked, **fields})

    def missing_row(self, settings: Sequence[Setting], **fields: Any) -> Constraint:
        """The row when its effect is not known: what failed, or that it was not reached."""
        points = [self.point(one) for one in settings if self.case.ledger.runs(one, self.seeds)]
        failures = [point.failed for point in points if point.failed]
        evidence = self.evidence(settings) if points else []
        if failures:
            return self.blank(
                "failed", f"its probes failed: {failures[0]}", points=points, evidence=evidence, **fields
            )
        lost = self.case.ledger.failure(BASELINE, self.seeds)
        if lost is not None:
            why = f"the baseline failed on too many of this row's seeds: {lost}"
            return self.blank("failed", why, points=points, evidence=evidence, **fields)
        why = "not reached within the budget"
        return self.blank("not reached", why, points=points, evidence=evidence, **fields)

    def failure_note(self, settings: Iterable[Setting]) -> str:
        """A clause for `why` when some but not all seeds of a setting failed."""
        lost = [one for one in settings if self.case.ledger.failure(one, self.seeds)]
        return "".join(f"; {one.lever}={one.label} failed on some seeds, which are left out" for one in lost)


def amounts(limit: Amount | None, usage: Amount | None, slack_text: str | None = None) -> dict[str, Any]:
    """The fields limit, usage, slack and slack_share of a row from its limit and usage."""
    fields: dict[str, Any] = {"limit": limit, "usage": usage, "slack": None, "slack_share": None}
    if limit is not None and usage is not None:
        slack = max(0.0, limit.value - usage.value)
        share = slack / limit.value if limit.value else 0.0
        text = (
            slack_text
            if slack_text is not None
            else "none"
            if share < 5e-4
            else ">99% left"
            if share > 0.995
            else f"{100 * share:.0f}% left"
        )
        fields["slack"] = Amount(value=slack, unit=limit.unit, text=text)
        fields["slack_share"] = share
    return fields


def count_text(value: float, unit: str) -> str:
    """``1,437 examples``; singular where it is one."""
    text = f"{value:,.0f}" if value < 1e7 else show(value, COUNT)
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}"


def times_text(factor: float) -> str:
    """``4.2 times as long``, ``121 times as long``; ``about as long`` within 5%.

    >>> times_text(4.23), times_text(121.4), times_text(1.02)
    ('4.2 times as long', '121 times as long', 'about as long')
    """
    if abs(factor - 1) < 0.05:
        return "about as long"
    return f"{factor:,.0f} times as long" if factor >= 9.95 else f"{factor:.2g} times as long"


def law_draws(case: Case, estimates: Mapping[float, Estimate]) -> tuple[list[float], Array, Array]:
    """Amounts, mean losses [1, points] and drawn losses [draws, points], from gains by relative amount."""
    base = case.baseline_loss()
    xs = sorted({*estimates, 1.0})
    zero = np.zeros(case.draws.num_draws)
    means = [base - (estimates[x].value if x in estimates else 0.0) for x in xs]
    drawn = [base - (estimates[x].draws if x in estimates else zero) for x in xs]
    return xs, np.array([means]), np.stack(drawn, axis=1)


def fit_figure(
    law: PowerLaw, drawn: PowerLaw, symbol: str, label: str, scale: float, ends: tuple[float, float]
) -> Fit:
    """The fitted curve with its 95% band, for the report; x in the amount's own unit."""
    x = np.geomspace(*ends, 33)
    low, high = np.quantile(drawn.at(x[None, :]), [0.025, 0.975], axis=0)
    y = law.at(x[None, :])[0]
    return Fit(
        x_label=label, x=[float(v * scale) for v in x], y=[float(v) for v in y],
        low=[float(v) for v in np.minimum(low, y)], high=[float(v) for v in np.maximum(high, y)],
        law=law.text(symbol),
    )  # fmt: skip
