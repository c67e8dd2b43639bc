"""Recipes that need the runs of others: ``recipe:NAME`` in a recipe means the finished run of that recipe.

It may stand where a run is named: ``start``, and text settings of model, data and objective. The other recipe is
trained first, with the same seed, by whatever trains (handed in). A text after ``/`` stays behind the run's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sevenfold.errors import UsageError
from sevenfold.recipes._catalogue import RECIPES
from sevenfold.runs.recipe import Recipe

__all__ = ["chained", "needed_recipes"]

_MARK = "recipe:"


def needed_recipes(recipe: Recipe) -> dict[str, str]:
    """Dotted key of each setting that names a recipe -> the name, with what follows ``/``.

    >>> needed_recipes(RECIPES["digits-cnn"].recipe())
    {}
    """
    return {key: value.removeprefix(_MARK) for key, value in _texts(recipe.to_dict()) if value.startswith(_MARK)}


def chained(recipe: Recipe, train: Callable[[Recipe], str], *, _above: tuple[str, ...] = ()) -> Recipe:
    """The recipe with the id of a finished run wherever it names a recipe; ``train`` gives the id of one's run.

    Raises UnknownNameError for a recipe that does not exist, UsageError for recipes that need each other.
    """
    changes: dict[str, Any] = {}
    for key, value in needed_recipes(recipe).items():
        name, slash, part = value.partition("/")
        if name in _above:
            raise UsageError("recipes that need each other", got=" -> ".join([*_above, name]))
        needed = RECIPES[name].recipe().with_changes({"seed": recipe.seed, "device": recipe.device})
        changes[key] = train(chained(needed, train, _above=(*_above, name))) + slash + part
    return recipe.with_changes(changes) if changes else recipe


def _texts(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            found += _texts(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            found.append((f"{prefix}{key}", value))
    return found
