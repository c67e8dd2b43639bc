"""A small demonstration: the recipes of the catalogue, each with its words and the model and data that it names."""

from __future__ import annotations

from sevenfold.recipes import RECIPES

for name in RECIPES:
    entry = RECIPES[name]
    chosen = entry.recipe()
    print(f"{name}  ({chosen.model.name} on {chosen.data.name}, {chosen.steps:,} steps)")  # noqa: T201
    print("\n".join(f"    {line}".rstrip() for line in entry.help.splitlines()) + "\n")  # noqa: T201
