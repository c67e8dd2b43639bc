"""The action behind ``sevenfold recipes``: what can be trained and diagnosed by name, and every setting it has."""

from __future__ import annotations

from typing import Any

from sevenfold.spec import Spec


class RecipeLine(Spec):
    """One recipe of the catalogue."""

    name: str
    task: str
    model: str
    data: str
    steps: int
    help: str  # command, hardware, expected time and result


class Setting(Spec):
    """One setting of a recipe, as ``--set`` takes it."""

    key: str
    type: str
    value: Any
    help: str


class RecipeList(Spec):
    """The catalogue of recipes."""

    schema_version: str = "1.0"
    recipes: list[RecipeLine]


class RecipeDetail(Spec):
    """One recipe with all its settings."""

    schema_version: str = "1.0"
    recipe: RecipeLine
    settings: list[Setting]


def list_recipes() -> RecipeList:
    """All recipes that have a name.

    >>> [line.name for line in list_recipes().recipes][:2]
    ['digits-cnn', 'digits-mlp']
    """
    from sevenfold.recipes import RECIPES

    return RecipeList(recipes=[_line(name) for name in RECIPES.names()])


def show_recipe(name: str) -> RecipeDetail:
    """One recipe and every setting that ``--set`` may change; raises UnknownNameError with the nearest name.

    >>> show_recipe("digits-cnn").settings[0].key
    'name'
    """
    from sevenfold.models import MODELS
    from sevenfold.recipes import RECIPES
    from sevenfold.runs.recipe import Recipe
    from sevenfold.spec import settings_of

    line = _line(name)
    recipe = RECIPES[name].recipe()
    settings = []
    for key, kind, _, text in settings_of(Recipe):
        value: Any = recipe.to_dict()
        for part in key.split("."):
            value = value[part]
        settings.append(Setting(key=key, type=kind, value=value, help=text))
    entry = MODELS[recipe.model.name]
    for name_of, field in entry.spec_type.model_fields.items():
        value = recipe.model.settings.get(name_of, entry.preset.get(name_of))
        kind = getattr(field.annotation, "__name__", str(field.annotation))
        settings.append(Setting(key=f"model.{name_of}", type=kind, value=value, help=field.description or ""))
    return RecipeDetail(recipe=line, settings=settings)


def _line(name: str) -> RecipeLine:
    from sevenfold.recipes import RECIPES

    entry = RECIPES[name]
    recipe = entry.recipe()
    return RecipeLine(
        name=name,
        task=recipe.task,
        model=recipe.model.name,
        data=recipe.data.name,
        steps=recipe.steps,
        help=entry.help,
    )
