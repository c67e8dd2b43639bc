"""A person's own model and arrays as a recipe: pure data, and a bundle that says what its names mean.

>>> import numpy as np, torch
>>> from sevenfold.data import arrays
>>> x = np.random.default_rng(0).normal(size=(100, 4))
>>> mine = custom_recipe(lambda width: torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(),
...     torch.nn.Linear(width, 2)), arrays(x, np.arange(100) % 2), task="classification", width=16)
>>> mine.recipe.batch_size, mine.recipe.model.settings
(60, {'width': 16})
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sevenfold.data import ArrayData, Dataset, load, pinned
from sevenfold.errors import InputFileError, StorageError, UsageError, unknown_name
from sevenfold.models import MODELS, ModelEntry, register_custom
from sevenfold.recipes._fingerprint import fingerprint
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe, Scalar

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Bundle", "CustomRecipe", "custom_recipe", "load_bundle"]

Builder = Callable[..., "nn.Module"]
Task = Literal["classification", "causal-lm"]

_BATCH_SIZE = 64
_EPOCHS = 30
_FEWEST_STEPS, _MOST_STEPS = 200, 2000


@dataclass(frozen=True)
class _OwnModel:
    """A function that builds a model, and the names that go with it."""

    builder: Builder
    digest: str
    task: Task
    alternatives: tuple[str, ...]
    input_shape: tuple[int, ...]

    def register(self) -> str:
        entry = register_custom(
            self.builder,
            task=self.task,
            dial="width",
            digest=self.digest,
            alternatives=self.alternatives,
            input_shape=self.input_shape,
        )
        return entry.name


@dataclass(frozen=True)
class Bundle:
    """What a recipe's names stand for, ready to travel: ``save`` it, and ``load_bundle`` in another process."""

    models: tuple[_OwnModel, ...] = ()  # alternatives first: a model is registered with their names
    data: ArrayData | None = None
    search_path: tuple[str, ...] = field(
        default_factory=lambda: tuple(os.path.abspath(entry) for entry in sys.path)
    )

    def register(self) -> None:
        """Make the models and arrays known to this process."""
        for model in self.models:
            model.register()
        if self.data is not None:
            self.data.register()

    def save(self, path: str | Path) -> Path:
        """Write the bundle, atomically; raises UsageError for a model that cannot be sent to another process."""
        import cloudpickle

        path = Path(path)
        try:
            content = cloudpickle.dumps((self.search_path, cloudpickle.dumps(self)))
        except Exception as error:  # whatever the person's objects raise
            raise UsageError(
                "the model's function cannot be sent to another process",
                got=f"{type(error).__name__}: {error}",
                expected="a function that does not hold open files, locks or handles",
            ) from error
        temporary = None
        try:
            with tempfile.NamedTemporaryFile("wb", dir=path.parent, suffix=".tmp", delete=False) as file:
                temporary = Path(file.name)
                file.write(content)
            os.replace(temporary, path)
        except OSError as error:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            raise StorageError("cannot write a bundle", got=f"{path} ({error.strerror})") from None
        return path


@dataclass(frozen=True)
class CustomRecipe:
    """A recipe whose model or data are a person's own, and the bundle that says what they are."""

    recipe: Recipe
    bundle: Bundle

    def with_changes(self, changes: Mapping[str, Any]) -> CustomRecipe:
        """The same model and data with other settings."""
        return replace(self, recipe=self.recipe.with_changes(changes))


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle and register what it holds. It runs the code in it: load only bundles of your own.

    Raises InputFileError for a file that is no bundle, and for a model whose files this process cannot import.
    """
    try:
        search_path, content = pickle.loads(Path(path).read_bytes())
        sys.path.extend(entry for entry in search_path if entry not in sys.path)
        bundle = pickle.loads(content)
    except OSError as error:
        raise InputFileError("cannot read a bundle", got=f"{path} ({error.strerror})") from None
    except Exception as error:  # unpickling runs a person's code and raises whatever that raises
        raise InputFileError(
            "cannot read a bundle",
            got=f"{path} ({type(error).__name__}: {error})",
            expected="what Bundle.save wrote",
        ) from error
    if not isinstance(bundle, Bundle):
        raise InputFileError("cannot read a bundle", got=f"a {type(bundle).__name__}", expected="a Bundle")
    bundle.register()
    return bundle


def custom_recipe(
    model: Builder | str,
    data: ArrayData | DataChoice | str,
    *,
    task: Task,
    name: str = "custom",
    alternatives: Sequence[Builder | str] = (),
    **settings: Any,
) -> CustomRecipe:
    """A recipe around a function that builds a model, and arrays or a data set of the catalogue.

    ``model`` returns a torch module; its parameters are the model's settings, and one called ``width`` is the dial
    of the parameters lever (32 where it has no default). Parameters called classes, in_features, vocab_size,
    context and the like are filled from the data. ``alternatives`` are other such functions, or names of presets,
    for the architecture lever. ``settings`` are the model's parameters or the recipe's own (``steps=1000``,
    ``optimizer={"lr": 3e-4}``; dotted keys by dictionary: ``**{"optimizer.lr": 3e-4}``).

    What is not said: AdamW at 1e-3 with cosine decay, batches of 64 (fewer where there are fewer examples), thirty
    epochs within 200 to 2,000 steps.

    Raises UsageError for functions that cannot be called by name, data that do not fit the model, unknown settings.
    """
    own_data = data if isinstance(data, ArrayData) else None
    dataset, choice = _loaded(data, task, settings)
    models: list[_OwnModel] = []
    names = [_registered(other, task, (), dataset, models) for other in alternatives]
    model_name = _registered(model, task, names, dataset, models)
    recipe = _recipe(name, task, model_name, choice, dataset, settings)
    return CustomRecipe(recipe, Bundle(models=tuple(models), data=own_data))


def _loaded(data: ArrayData | DataChoice | str, task: Task, settings: dict[str, Any]) -> tuple[Dataset, DataChoice]:
    if not isinstance(data, ArrayData | DataChoice | str):
        raise UsageError(
            "the data are of the wrong kind",
            got=f"a {type(data).__name__}",
            expected="sevenfold.data.arrays(x, y), or the name of a data set",
        )
    if isinstance(data, ArrayData):
        choice = data.register()
    else:
        choice = DataChoice(name=data) if isinstance(data, str) else data
    changes = {key.removeprefix("data."): settings.pop(key) for key in list(settings) if key.startswith("data.")}
    choice = pinned(choice.with_changes(changes))
    return load(choice, task=task), choice


def _registered(
    model: Builder | str, task: Task, alternatives: Sequence[str], dataset: Dataset, models: list[_OwnModel]
) -> str:
    if isinstance(model, str):
        if alternatives:
            raise UsageError(
                "alternatives go with a function of your own",
                got=f"model {model!r}",
                expected="a function as model; a preset's alternatives are those of the catalogue",
            )
        return MODELS[model].name
    if not callable(model):
        raise UsageError(
            "a model is given as a function that builds it",
            got=f"a {type(model).__name__}",
            expected="a function that returns a torch.nn.Module",
            hint="model=lambda width: MyNet(width)",
        )
    own = _OwnModel(model, fingerprint(model), task, tuple(alternatives), dataset.input_shape)
    name = own.register()
    models.append(own)
    return name


def _recipe(
    name: str, task: Task, model_name: str, choice: DataChoice, dataset: Dataset, settings: Mapping[str, Any]
) -> Recipe:
    entry = MODELS[model_name]
    fitted = entry.fit(entry, dataset.input_shape, dataset.num_outputs)
    _check_parameters(entry, fitted)
    batch_size = min(_BATCH_SIZE, len(dataset.train))
    steps = round(_EPOCHS * len(dataset.train) / batch_size)
    known = set(Recipe.model_fields) - {"name", "task", "model", "data"}
    model_settings: dict[str, Scalar] = {}
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        if key.partition(".")[0] in known | {"model"}:
            changes[key] = value.to_dict() if hasattr(value, "to_dict") else value
        elif key in entry.spec_type.model_fields:
            model_settings[key] = value
        else:
            raise unknown_name("setting", key, known | set(entry.spec_type.model_fields))
    recipe = Recipe(
        name=name,
        task=task,
        model=ModelChoice(name=model_name, settings=model_settings),
        data=choice,
        batch_size=batch_size,
        steps=min(max(steps, _FEWEST_STEPS), _MOST_STEPS),
    ).with_changes(changes)
    entry.spec({**fitted, **recipe.model.settings})  # settings that do not fit are told now
    return recipe


def _check_parameters(entry: ModelEntry, fitted: Mapping[str, Scalar]) -> None:
    for name, parameter in entry.spec_type.model_fields.items():
        if parameter.is_required() and name not in {**entry.preset, **fitted}:
            raise UsageError(
                "the model's function has a parameter that nothing fills",
                got=name,
                expected="a default, or a name that the data fill (classes, in_features, vocab_size, context, ...)",
                hint=f"{name}=VALUE in the function's parameters",
            )
