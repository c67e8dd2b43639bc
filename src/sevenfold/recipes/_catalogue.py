"""RECIPES: name -> the function that returns the whole recipe.

>>> RECIPES["digits-cnn"].recipe().model.name
'lecun1989-small'
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from sevenfold.catalog import Catalogue
from sevenfold.runs.recipe import Recipe

__all__ = ["RECIPES", "RecipeEntry", "recipe"]


@dataclass(frozen=True)
class RecipeEntry:
    """A recipe of the catalogue; its help gives command, hardware, expected time and result."""

    name: str
    recipe: Callable[[], Recipe]
    help: str

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return self.help.splitlines()[0]


RECIPES: Catalogue[RecipeEntry] = Catalogue("recipe", package="sevenfold.recipes")


def recipe(function: Callable[[], Recipe]) -> Callable[[], Recipe]:
    """Registers a function under its name, underscores written as hyphens."""
    name = function.__name__.replace("_", "-")
    help_text = inspect.getdoc(function)
    assert help_text, f"recipe {name} says neither command nor expected result"
    RECIPES.add(name, RecipeEntry(name, function, help_text))
    return function
