"""The learning-rate search that three rows share: on the selection seeds, at half the steps.

Half the steps are enough to place a rate within a factor of two, and the same runs serve the first rung of the
successive halving. Rates are multiples of the recipe's own; 1 is the recipe itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sevenfold.diagnosis.ledger import Probe, Setting, shown_setting
from sevenfold.diagnosis.probes import SELECTION
from sevenfold.diagnosis.rows._row import Case

Scores = dict[float, tuple[float, ...]]
GRID = (0.5, 1.0, 2.0)
_FURTHEST = 4096.0
HALF = "half the steps"


def rounded(value: float) -> float:
    """Six significant digits, so that the flag that is printed is exactly the setting that was run."""
    return float(f"{value:.6g}")


def rate_changes(case: Case, multiple: float) -> dict[str, Any]:
    """The change that multiplies the learning rate; none at 1."""
    return {} if multiple == 1 else {"optimizer.lr": rounded(case.recipe.optimizer.lr * multiple)}


def short_rate(case: Case, multiple: float, of: Setting | None = None) -> Setting:
    """A rate at half the steps, for the baseline or for another setting."""
    rate = rounded(case.recipe.optimizer.lr * multiple)
    lever = "optimizer.lr" if of is None else f"{of.lever}={of.label}, optimizer.lr"
    changes = {**({} if of is None else of.changes), **rate_changes(case, multiple), **case.scaled_compute(0.5)}
    cost = 0.5 * (1.0 if of is None else of.cost)
    return Setting(f"{lever}, {HALF}", shown_setting(rate), changes, rate, cost)


def scores(case: Case, multiples: tuple[float, ...], of: Setting | None = None) -> Scores:
    """Losses on the selection seeds by multiple, of those that are known; a failed run's is infinite."""
    found: Scores = {}
    for one in multiples:
        setting = short_rate(case, one, of)
        if not case.ledger.missing(setting, SELECTION):
            values = case.ledger.values(setting, SELECTION)
            found[one] = tuple(values.get(seed, math.inf) for seed in SELECTION)
    return found


def missing_rates(case: Case, multiples: tuple[float, ...], of: Setting | None = None) -> list[Probe]:
    """The probes of these rates that were not carried out yet."""
    settings = [short_rate(case, one, of) for one in multiples]
    return [probe for one in settings for probe in case.ledger.missing(one, SELECTION)]


def best_rate(known: Mapping[float, Sequence[float]], margin: float, centre: float = 1.0) -> float:
    """The multiple of the lowest mean loss; ``centre`` unless another is better by ``margin`` on every seed.

    >>> best_rate({1.0: (2.0, 3.0), 2.0: (1.0, 2.9)}, 0.05), best_rate({1.0: (2.0, 3.0), 2.0: (1.0, 3.0)}, 0.05)
    (2.0, 1.0)
    """
    best = min(known, key=lambda multiple: (sum(known[multiple]), abs(math.log(multiple / centre))))
    pairs = zip(known[best], known[centre], strict=True)
    return best if all(new < old - margin for new, old in pairs) else centre


def next_rates(known: Mapping[float, Sequence[float]], margin: float) -> tuple[float, ...]:
    """The multiples to try next: further while it improves, in steps that grow, then between neighbours.

    >>> next_rates({0.5: [3.0], 1.0: [2.0], 2.0: [1.0]}, 0.01)
    (4.0, 16.0)
    """
    if missing := tuple(one for one in GRID if one not in known):
        return missing
    best = best_rate(known, margin)
    if best == 1.0:
        return ()
    if best == max(known):
        wanted: tuple[float, ...] = (best * 2, best * 8)
    elif best == min(known):
        wanted = (best / 2, best / 8)
    else:
        wanted = (best / 2, best * 2)
    return tuple(one for one in wanted if one not in known and 1 / _FURTHEST <= one <= _FURTHEST)


def follow_rates(case: Case) -> tuple[Scores, list[Probe]]:
    """The baseline's own rate search as far as it is known, and the probes that would carry it on."""
    known: Scores = {}
    while more := next_rates(known, case.margin()):
        if missing := missing_rates(case, more):
            return known, missing
        known.update(scores(case, more))
    return known, []


def transferred_rate(case: Case, size: Setting) -> float:
    """How the best rate moves from the baseline's size to another, as a multiple of the recipe's rate.

    Both sizes are tuned on the same small grid and only the move between them is taken over: where the recipe's own
    rate is off, the other size is set off by as much, so that the difference measures the size and not the rate.
    """
    own, other = scores(case, GRID), scores(case, GRID, size)
    return best_rate(other, case.margin()) / best_rate(own, case.margin())
