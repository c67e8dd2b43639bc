"""Recipes on data sets of the hub, on stand-ins of the same columns: data and model fit each other, or it is told.

A stand-in has the columns, splits and kinds of values that the recipe's settings name, and random contents.
"""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np
import pytest
from PIL import Image

from sevenfold.data import load, parts_of
from sevenfold.data.hugging_face import HubSettings
from sevenfold.errors import InputFileError
from sevenfold.models import MODELS
from sevenfold.recipes import RECIPES
from sevenfold.training.workload import build_workload, fitted_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    datasets = pytest.importorskip("datasets")

datasets.disable_progress_bars()
DRAW = np.random.default_rng(0)
OF_IMAGES = ("classification", "generation")
HUB = [name for name in RECIPES.names() if RECIPES[name].recipe().data.name.startswith("hugging-face:")]


def images(count, size, classes, settings):
    features = datasets.Features(
        {settings.image: datasets.Image(), settings.label: datasets.ClassLabel(num_classes=classes)}
    )
    shape = (size, size) if size < 30 else (size, size + 9, 3)  # MNIST is grey
    pictures = [Image.fromarray(DRAW.integers(0, 255, shape, dtype=np.uint8)) for _ in range(count)]
    labels = [number % classes for number in range(count)]
    return datasets.Dataset.from_dict({settings.image: pictures, settings.label: labels}, features=features)


def words(count):
    return " ".join(f"w{number}" for number in DRAW.integers(0, 300, count))


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def pairs(count, settings):
    def row():
        made = {}
        for path in (settings.source, settings.target):
            name, _, inner = path.partition(".")
            made.setdefault(name, {} if inner else None)
            if inner:
                made[name] |= nested(inner, words(9))
            else:
                made[name] = words(9)
        return made

    return datasets.Dataset.from_list([row() for _ in range(count)])


def stand_in(recipe, settings):
    """One split of about the fewest rows that the recipe can be read from."""
    preset = MODELS[recipe.model.name].spec(recipe.model.settings if recipe.task in OF_IMAGES else {})
    if recipe.task in OF_IMAGES:
        classes = getattr(preset, "classes", 0) or 10
        return images(60, settings.size or {1: 28}.get(preset.channels, 32), classes, settings)
    if settings.source is not None:
        return pairs(80, settings)
    rows = [nested(settings.text, words(max(40, settings.context))) for _ in range(40)]
    return datasets.Dataset.from_list(rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", HUB)
def test_a_stand_in_fits_the_model(name, tmp_path):
    recipe = RECIPES[name].recipe()
    settings = HubSettings.from_dict(recipe.data.settings)
    named = {settings.train or "train", settings.validation or "validation", settings.test or "test"}
    datasets.DatasetDict({split: stand_in(recipe, settings) for split in named}).save_to_disk(tmp_path / "data")
    choice = recipe.data.with_changes({"name": f"hugging-face:{tmp_path / 'data'}"})
    dataset = load(choice, task=recipe.task, subset_seed=0)
    entry, fitted = fitted_model(recipe, dataset)
    inputs, targets = dataset.train.batch(np.arange(2))
    example = entry.example(fitted, batch=2)
    assert len(parts_of(inputs)) == len(example)
    if recipe.task == "classification":
        assert parts_of(inputs)[0].shape == example[0].shape
        assert int(targets.max()) < dataset.num_outputs


@pytest.mark.parametrize("name", HUB)
def test_without_a_network_it_is_told_in_one_line_what_to_do(name, monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError("Couldn't reach it on the Hub")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=unreachable))
    recipe = RECIPES[name].recipe()
    with pytest.raises(InputFileError) as caught:
        build_workload(recipe)
    assert recipe.data.name in str(caught.value)
    assert "save_to_disk" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_there_are_such_recipes():
    assert len(HUB) >= 10
