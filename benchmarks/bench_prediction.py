"""Predicted training-step times against measured ones, on recipes that the prediction was not developed on.

Each round calibrates this machine at one thread (single operators and chains of tiny ones; no step of these recipes
enters it), measures the steps of every recipe in the same rounds, and compares. Two recipes are the ones that
``sevenfold calibrate`` prints; the others were chosen after the prediction was written.
"""

from __future__ import annotations

from typing import Any

from sevenfold.hardware.prediction import predict_step
from sevenfold.recipes import recipe_from
from sevenfold.recipes.custom import CustomRecipe
from sevenfold.runs.recipe import Recipe
from sevenfold.training.measuring import RecipeStep, measure_machine

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "digits-cnn": ("digits-cnn", {}),
    "gpt-10m": ("gpt-10m", {"threads": 1}),
    "digits-cnn, batch 256": ("digits-cnn", {"batch_size": 256}),
    "digits-cnn, sgd, batch 16": ("digits-cnn", {"optimizer.name": "sgd", "batch_size": 16}),
    "residual-mlp-small": ("digits-mlp", {"model.name": "residual-mlp-small", "model.settings": {}}),
    "digits-mlp, width 512": ("digits-mlp", {"model.width": 512}),
    "bengio2003-small": ("python-docs-gpt", {"model.name": "bengio2003-small", "model.settings": {}}),
    "gpt2-nano, 4 layers, batch 32": ("python-docs-gpt", {"model.layers": 4, "batch_size": 32}),
}


def run(quick: bool) -> list[dict[str, object]]:
    """One row a recipe and round."""
    chosen = ["digits-cnn", "residual-mlp-small"] if quick else list(CASES)
    recipes = {name: _recipe(name) for name in chosen}
    rows: list[dict[str, object]] = []
    for number in range(1 if quick else 3):
        steps = {name: RecipeStep(recipe) for name, recipe in recipes.items()}
        chip, measured = measure_machine((1,), quick=quick, beside=steps)
        assert chip.calibration is not None
        for name, step in steps.items():
            predicted = predict_step(step.graph(), chip, threads=1, optimizer=recipes[name].optimizer.name).seconds
            took = measured[name].median_s
            rows.append(
                {
                    "round": number + 1,
                    "recipe": name,
                    "predicted_ms": round(predicted * 1e3, 3),
                    "measured_ms": round(took * 1e3, 3),
                    "error": round(predicted / took - 1, 4),
                    "readings": measured[name].steps,
                    "busy_share": round(chip.calibration.busy_share, 3),
                }
            )
    return rows


def _recipe(name: str) -> Recipe:
    base, changes = CASES[name]
    found = recipe_from(base, changes)
    assert not isinstance(found, CustomRecipe)
    return found
