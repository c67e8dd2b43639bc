"""``recipe_from``: a recipe by its name in the catalogue, or out of a person's own file or module.

A fault in a person's file is told in one line that names the file and the line, never as a traceback.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sevenfold.data import DATASETS, pinned
from sevenfold.errors import UsageError
from sevenfold.recipes._catalogue import RECIPES
from sevenfold.recipes.custom import CustomRecipe
from sevenfold.recipes.references import fault_told, load_function
from sevenfold.runs.recipe import Recipe

__all__ = ["recipe_from"]


def recipe_from(
    given: str | Recipe | CustomRecipe, changes: Mapping[str, Any] | None = None
) -> Recipe | CustomRecipe:
    """The recipe that a text names, with settings changed by dotted key.

    >>> recipe_from("digits-cnn", {"steps": 10}).steps
    10

    ``digits-cnn`` is an entry of the catalogue, ``my_file.py:recipe`` and ``package.module:recipe`` are functions
    that return a Recipe, or what ``custom_recipe`` returned. A folder of data is pinned to what it holds now. With
    another ``data.name`` the recipe's data settings that it does not have fall away.

    Raises UnknownNameError for a name, function or setting that does not exist, InputFileError for a missing file,
    UsageError for a function that fails or returns something else, with the line of the person's file.
    """
    found = _called(given) if isinstance(given, str) else given
    if isinstance(found, Recipe):
        found = _without_foreign_settings(found, changes or {})
    if isinstance(found, CustomRecipe):
        changed = found.with_changes(changes or {})
        return replace(changed, recipe=_pinned(changed.recipe))
    return _pinned(found.with_changes(changes or {}))


def _without_foreign_settings(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe without those of its data settings that another data set, named in the changes, does not have."""
    name = changes.get("data.name", recipe.data.name)
    if name == recipe.data.name or not isinstance(name, str):
        return recipe
    if recipe.task == "control":
        from sevenfold.training.reinforcement.environments import ENVIRONMENTS

        known = ENVIRONMENTS[name].settings.model_fields
    else:
        known = DATASETS[name].settings.model_fields
    kept = {key: value for key, value in recipe.data.settings.items() if key in known}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"settings": kept})})


def _pinned(recipe: Recipe) -> Recipe:
    choice = pinned(recipe.data)
    return recipe if choice == recipe.data else recipe.with_changes({"data": choice.to_dict()})


def _called(name: str) -> Recipe | CustomRecipe:
    place, colon, _ = name.rpartition(":")
    if not colon:
        if name.endswith(".py"):
            raise UsageError(
                "a file of recipes needs the name of a function", got=name, expected=f"{name}:FUNCTION"
            )
        return RECIPES[name].recipe()
    function = load_function(name)
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise UsageError(
            f"{name} cannot be called without arguments", got=str(error), expected="a function of none"
        ) from None
    return _result(function, name, place)


def _result(function: Callable[[], Any], name: str, place: str) -> Recipe | CustomRecipe:
    try:
        result = function()
    except (Exception, SystemExit) as error:
        raise fault_told(error, place) from error
    if isinstance(result, Recipe | CustomRecipe):
        return result
    raise UsageError(
        f"{name} returned something else",
        got=f"a {type(result).__name__}",
        expected="a sevenfold Recipe, or what custom_recipe returns",
        hint="return sevenfold.recipe(model=..., data=..., task=...)",
    )
