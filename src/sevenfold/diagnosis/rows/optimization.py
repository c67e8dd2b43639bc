"""Optimization and regularization: the learning rate, and then everything else that costs no resource.

Successive halving on the selection seeds: rates at half the steps, further while they improve; then warm-up, weight
decay, dropout and label smoothing at the best rate; then the best singles and their combination at full length.
The one that wins there is measured on the measurement seeds, which had no part in choosing it: the gain that is
reported is not the one that was selected (winner's curse).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sevenfold.diagnosis.effects import Estimate
from sevenfold.diagnosis.ledger import BASELINE, LOSS, Probe, Setting, shown_setting
from sevenfold.diagnosis.probes import SELECTION
from sevenfold.diagnosis.result import Amount, Constraint, ConstraintName
from sevenfold.diagnosis.rows._rates import HALF, best_rate, follow_rates, rate_changes, rounded, short_rate
from sevenfold.diagnosis.rows._row import Row, amounts

_LARGE_GAP = 0.3  # of the validation loss: then regularizers are judged at full length, where overfitting shows
_NUM_SINGLES = 2  # single changes that are carried to full length beside their combination


class Optimization(Row):
    """What the best known training settings would be worth."""

    name: ConstraintName = "optimization"

    def unavailable(self) -> str | None:
        return None

    # Choosing --------------------------------------------------------------------------------------------------

    def wants(self) -> list[Probe]:
        probes, winner = self._plan()
        return probes if winner is None else self.missing([winner])

    def winner(self) -> Setting | None:
        """The setting that won on the selection seeds; None while that is open."""
        return self._plan()[1]

    def _plan(self) -> tuple[list[Probe], Setting | None]:
        return self.remember("plan", self._make_plan)

    def _make_plan(self) -> tuple[list[Probe], Setting | None]:
        known, more = follow_rates(self.case)
        if more:
            return more, None
        rate = best_rate(known, self.case.margin())
        tuned = self._single("optimizer.lr", rate_changes(self.case, rate))
        singles = self._singles(rate)
        if probes := self._missing([*singles, *([tuned] if any(self._is_full(one) for one in singles) else [])]):
            return probes, None
        finalists = self._finalists(rate, tuned, singles)
        if probes := self._missing(finalists):
            return probes, None
        return [], self.choose(finalists)

    def _missing(self, settings: list[Setting]) -> list[Probe]:
        return [probe for one in settings for probe in self.case.ledger.missing(one, SELECTION)]

    def _singles(self, rate: float) -> list[Setting]:
        """One change each, at the best rate; at half the steps, or in full where overfitting is the question."""
        full = self._gap_share() > _LARGE_GAP
        found = []
        for key, value, regularizes in self._candidates():
            single = self._single(key, {key: value, **rate_changes(self.case, rate)}, value)
            if not (full and regularizes):
                single = single.with_(self.case.scaled_compute(0.5), lever=f"{key}, {HALF}", cost=0.5)
            if self.case.ledger.allows(single) is None:
                found.append(single)
        return found

    def _candidates(self) -> list[tuple[str, Any, bool]]:
        """(key, value, whether it regularizes) of everything but the rate."""
        recipe, facts = self.case.recipe, self.case.facts
        decay = recipe.optimizer.weight_decay
        found: list[tuple[str, Any, bool]] = []
        start = 0.01 if recipe.optimizer.name == "adamw" else 1e-4
        found += [("optimizer.weight_decay", rounded((decay or start) * 10**power), True) for power in (1, 2)]
        if facts.dropout_key is not None:
            values = (0.1, 0.3) if facts.dropout_value == 0 else (0.0, min(0.6, 2 * facts.dropout_value))
            found += [(facts.dropout_key, rounded(value), True) for value in values]
        if facts.label_smoothing:
            smoothing = recipe.objective.label_smoothing
            found.append(("objective.label_smoothing", 0.05 if smoothing == 0 else 0.0, True))
        warmup = recipe.schedule.warmup_fraction
        found.append(("schedule.warmup_fraction", 0.2 if warmup < 0.1 else 0.02, False))
        if recipe.schedule.name == "constant":
            found.append(("schedule.name", "cosine", False))
        found += [(option.key, value, True) for option in facts.options for value in option.values]
        return found[:2] if self.case.frugal else found

    def _finalists(self, rate: float, tuned: Setting, singles: list[Setting]) -> list[Setting]:
        """At full length, simplest first: the tuned rate, the best singles, their combination, half the steps."""
        gains = sorted(((self._gain(one, rate, tuned), number) for number, one in enumerate(singles)), reverse=True)
        better = [self._in_full(singles[number]) for gain, number in gains if gain > self.case.margin()]
        finalists = [tuned] if rate != 1 else []
        finalists += better[:_NUM_SINGLES]
        if not finalists and singles:
            # With nothing better found the nearest miss is measured all the same: the row shows what was tried.
            finalists.append(self._in_full(singles[gains[0][1]]))
        first_of_key = {one.lever: one for one in reversed(better)}
        if len(first_of_key) > 1:
            merged = {key: value for one in first_of_key.values() for key, value in one.changes.items()}
            finalists.append(self._single("several", merged))
        early = {**self.case.scaled_compute(0.5), **rate_changes(self.case, rate)}
        return [*finalists, self._single("steps", early, early["steps"], cost=0.5)]

    def _gain(self, single: Setting, rate: float, tuned: Setting) -> float:
        """The least gain of a single change on any selection seed, over the best rate at the same length."""
        reference = tuned if self._is_full(single) else short_rate(self.case, rate)
        gains = self.case.ledger.gains(single, SELECTION, against=reference)
        return min(gains.values()) if len(gains) == len(SELECTION) else -math.inf

    def _is_full(self, single: Setting) -> bool:
        return "steps" not in single.changes

    def _in_full(self, single: Setting) -> Setting:
        short = self.case.scaled_compute(0.5)
        kept = {key: value for key, value in single.changes.items() if key not in short}
        return Setting(single.lever.removesuffix(f", {HALF}"), single.label, kept, single.x)

    def _single(self, lever: str, changes: Mapping[str, Any], value: Any = None, cost: float = 1.0) -> Setting:
        rate = rounded(changes.get("optimizer.lr", self.case.recipe.optimizer.lr))
        shown = rate if lever == "optimizer.lr" else value
        label = shown_setting(shown) if value is not None or lever == "optimizer.lr" else _listed(changes)
        is_number = isinstance(shown, (int, float)) and not isinstance(shown, bool)
        return Setting(lever, label, dict(changes), float(shown) if is_number else None, cost)

    def _gap_share(self) -> float:
        """Validation less training loss, as a share of the validation loss."""
        train = self.case.summary_mean("final_train_loss_eval")
        loss = self.case.baseline_loss()
        return 0.0 if train is None or loss <= 0 else (loss - train) / loss

    def forecast(self) -> float:
        probes, winner = self._plan()
        now = sum(setting.cost for setting, _ in probes)
        if winner is not None:
            return sum(setting.cost for setting, _ in self.missing([winner]))
        if any(setting.lever == f"optimizer.lr, {HALF}" for setting, _ in probes):
            return now + len(self._candidates()) + 6.0 + self.num_seeds
        if any(HALF in setting.lever for setting, _ in probes):
            return now + 6.0 + self.num_seeds
        return now + self.num_seeds

    # Measuring -------------------------------------------------------------------------------------------------

    def seed_cost(self) -> float:
        winner = self.winner()
        return 1.0 if winner is None else winner.cost

    def estimate(self) -> Estimate | None:
        return self.change_gain()

    def change_gain(self, key: str = LOSS) -> Estimate | None:
        winner = self.winner()
        return None if winner is None else self.paired(winner, key)

    def constraint(self, num_compared: int) -> Constraint:
        winner, estimate = self.winner(), self.estimate()
        if winner is None or estimate is None:
            return self.missing_row([] if winner is None else [winner])
        headroom = estimate.effect(num_compared)
        tried = self._tried(winner)
        why = (
            f"{len(tried)} settings tried on {len(SELECTION)} seeds, the best ({_listed(winner.changes)}) "
            f"measured on {estimate.num_seeds} fresh ones; " + self._gap_text()
        )
        if headroom.low <= 0:
            why += "; none found that is surely better"
        points = [self.point(winner), *(self.point(one, SELECTION) for one in tried)]
        return self.row(
            headroom, "measured", why + self.failure_note([winner]), change=winner.change(), points=points,
            evidence=self.evidence([winner]), **self._amounts(winner, estimate),
        )  # fmt: skip

    def _gap_text(self) -> str:
        train = self.case.summary_mean("final_train_loss_eval")
        if train is None:
            return "no training loss to compare with"
        return f"validation less training loss {self.case.baseline_loss() - train:.2g}"

    def _tried(self, winner: Setting) -> list[Setting]:
        known, _ = follow_rates(self.case)
        rate = best_rate(known, self.case.margin())
        tuned = self._single("optimizer.lr", rate_changes(self.case, rate))
        singles = self._singles(rate)
        return [
            *(short_rate(self.case, one) for one in sorted(known)), *singles,
            *self._finalists(rate, tuned, singles),
        ]  # fmt: skip

    def _amounts(self, winner: Setting, estimate: Estimate) -> dict[str, object]:
        base = self.case.baseline_loss()
        usage = Amount(value=base, unit="nats", text="the recipe's settings")
        limit = Amount(value=base - estimate.value, unit="nats", text=_listed(winner.changes))
        if estimate.value <= 0:
            return amounts(usage, usage, "none found")
        return {"limit": limit, "usage": usage,
                "slack": Amount(value=estimate.value, unit="nats", text=f"{estimate.value:.2g} nats"),
                "slack_share": estimate.value / base if base else 0.0}  # fmt: skip


def _listed(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={shown_setting(value)}" for key, value in changes.items()) or BASELINE.label
