"""Parameters: half and twice the width, the learning rate re-tuned at each size by a short check.

The price is per doubling of the parameter count, but twice the width is up to four times the parameters. The gain
measured at twice the width is shared out along the law fitted through the sizes; a gain that no law describes is
shared out evenly per doubling, which for a saturating curve is too low rather than too high.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sevenfold.diagnosis.effects import Estimate, derived
from sevenfold.diagnosis.laws import PowerLaw, fit_power
from sevenfold.diagnosis.ledger import BASELINE, LOSS, Probe, Setting
from sevenfold.diagnosis.result import Amount, Constraint, ConstraintName
from sevenfold.diagnosis.rows._rates import GRID, missing_rates, rate_changes, scores, transferred_rate
from sevenfold.diagnosis.rows._row import Array, Case, Row, amounts, count_text, fit_figure, law_draws, times_text
from sevenfold.units import BYTES, show


class Parameters(Row):
    """What another doubling of the parameters would be worth."""

    name: ConstraintName = "parameters"

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.wider = self._size(2.0)
        self.narrower = None if case.frugal else self._size(0.5)

    def _size(self, factor: float) -> Setting | None:
        facts = self.case.facts
        if facts.dial is None or facts.dial_value is None or facts.parameters_at is None:
            return None
        step = max(1, facts.dial_multiple)
        value = max(step, round(facts.dial_value * factor / step) * step)
        if value == facts.dial_value:
            return None
        ratio = facts.parameters_at(value) / facts.parameters
        return Setting(facts.dial, str(value), {facts.dial: value}, ratio, cost=max(0.5, ratio**0.7))

    def unavailable(self) -> str | None:
        if self.wider is None:
            return self.case.facts.no_dial_reason
        refused = self.case.ledger.allows(self.wider)
        return None if refused is None else f"{self.wider.change()} is refused: {refused}"

    def wants(self) -> list[Probe]:
        if self.unavailable():
            return []
        return [probe for size in self._sizes() for probe in self._wants_of(size)]

    def _wants_of(self, size: Setting) -> list[Probe]:
        checks = [*missing_rates(self.case, GRID), *missing_rates(self.case, GRID, size)]
        return checks or self.missing([self._tuned(size)])

    def _tuned(self, size: Setting) -> Setting:
        return size.with_(rate_changes(self.case, transferred_rate(self.case, size)))

    def _sizes(self) -> list[Setting]:
        return [size for size in (self.wider, self.narrower) if size is not None]

    def forecast(self) -> float:
        if self.unavailable():
            return 0.0
        later = sum(size.cost * self.num_seeds for size in self._sizes() if missing_rates(self.case, GRID, size))
        return later + sum(setting.cost for setting, _ in self.wants())

    def seed_cost(self) -> float:
        return sum(size.cost for size in self._sizes())

    def _measured(self) -> dict[float, tuple[Setting, Estimate]]:
        """By parameter ratio: the tuned setting and its gain, of the sizes that are known."""
        found = {}
        for size in self._sizes():
            if len(scores(self.case, GRID)) < len(GRID) or len(scores(self.case, GRID, size)) < len(GRID):
                continue
            gain = self.paired(self._tuned(size))
            if gain is not None and size.x is not None:
                found[size.x] = (self._tuned(size), gain)
        return found

    def estimate(self) -> Estimate | None:
        """The gain per doubling of parameters, out of the gain at twice the width."""
        found = self._measured()
        if self.wider is None or self.wider.x not in found:
            return None
        ratio, (_, gain) = self.wider.x, found[self.wider.x]
        laws = self._laws(found)
        if laws is None:
            return gain.scaled(1 / math.log2(ratio))
        shares = [_first_doubling(law, ratio) for law in laws]
        value = gain.value * float(np.where(gain.value > 0, shares[0][0], 1 / math.log2(ratio)))
        drawn = gain.draws * np.where(gain.draws > 0, shares[1], 1 / math.log2(ratio))
        return derived(value, drawn, gain.num_seeds)

    def _laws(self, found: dict[float, tuple[Setting, Estimate]]) -> tuple[PowerLaw, PowerLaw] | None:
        if len(found) < 2:
            return None
        return self.remember("laws", lambda: self._fit({x: gain for x, (_, gain) in found.items()}))

    def _fit(self, gains: dict[float, Estimate]) -> tuple[PowerLaw, PowerLaw]:
        xs, means, drawn = law_draws(self.case, gains)
        return fit_power(xs, means), fit_power(xs, drawn)

    def constraint(self, num_compared: int) -> Constraint:
        limits = self._amounts()
        if reason := self.unavailable():
            return self.blank("unavailable", reason, **limits)
        assert self.wider is not None
        assert self.wider.x is not None
        found, estimate = self._measured(), self.estimate()
        if estimate is None:
            checked = len(scores(self.case, GRID, self.wider)) == len(GRID)
            return self.missing_row([self._tuned(self.wider)] if checked else [], **limits)
        settings = [setting for setting, _ in found.values()]
        price = estimate.effect(num_compared)
        wide, gain = found[self.wider.x]
        laws = self._laws(found)
        fields = {
            **limits, "change": wide.change(), "points": [self.point(one) for one in settings],
            "evidence": self.evidence(settings),
        }  # fmt: skip
        if laws is not None:
            ends = (min(1.0, *found), max(1.0, *found))
            fields["fit"] = fit_figure(*laws, "n", "parameters", self.case.facts.parameters, ends)
        if (limits["slack_share"] or 0.0) > 0:
            fields["headroom"] = gain.effect(num_compared)
        why = self._why(wide, gain) + self.failure_note(settings)
        ranked = [price.low, price.high]
        return self.blank("measured", why, **{**fields, "shadow_price": price, "interval": ranked})

    def _why(self, wide: Setting, gain: Estimate) -> str:
        assert wide.x is not None
        rate = wide.changes.get("optimizer.lr")
        tuned = "the recipe's rate is kept" if rate is None else f"its rate re-tuned to {rate:.3g}"
        why = (
            f"{wide.lever}={wide.label} has {wide.x:.3g} times the parameters ({tuned} by a short check) and "
            f"changes the loss by {-gain.value:+.2g}; the price is per doubling of parameters"
        )
        own, wider = (self._step_seconds(one) for one in (BASELINE, wide))
        return why + (f"; a step takes {times_text(wider / own)}" if own and wider else "")

    def _step_seconds(self, setting: Setting) -> float | None:
        """The least of its runs': probes that run side by side slow each other."""
        found = self.case.ledger.values(setting, self.seeds, "step_seconds_median").values()
        return min(found, default=None)

    def change_gain(self, key: str = LOSS) -> Estimate | None:
        if self.wider is None or self.estimate() is None:
            return None
        return self.paired(self._tuned(self.wider), key)

    def _amounts(self) -> dict[str, Any]:
        facts = self.case.facts
        usage = Amount(
            value=float(facts.parameters), unit="parameters", text=count_text(facts.parameters, "parameters")
        )
        limits = [] if facts.limits.parameters is None else [(facts.limits.parameters, "stated")]
        for memory in (facts.limits.memory_bytes, facts.memory_limit_bytes):
            if memory is not None:
                limits.append((memory / facts.bytes_per_parameter, f"in {show(memory, BYTES)}"))
        if not limits:
            return amounts(usage, usage)
        value, source = min(limits)
        value = max(value, float(facts.parameters))  # a run that trained did fit
        return amounts(
            Amount(value=value, unit="parameters", text=f"{count_text(value, 'parameters')} ({source})"), usage
        )


def _first_doubling(law: PowerLaw, ratio: float) -> Array:
    """The share of the gain from 1 to ``ratio`` that its first doubling brings, under the law's exponent."""
    share: Array = (1 - 2.0**-law.exponent) / (1 - ratio**-law.exponent)
    return np.where(law.scale > 0, share, 1 / math.log2(ratio))
