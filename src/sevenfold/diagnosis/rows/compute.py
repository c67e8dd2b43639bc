"""Compute: half and twice the budget, each with its own schedule stretched to the new end.

The price L(C) - L(2C) is measured at twice the budget. The curve through half, once and twice also converts a
factor of speed or of joules into loss, for the rows of compute efficiency and energy.
"""

from __future__ import annotations

import numpy as np

from sevenfold.diagnosis.effects import Estimate, derived
from sevenfold.diagnosis.laws import PowerLaw, fit_power
from sevenfold.diagnosis.ledger import LOSS, Probe, Setting
from sevenfold.diagnosis.result import Amount, Constraint, ConstraintName
from sevenfold.diagnosis.rows._row import Case, Row, amounts, count_text, fit_figure, law_draws
from sevenfold.units import SECONDS, USD, show

MEASURED_FACTOR = 2.0
LARGEST_FACTOR = 4 * MEASURED_FACTOR  # an extrapolation goes no further than 4 times outside what was measured


class Compute(Row):
    """What another doubling of the training budget would be worth."""

    name: ConstraintName = "compute"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.double = self._setting(2.0)
        self.half = self._setting(0.5)

    def _setting(self, factor: float) -> Setting:
        steps = max(1, round(self.case.recipe.steps * factor))
        return Setting("steps", str(steps), self.case.scaled_compute(factor), steps, cost=factor)

    def unavailable(self) -> str | None:
        return "one step cannot be halved" if self.case.recipe.steps < 2 else None

    def active(self) -> bool:
        return self.unavailable() is None and self.case.stopped_by() in ("steps", "time")

    def wants(self) -> list[Probe]:
        return [] if self.unavailable() else self.missing([self.double, self.half])

    def forecast(self) -> float:
        return sum(setting.cost for setting, _ in self.wants())

    def seed_cost(self) -> float:
        return self.double.cost + self.half.cost

    def estimate(self) -> Estimate | None:
        return self.paired(self.double)

    def curve(self) -> tuple[PowerLaw, PowerLaw] | None:
        """The law through half, once and twice the budget: of the means, and of the draws."""
        return self.remember("curve", self._make_curve)

    def _make_curve(self) -> tuple[PowerLaw, PowerLaw] | None:
        double, half = self.paired(self.double), self.paired(self.half)
        if double is None or half is None:
            return None
        xs, means, drawn = law_draws(self.case, {2.0: double, 0.5: half})
        return fit_power(xs, means), fit_power(xs, drawn)

    def gain_at(self, factor: float) -> Estimate | None:
        """The fall in loss from ``factor`` times the budget, through the curve, at most 8 times.

        Anchored on the gain measured at twice the budget; the fitted exponent says how it goes on. A rise in loss
        is not extrapolated: nobody is made to use the steps that a faster program leaves.
        """
        double, curve = self.paired(self.double), self.curve()
        if double is None or curve is None:
            return None
        factor = min(factor, LARGEST_FACTOR)
        shares = [np.minimum(_share(law.exponent, factor), _cap(values)) for law, values in
                  zip(curve, (np.array([double.value]), double.draws), strict=True)]  # fmt: skip
        return derived(double.value * float(shares[0][0]), double.draws * shares[1], double.num_seeds)

    def constraint(self, num_compared: int) -> Constraint:
        limits = self._amounts()
        if reason := self.unavailable():
            return self.blank("unavailable", reason, **limits)
        settings, estimate = [self.half, self.double], self.estimate()
        if estimate is None:
            return self.missing_row(settings, **limits)
        fields = {
            **limits, "points": [self.point(one) for one in settings if self.case.ledger.runs(one, self.seeds)],
            "evidence": self.evidence(settings), "change": self.double.change(),
        }  # fmt: skip
        if (curve := self.curve()) is not None:
            fields["fit"] = fit_figure(*curve, "c", "optimizer steps", self.case.recipe.steps, (0.5, 2.0))
        price = estimate.effect(num_compared)
        epochs = self.case.summary_mean("epochs")
        passes = "" if epochs is None else f" ({epochs:.3g} epochs become {2 * epochs:.3g})"
        why = f"half and twice the steps, each with its schedule stretched to the new end{passes}"
        if not self.active():
            why = f"{self.case.stopped_by()} stopped the run, not compute; what the price would be: " + why
        extra_usd = self._doubling_usd()
        if extra_usd is not None:
            fields["per_usd"] = estimate.value / extra_usd
        return self.row(price, "measured", why + self.failure_note(settings), **fields)

    def change_gain(self, key: str = LOSS) -> Estimate | None:
        return self.paired(self.double, key)

    def _stated_usd(self) -> str:
        usd = self.case.facts.limits.usd
        return "" if usd is None else f" (of {show(usd, USD)} stated)"

    def _doubling_usd(self) -> float | None:
        rate, seconds = self.case.facts.price_usd_per_hour, self.case.summary_mean("train_seconds")
        return rate * seconds / 3600 if rate and seconds else None

    def _amounts(self) -> dict[str, object]:
        recipe, done = self.case.recipe, self.case.summary_mean("steps")
        if self.case.stopped_by() == "time" and recipe.limits.time_s is not None:
            allowed = recipe.limits.time_s
            spent = min(allowed, self.case.summary_mean("train_seconds") or allowed)
            limit = Amount(value=allowed, unit="s", text=show(allowed, SECONDS) + self._stated_usd())
            return amounts(limit, Amount(value=spent, unit="s", text=show(spent, SECONDS)))
        used = float(recipe.steps if done is None else done)
        limit = Amount(value=float(recipe.steps), unit="steps", text=count_text(recipe.steps, "steps"))
        return amounts(limit, Amount(value=used, unit="steps", text=count_text(used, "steps")))


def _share(exponent: np.ndarray, factor: float) -> np.ndarray:
    """The gain at ``factor`` beside the gain at the measured factor, under the law's exponent."""
    share: np.ndarray = (1 - factor**-exponent) / (1 - MEASURED_FACTOR**-exponent)
    return share


def _cap(gain: np.ndarray) -> np.ndarray:
    return np.where(gain > 0, np.inf, 1.0)
