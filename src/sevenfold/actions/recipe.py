"""The action that names a recipe: from the catalogue, from a file, or around a person's own model and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sevenfold.errors import UsageError
from sevenfold.runs.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from sevenfold.data import ArrayData
    from sevenfold.recipes.custom import CustomRecipe

Task = Literal["classification", "causal-lm"]


def recipe(
    name: str | None = None,
    *,
    model: Callable[..., nn.Module] | str | None = None,
    data: ArrayData | str | None = None,
    task: Task | None = None,
    alternatives: Sequence[Callable[..., nn.Module]] = (),
    **settings: Any,
) -> Recipe | CustomRecipe:
    """A recipe by name (``digits-cnn``, ``my_file.py:recipe``), or around your own model and data.

    >>> import sevenfold
    >>> sevenfold.recipe("digits-cnn").task  # doctest: +SKIP
    'classification'

    ``model`` is a callable that returns a torch module; a parameter named ``width`` is the dial of the parameters
    lever. ``data`` is what ``sevenfold.data.arrays`` returned, or the name of a data set. Further settings are the
    recipe's own (``steps=1000``); dotted keys go into a dictionary: ``**{"optimizer.lr": 3e-4}``.
    Raises UsageError for what is missing or does not exist.
    """
    from sevenfold.recipes import recipe_from
    from sevenfold.recipes.custom import custom_recipe

    if model is None and data is None:
        if name is None:
            raise UsageError(
                "no recipe is named", expected="a recipe's name, or model= and data=", hint="digits-cnn"
            )
        return recipe_from(name)
    if model is None or data is None or task is None:
        missing = [key for key, value in (("model", model), ("data", data), ("task", task)) if value is None]
        raise UsageError(
            f"a recipe of your own needs {' and '.join(missing)}",
            expected='model=, data= and task="classification"',
        )
    return custom_recipe(
        model=model, data=data, task=task, name=name or "custom", alternatives=alternatives, **settings
    )


def pure(given: str | Recipe | CustomRecipe, changes: Mapping[str, Any], folder: Path) -> tuple[Recipe, list[Path]]:
    """The changed recipe as data, and the bundles from which another process learns what its names stand for."""
    from sevenfold.recipes import recipe_from

    found = recipe_from(given, changes)
    if isinstance(found, Recipe):
        return found, []
    path = folder / "recipe.bundle"
    found.bundle.save(path)
    return found.recipe, [path]
