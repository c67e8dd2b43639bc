"""``sevenfold recipes``: list and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.recipes import RecipeDetail, RecipeList

app = typer.Typer(
    help="Recipes that can be trained and diagnosed by name.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_recipes(as_json: Json = False) -> None:
    """All recipes, what they train and on what."""
    from sevenfold.actions import recipes

    emit(recipes.list_recipes(), as_json, _list)


@app.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(help="A recipe of `sevenfold recipes list`.")], as_json: Json = False
) -> None:
    """One recipe: expected time and result, and every setting that --set may change."""
    from sevenfold.actions.recipes import show_recipe as show

    emit(show(name), as_json, _detail)


def _list(result: RecipeList) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("recipe", "task", "model", "data", "steps", "what it is"):
        table.add_column(column, justify="right" if column == "steps" else "left")
    for line in result.recipes:
        summary = line.help.splitlines()[0]
        table.add_row(line.name, line.task, line.model, line.data, f"{line.steps:,}", summary)
    return table


def _detail(result: RecipeDetail) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("setting", "value", "what it is"):
        table.add_column(column)
    for setting in result.settings:
        table.add_row(setting.key, "none" if setting.value is None else str(setting.value), setting.help)
    return Group(Text(result.recipe.help + "\n"), table)
