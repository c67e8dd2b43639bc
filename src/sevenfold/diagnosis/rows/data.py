"""Data: half and a quarter of the examples at the same steps, and one doubling up by the fitted law.

More data cannot be tried, so the law is put to a test that it can fail: the full set is predicted from the quarter
and the half (two points: a power law without a floor), and the miss, carried one doubling further, widens the
interval.
"""

from __future__ import annotations

import numpy as np

from sevenfold.diagnosis.effects import Estimate, derived
from sevenfold.diagnosis.laws import PowerLaw, fit_power
from sevenfold.diagnosis.ledger import LOSS, Probe, Setting
from sevenfold.diagnosis.result import Amount, Constraint, ConstraintName
from sevenfold.diagnosis.rows._row import Case, Row, amounts, count_text, fit_figure, law_draws


class Data(Row):
    """What another doubling of the training set would be worth."""

    name: ConstraintName = "data"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        given = case.recipe.data.fraction
        self.smaller = [self._setting(given * share) for share in (0.5, 0.25)]
        # Where the recipe leaves examples unused, more data can be tried after all.
        self.larger = [] if given >= 1 else [self._setting(min(1.0, 2 * given))]
        self.given = given

    def _setting(self, fraction: float) -> Setting:
        return Setting("data.fraction", f"{fraction:.4g}", {"data.fraction": fraction}, fraction)

    def unavailable(self) -> str | None:
        if self._used() < 8:
            return f"{count_text(self._used(), 'examples')} leave no quarter to train on"
        return None

    def active(self) -> bool:
        return self.unavailable() is None and not self._has_slack()

    def wants(self) -> list[Probe]:
        return [] if self.unavailable() else self.missing([*self.larger, *self.smaller])

    def forecast(self) -> float:
        return float(len(self.wants()))

    def seed_cost(self) -> float:
        return float(len(self.smaller) + len(self.larger))

    def estimate(self) -> Estimate | None:
        if self.larger:
            gain = self.paired(self.larger[0])
            if gain is None:
                return None
            assert self.larger[0].x is not None
            return gain.scaled(1 / np.log2(self.larger[0].x / self.given)) if gain else None
        fitted = self._fit()
        if fitted is None:
            return None
        (law, drawn), gains = fitted
        full = self.case.baseline_loss()
        half, quarter = (full - gains[share].value for share in (0.5, 0.25))
        miss = abs(full - half**2 / quarter) * 2.0 ** -float(law.exponent[0])
        return derived(float(law.gain(1, 2)[0]), drawn.gain(1, 2), gains[0.5].num_seeds, widen=miss)

    def _fit(self) -> tuple[tuple[PowerLaw, PowerLaw], dict[float, Estimate]] | None:
        return self.remember("fit", self._make_fit)

    def _make_fit(self) -> tuple[tuple[PowerLaw, PowerLaw], dict[float, Estimate]] | None:
        half, quarter = (self.paired(one) for one in self.smaller)
        if half is None or quarter is None:
            return None
        gains = {0.5: half, 0.25: quarter}
        xs, means, drawn = law_draws(self.case, gains)
        return (fit_power(xs, means), fit_power(xs, drawn)), gains

    def constraint(self, num_compared: int) -> Constraint:
        limits = self._amounts()
        if reason := self.unavailable():
            return self.blank("unavailable", reason, **limits)
        settings, estimate = [*self.smaller, *self.larger], self.estimate()
        if estimate is None:
            return self.missing_row(settings, **limits)
        price = estimate.effect(num_compared)
        fields = {
            **limits, "points": [self.point(one) for one in settings if self.case.ledger.runs(one, self.seeds)],
            "evidence": self.evidence(settings),
        }  # fmt: skip
        note = self.failure_note(settings)
        fitted = self._fit()
        if fitted is not None:
            used = self._used()
            fields["fit"] = fit_figure(*fitted[0], "d", f"training {self.case.facts.data_unit}", used, (0.25, 2.0))
        if self.larger:
            why = (
                f"the recipe leaves {1 - self.given:.0%} of the examples unused; measured by using "
                f"{self.larger[0].label} of them, as a price per doubling" + note
            )
            return self.row(price, "measured", why, change=self.larger[0].change(), **fields)
        assert fitted is not None
        why = (
            "half and a quarter of the examples at the same steps; one doubling up by "
            f"{fitted[0][0].text('d')} (d: share of the examples), an extrapolation, its interval widened by "
            f"±{estimate.widen:.2g} for the law's miss on the full set" + note
        )
        if self._has_slack():
            why = "examples are left, so this limit did not stop the run; what the price would be: " + why
        return self.row(price, "predicted", why, **fields)

    def change_gain(self, key: str = LOSS) -> Estimate | None:
        return self.paired(self.larger[0], key) if self.larger else None

    def _used(self) -> float:
        recorded = self.case.summary_mean("num_train_examples")
        return recorded if recorded is not None else self.case.facts.num_train_examples * self.given

    def _seen(self) -> float:
        """Distinct examples that the run trained on: it may end before it has seen all."""
        seen = self.case.summary_mean("examples_seen")
        return self._used() if seen is None else min(self._used(), seen)

    def _has_slack(self) -> bool:
        return self._seen() < 0.999 * self.case.facts.num_train_examples

    def _amounts(self) -> dict[str, object]:
        unit, total = self.case.facts.data_unit, float(self.case.facts.num_train_examples)
        limit = Amount(value=total, unit=unit, text=count_text(total, unit))
        usage = Amount(value=self._seen(), unit=unit, text=count_text(self._seen(), unit))
        return amounts(limit, usage)
