"""Recipes: one function per complete run; and how a person's own becomes one.

digits, ...             the catalogue: every function marked with @recipe is an entry
custom                  a person's own model and arrays as a recipe
_catalogue              RECIPES
_chaining               recipes that begin where another's run ended
_paradigms, paradigms/  PARADIGMS: comparisons of recipes over seeds, one file a way of learning
_loading                recipe_from("digits-cnn" | "my_file.py:recipe" | "module:function")
_fingerprint            what a person's function computes, as a digest

It must not know how a run is carried out. See it work: ``python -m sevenfold.recipes``.
"""

from sevenfold.recipes._catalogue import RECIPES, Measured, RecipeEntry
from sevenfold.recipes._chaining import chained, needed_recipes
from sevenfold.recipes._loading import recipe_from
from sevenfold.recipes._paradigms import PARADIGMS, Bench, ParadigmEntry

__all__ = [
    "PARADIGMS",
    "RECIPES",
    "Bench",
    "Measured",
    "ParadigmEntry",
    "RecipeEntry",
    "chained",
    "needed_recipes",
    "recipe_from",
]
