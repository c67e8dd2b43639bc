"""Every probe outcome so far, by setting and seed: the only memory that a diagnosis has.

Rows ask it what is known and decide from that alone what they want next. An interrupted diagnosis that is started
again meets the same outcomes and so takes the same decisions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sevenfold.diagnosis.probes import ProbeOutcome
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import Recipe

LOSS = "validation_loss"
TEST_LOSS = "test_loss"


@dataclass(frozen=True)
class Setting:
    """One point of a lever: what differs from the baseline recipe."""

    lever: str  # "optimizer.lr"
    label: str  # "0.002"
    changes: Mapping[str, Any] = field(default_factory=dict)
    x: float | None = None
    cost: float = 1.0  # in baseline runs, before one was timed
    macs_ratio: float | None = None
    time_ratio: float | None = None

    @functools.cached_property
    def key(self) -> str:
        """Equal changes have equal keys."""
        return repr(sorted(self.changes.items()))

    def change(self) -> str:
        """As flags of the command line: ``--set optimizer.lr=0.002``."""
        return " ".join(f"--set {key}={shown_setting(value)}" for key, value in _flat(self.changes))

    def with_(self, changes: Mapping[str, Any], *, lever: str | None = None, label: str | None = None,
              cost: float = 1.0) -> Setting:  # fmt: skip
        """This setting with further changes; ``cost`` multiplies."""
        return Setting(
            lever or self.lever, label or self.label, {**self.changes, **changes}, self.x, self.cost * cost,
            self.macs_ratio, self.time_ratio,
        )  # fmt: skip


BASELINE = Setting("baseline", "as given")
Probe = tuple[Setting, int]


class Ledger:
    """Outcomes by setting and seed index."""

    def __init__(self, base: Recipe) -> None:
        self.base = base
        self._recipes: dict[tuple[str, int], Recipe] = {}
        self._ids: dict[tuple[str, int], str] = {}
        self._outcomes: dict[str, ProbeOutcome] = {}
        self.num_seeds = 0  # seed indices met so far

    def recipe(self, setting: Setting, seed: int) -> Recipe:
        """The recipe of a setting on a seed index."""
        key = (setting.key, seed)
        if key not in self._recipes:
            changed = self.base.with_changes({**setting.changes, "seed": self.base.seed + seed})
            self._recipes[key], self._ids[key] = changed, changed.run_id()
        return self._recipes[key]

    def run_id(self, setting: Setting, seed: int) -> str:
        """The identity of that run, known before it is carried out."""
        self.recipe(setting, seed)
        return self._ids[setting.key, seed]

    def allows(self, setting: Setting) -> str | None:
        """Why the recipe refuses a setting; None where it takes it."""
        try:
            self.recipe(setting, 0)
        except UsageError as error:
            return str(error)
        return None

    def add(self, outcome: ProbeOutcome) -> None:
        self._outcomes[outcome.recipe.run_id()] = outcome
        self.num_seeds = max(self.num_seeds, outcome.recipe.seed - self.base.seed + 1)

    def __len__(self) -> int:
        return len(self._outcomes)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._outcomes

    def outcome(self, setting: Setting, seed: int) -> ProbeOutcome | None:
        return self._outcomes.get(self.run_id(setting, seed))

    def missing(self, setting: Setting, seeds: Iterable[int]) -> list[Probe]:
        """The probes of a setting that were not carried out yet."""
        return [(setting, seed) for seed in seeds if self.outcome(setting, seed) is None]

    def value(self, setting: Setting, seed: int, key: str = LOSS) -> float | None:
        """A finite number from a finished run's summary, else None."""
        outcome = self.outcome(setting, seed)
        if outcome is None or outcome.record is None or outcome.error is not None:
            return None
        value = outcome.record.summary.get(key)
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

    def values(self, setting: Setting, seeds: Iterable[int], key: str = LOSS) -> dict[int, float]:
        found = {seed: self.value(setting, seed, key) for seed in seeds}
        return {seed: value for seed, value in found.items() if value is not None}

    def gains(
        self, setting: Setting, seeds: Iterable[int], *, against: Setting = BASELINE, key: str = LOSS
    ) -> dict[int, float]:
        """Paired differences by seed: loss of ``against`` less loss of the setting, positive where it is better."""
        seeds = tuple(seeds)
        new, old = self.values(setting, seeds, key), self.values(against, seeds, key)
        return {seed: old[seed] - new[seed] for seed in seeds if seed in new and seed in old}

    def failure(self, setting: Setting, seeds: Iterable[int]) -> str | None:
        """Why the first failed run of a setting failed; a loss that is not finite is a failure."""
        for seed in seeds:
            outcome = self.outcome(setting, seed)
            if outcome is not None and self.value(setting, seed) is None:
                return outcome.error or "the validation loss is not finite"
        return None

    def score(self, setting: Setting, seeds: Iterable[int]) -> float | None:
        """Mean loss for choosing by: infinite if any seed failed, None while any is missing."""
        seeds = tuple(seeds)
        if self.missing(setting, seeds):
            return None
        values = self.values(setting, seeds)
        return math.fsum(values.values()) / len(values) if len(values) == len(seeds) else math.inf

    def runs(self, setting: Setting, seeds: Iterable[int]) -> list[str]:
        """The ids of the runs that were carried out, failed ones among them."""
        found = (self.outcome(setting, seed) for seed in seeds)
        return [outcome.run_id for outcome in found if outcome is not None]

    def seconds(self, setting: Setting, seeds: Iterable[int]) -> float | None:
        """Mean wall clock of a setting's runs, from their records (a reused run's too)."""
        values = list(self.values(setting, seeds, "wall_seconds").values())
        return math.fsum(values) / len(values) if values else None


def shown_setting(value: Any) -> str:
    """A setting as a person writes it on the command line.

    >>> shown_setting(0.0020000000000000005), shown_setting(None), shown_setting(32)
    ('0.002', 'none', '32')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _flat(changes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in changes.items():
        if isinstance(value, Mapping):
            rows += _flat({f"{key.removesuffix('.settings')}.{inner}": one for inner, one in value.items()})
        else:
            rows.append((key, value))
    return rows
