"""Data: half and a quarter of the examples at the same steps, and one doubling up by the fitted law.

More data cannot be tried, so the law is put to a test that it can fail: it predicts the full set from an eighth, a
quarter and the half, and by whatever share it misses that last gain, the interval of the next one is widened. Where
an eighth is too few or too much to ask, the quarter and the half predict it by a power law without a floor. The
interval is never widened by less than what the law has missed on real learning curves, see bench_extrapolation.py:
however well it fits three points, the next doubling of a small set is another draw.
"""

from __future__ import annotations

import numpy as np

from sevenfold.diagnosis.effects import Estimate, derived
from sevenfold.diagnosis.laws import PowerLaw, fit_power
from sevenfold.diagnosis.ledger import LOSS, Probe, Setting
from sevenfold.diagnosis.result import Amount, Constraint, ConstraintName
from sevenfold.diagnosis.rows._row import Case, Row, amounts, count_text, fit_figure, law_draws

_FEWEST_EXAMPLES = 4  # of a subset
_LEAST_MISS = 0.6  # of the promised gain: 1 of 16 real doublings gave less than the 0.4 that this leaves


class Data(Row):
    """What another doubling of the training set would be worth."""

    name: ConstraintName = "data"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        given = case.recipe.data.fraction
        self.given = given
        self.smaller = [self._setting(given * share) for share in (0.5, 0.25)]
        # Where the recipe leaves examples unused, more data can be tried after all.
        self.larger = [] if given >= 1 else [self._setting(min(1.0, 2 * given))]
        checked = not self.larger and not case.frugal and self._used() * 0.125 >= _FEWEST_EXAMPLES
        self.eighth = self._setting(given * 0.125) if checked else None

    def _setting(self, fraction: float) -> Setting:
        return Setting("data.fraction", f"{fraction:.4g}", {"data.fraction": fraction}, fraction)

    def unavailable(self) -> str | None:
        if self._used() * 0.25 < _FEWEST_EXAMPLES:
            return f"{count_text(self._used(), 'examples')} leave no quarter to train on"
        return None

    def active(self) -> bool:
        return self.unavailable() is None and not self._has_slack()

    def wants(self) -> list[Probe]:
        return [] if self.unavailable() else self.missing(self._settings())

    def _settings(self) -> list[Setting]:
        return [*self.smaller, *self.larger, *([] if self.eighth is None else [self.eighth])]

    def forecast(self) -> float:
        return float(len(self.wants()))

    def seed_cost(self) -> float:
        return float(len(self._settings()))

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
        price = float(law.gain(1, 2)[0])
        return derived(
            price, drawn.gain(1, 2), gains[0.5].num_seeds, widen=price * max(_LEAST_MISS, self._miss(gains))
        )

    def _miss(self, gains: dict[float, Estimate]) -> float:
        """By what share the law misses the gain of the last doubling when it has seen only the smaller sets."""
        full = self.case.baseline_loss()
        half, quarter = (full - gains[share].value for share in (0.5, 0.25))
        eighth = None if self.eighth is None else self.paired(self.eighth)
        if eighth is None:
            predicted = half - half**2 / quarter
        else:
            law = fit_power([0.25, 0.5, 1.0], np.array([[full - eighth.value, quarter, half]]))
            predicted = half - float(law.at(2.0)[0])
        largest = max(predicted, half - full)
        return min(1.0, abs(predicted - (half - full)) / largest) if largest > 0 else 1.0

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
        settings, estimate = self._settings(), self.estimate()
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
            f"±{estimate.widen:.2g} for the law's error (it missed the last gain by {self._miss(fitted[1]):.0%})"
            + note
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
        facts = self.case.facts
        exist, seen = float(facts.num_train_examples), self._seen()
        limit = Amount(value=exist, unit=facts.data_unit, text=count_text(exist, facts.data_unit))
        usage = Amount(value=seen, unit=facts.data_unit, text=count_text(seen, facts.data_unit))
        return amounts(limit, usage)
