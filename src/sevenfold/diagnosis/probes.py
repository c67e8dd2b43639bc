"""What a probe is: the baseline recipe with one lever changed, on one of the baseline's seeds.

Knows recipes and what runs report, never how a run is carried out: a ProbeRunner does that (worker processes in
the actions, an analytic surface in the tests). Seeds are counted from the recipe's own: index 0 and 1 are the
*selection* seeds, on which settings are chosen; the ones after are the *measurement* seeds, on which every effect
that the report shows is measured, paired with the baseline on the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sevenfold.runs.recipe import Recipe

SELECTION = (0, 1)


def measurement(num_seeds: int) -> tuple[int, ...]:
    """The indices of the first ``num_seeds`` measurement seeds.

    >>> measurement(3)
    (2, 3, 4)
    """
    return tuple(range(len(SELECTION), len(SELECTION) + num_seeds))


class FinishedRun(Protocol):
    """What the diagnosis reads of a run record (`sevenfold.runs.store.RunRecord` has it)."""

    @property
    def id(self) -> str: ...
    @property
    def summary(self) -> Mapping[str, float | str | None]: ...
    @property
    def provenance(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class ProbeOutcome:
    """How one probe ended: with a record, or with one line that says why not."""

    recipe: Recipe
    run_id: str
    record: FinishedRun | None
    error: str | None
    reused: bool  # the run was found finished in the store
    seconds: float  # wall clock that this probe took now


class ProbeRunner(Protocol):
    """Carries out recipes, in parallel where it can."""

    @property
    def workers(self) -> int: ...

    def run(self, recipes: Sequence[Recipe]) -> Iterator[ProbeOutcome]:
        """Yields each outcome when it is done, in any order; a failed probe is an outcome, not an exception."""
        ...
