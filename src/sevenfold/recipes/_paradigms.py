"""PARADIGMS: name -> a comparison of recipes over seeds, for the ways of learning that one recipe cannot show.

A paradigm is a function of a `Bench`, called once a seed, that trains recipes and returns figures by name, those of
the baselines too. It must not keep anything: runs that are finished are not trained again.

>>> PARADIGMS["fine-tuning"].summary  # doctest: +SKIP
'...'
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sevenfold.catalog import Catalogue
from sevenfold.recipes._catalogue import Measured
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.record import RunRecord

if TYPE_CHECKING:
    from sevenfold.training.workload import Workload

__all__ = ["PARADIGMS", "Bench", "ParadigmEntry", "paradigm"]


@dataclass(frozen=True)
class Bench:
    """What a paradigm works with: its seed, and somebody who trains."""

    seed: int
    trainer: Callable[[Recipe], RunRecord]
    opener: Callable[[str], Workload]

    def train(self, recipe: str | Recipe, changes: Mapping[str, Any] | None = None) -> RunRecord:
        """The finished run of a recipe, with settings changed by dotted key and the bench's seed."""
        from sevenfold.recipes._catalogue import RECIPES

        chosen = RECIPES[recipe].recipe() if isinstance(recipe, str) else recipe
        return self.trainer(chosen.with_changes({"seed": self.seed} | dict(changes or {})))

    def trained(self, record: RunRecord) -> Workload:
        """The run's model with its final weights, in evaluation mode, and its data set."""
        return self.opener(record.id)


Figures = Mapping[str, float]


@dataclass(frozen=True)
class ParadigmEntry:
    """A paradigm of the catalogue; its help gives command, hardware, expected time and result."""

    name: str
    measure: Callable[[Bench], Figures]
    help: str
    measured: tuple[Measured, ...]

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return self.help.splitlines()[0]


PARADIGMS: Catalogue[ParadigmEntry] = Catalogue("paradigm", package="sevenfold.recipes.paradigms")


def paradigm(
    *, measured: tuple[Measured, ...] = ()
) -> Callable[[Callable[[Bench], Figures]], Callable[[Bench], Figures]]:
    """Registers a function under its name, underscores written as hyphens; ``measured`` are the stated figures."""

    def register(function: Callable[[Bench], Figures]) -> Callable[[Bench], Figures]:
        name = function.__name__.replace("_", "-")
        help_text = inspect.getdoc(function)
        assert help_text, f"paradigm {name} says neither command nor expected result"
        PARADIGMS.add(name, ParadigmEntry(name, function, help_text, measured))
        return function

    return register
