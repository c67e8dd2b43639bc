"""The action behind ``sevenfold train``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from sevenfold.recipes.custom import CustomRecipe
    from sevenfold.runs.recipe import Recipe
    from sevenfold.runs.record import RunRecord as RunRecord
    from sevenfold.training.progress import Progress as Progress


def train(
    recipe: str | Recipe | CustomRecipe,
    changes: Mapping[str, Any] | None = None,
    *,
    fresh: bool = False,
    keep_weights: bool = True,
    on_step: Callable[[Progress], None] | None = None,
    on_event: Callable[[str], None] | None = None,
) -> RunRecord:
    """Train a recipe and return its run record; a finished run is returned as it is, an interrupted one goes on.

    >>> train("digits-cnn", {"optimizer.lr": 2e-3, "seed": 1}).summary["validation_loss"]  # doctest: +SKIP
    0.0713

    ``recipe`` is a recipe's name, ``my_file.py:recipe``, a `Recipe`, or your own (`sevenfold.recipe`);
    ``changes`` are settings by dotted key. ``fresh`` trains anew what is finished or was interrupted. Losses are in
    nats per example or token. A recipe that names others (``start="recipe:NAME"``) has them trained first. The
    joules of the steps are in the summary where the machine has a meter.

    Raises UnknownNameError and SpecError (nothing has started then), RunError for a run that could not go on,
    StorageError where nothing can be written.
    """
    from sevenfold.recipes import chained, needed_recipes, recipe_from
    from sevenfold.recipes.custom import CustomRecipe
    from sevenfold.training import find_meter, train_run
    from sevenfold.training.workload import check_data, check_recipe, resolve_device

    found = recipe_from(recipe, changes)
    chosen = found.recipe if isinstance(found, CustomRecipe) else found
    check_recipe(chosen)
    chosen = _with_whole_ids(chosen)
    if needed_recipes(chosen):
        check_data(chosen)

    def first(needed: Recipe) -> str:
        if on_event is not None:
            on_event(f"{chosen.name} needs the run of {needed.name}")
        return train(needed, on_step=on_step, on_event=on_event).id

    chosen = chained(chosen, first)
    device = resolve_device(chosen)
    return train_run(
        chosen,
        power=find_meter(device.type, device.index or 0),
        fresh=fresh,
        keep_weights=keep_weights,
        on_step=on_step,
        on_event=on_event,
    )


def _with_whole_ids(recipe: Recipe) -> Recipe:
    """The recipe with the whole id of each run that it names; raises UnknownNameError for one that is not there."""
    from sevenfold.runs.store import RunStore

    named = {
        "start": recipe.start,
        "objective.teacher": recipe.objective.teacher,
        "feedback.reward": None if recipe.feedback.reward == "true" else recipe.feedback.reward,
    }
    changes: dict[str, str] = {}
    for key, value in named.items():
        if value is not None and not value.startswith("recipe:"):
            run, slash, part = value.partition("/")
            changes[key] = RunStore().require(run).id + slash + part
    return recipe.with_changes(changes) if changes else recipe


def loss_unit(record: RunRecord) -> str:
    """What the losses of a run are counted in: ``nats a token``, ``nats a pixel``, ``squared error an output``, or
    ``loss an example``, which is the model's own."""
    from sevenfold.training.objectives import TASKS

    rule = TASKS[record.run_recipe().task]
    return f"{rule.measure} {'an' if rule.unit[0] in 'aeiou' else 'a'} {rule.unit}"


def kept_weights(record: RunRecord) -> Path | None:
    """The file with the final weights of a run (safetensors), or None where they were not kept."""
    from sevenfold.runs.home import data_home

    path = data_home() / "runs" / record.id / "weights.safetensors"
    return path if path.exists() else None
