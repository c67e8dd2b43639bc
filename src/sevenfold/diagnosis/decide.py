"""What binds: the simultaneous intervals, the probability of being best, and the smallest set that holds 95% of it.

Knows effects and their joint draws, nothing of probes. Nothing binds unless some row's simultaneous interval lies
above the smallest effect worth a name. Which rows may be the best is read from the joint draws: a row too noisy to
be excluded is named beside one that is sure, and none is ever named alone without being sure itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sevenfold.diagnosis.effects import CONFIDENCE, Estimate, JointDraws
from sevenfold.diagnosis.result import CONSTRAINTS, ConstraintName


@dataclass(frozen=True)
class Verdict:
    """The binding set, most probable first, and how probable it is of each row that it is the best."""

    binding: tuple[ConstraintName, ...]
    p_best: dict[ConstraintName, float]
    tied: tuple[ConstraintName, ...]  # rows that hold 95% of being best, whether or not anything is significant

    @property
    def is_clear(self) -> bool:
        return len(self.binding) == 1


def decide(
    candidates: Mapping[ConstraintName, Estimate], min_effect: float, draws: JointDraws, num_compared: int
) -> Verdict:
    """The verdict over the rows that may bind; ``num_compared`` effects share the simultaneous confidence."""
    if not candidates:
        return Verdict((), {}, ())
    p_best = _probabilities(candidates, draws)
    tied = _smallest_set(p_best)
    effects = {name: estimate.effect(num_compared) for name, estimate in candidates.items()}
    sure = [name for name, effect in effects.items() if effect.simultaneous_low >= min_effect]
    if not sure:
        return Verdict((), p_best, tied)
    if not set(sure) & set(tied):
        tied = (*tied, max(sure, key=lambda name: p_best[name]))
    return Verdict(tied, p_best, tied)


def _probabilities(candidates: Mapping[ConstraintName, Estimate], draws: JointDraws) -> dict[ConstraintName, float]:
    names = list(candidates)
    drawn = [
        candidates[name].draws + candidates[name].widen / 1.96 * draws.noise(CONSTRAINTS.index(name))
        for name in names
    ]
    wins = np.bincount(np.argmax(np.stack(drawn), axis=0), minlength=len(names))
    return {name: float(count) / draws.num_draws for name, count in zip(names, wins, strict=True)}


def _smallest_set(p_best: Mapping[ConstraintName, float]) -> tuple[ConstraintName, ...]:
    chosen: list[ConstraintName] = []
    total = 0.0
    for name in sorted(p_best, key=lambda one: (-p_best[one], CONSTRAINTS.index(one))):
        chosen.append(name)
        total += p_best[name]
        if total >= CONFIDENCE:
            break
    return tuple(chosen)
