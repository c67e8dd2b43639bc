"""From a recipe to what is computed: the model with its initial weights, the data set, the loss, the device.

The one place where a recipe's names become things; training, measuring and counting all use it, so that they speak
of the same model. Knows no loop and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from sevenfold.data import Dataset, check_choice, load
from sevenfold.data.drawn_comparisons import DRAWN
from sevenfold.errors import SpecError, UnknownNameError, UsageError
from sevenfold.layers import LearnsUnlabelled
from sevenfold.models import MODELS, ModelEntry
from sevenfold.runs.recipe import Recipe, Scalar
from sevenfold.training.objectives import TASKS, Loss, loss_function


@dataclass(frozen=True)
class Workload:
    """What a recipe computes."""

    recipe: Recipe
    entry: ModelEntry
    settings: Mapping[str, Scalar]  # the preset's changes: fitted to the data set, then the recipe's own
    model: nn.Module  # on the device, initialized by the recipe's seed
    dataset: Dataset
    loss: Loss  # (logits, targets) -> mean in nats, with label smoothing where the recipe has it
    device: torch.device
    teacher: nn.Module | None = None  # whose outputs the model is held to besides the targets

    @property
    def parameters(self) -> int:
        """Trained numbers; a tied tensor counts once."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def build_workload(recipe: Recipe) -> Workload:
    """Build what a recipe names; the caller's random-number state is left as it was.

    Raises UnknownNameError or SpecError for names and settings that do not exist, UsageError where model and data
    do not fit each other.
    """
    check_recipe(recipe)
    if recipe.task == "control":
        raise UsageError(
            "an agent learns from an environment, not from a data set",
            got=f"task control in {recipe.name}",
            hint=f"`sevenfold train {recipe.name}`",
        )
    if recipe.data.name == DRAWN:
        from sevenfold.training.alignment.comparing import draw_comparisons

        draw_comparisons(recipe.data)
    dataset = load(recipe.data, task=recipe.data_task, subset_seed=recipe.seed)
    entry, settings = fitted_model(recipe, dataset)
    device = resolve_device(recipe)
    model = seeded(recipe.seed, lambda: entry.build(settings)).to(device)
    _check_unlabelled(entry.name, model, dataset)
    return Workload(recipe, entry, settings, model, dataset, loss_function(recipe.task, recipe.objective), device)


def _check_unlabelled(name: str, model: nn.Module, dataset: Dataset) -> None:
    if dataset.unlabelled and not isinstance(model, LearnsUnlabelled):
        raise UsageError(
            f"model {name} learns nothing from examples without labels",
            got=f"unlabelled={dataset.unlabelled}",
            expected="unlabelled=0, or a model such as fixmatch",
        )


def fitted_model(recipe: Recipe, dataset: Dataset) -> tuple[ModelEntry, dict[str, Scalar]]:
    """The catalogue's entry, and its settings: fitted to the data set, then what the recipe says, checked."""
    entry = MODELS[recipe.model.name]
    if entry.task != recipe.model_task:
        raise UsageError(
            f"model {entry.name} is not for this task", got=f"task {recipe.task}", expected=f"task {entry.task}"
        )
    _check_given(entry, recipe.model.settings)
    settings = dict(entry.settings_for(dataset.input_shape, dataset.num_outputs)) | recipe.model.settings
    _check_settings(entry, settings)
    return entry, settings


def check_recipe(recipe: Recipe) -> None:
    """Raise for what no spec can see: settings that contradict each other, names and model settings."""
    if recipe.batch_size % recipe.accumulate:
        raise UsageError(
            "accumulate must divide batch_size",
            got=f"batch_size={recipe.batch_size}, accumulate={recipe.accumulate}",
            hint=f"--set accumulate={_nearest_divisor(recipe.batch_size, recipe.accumulate)}",
        )
    rule = TASKS[recipe.task]
    if recipe.accumulate > 1 and not rule.cut:
        raise UsageError(
            f"the loss of {recipe.task} is over a whole batch, which micro-batches would change",
            got=f"accumulate={recipe.accumulate}",
            expected="accumulate=1",
        )
    if recipe.objective.label_smoothing and not rule.smooths:
        raise UsageError(
            f"{recipe.task} has no classes whose labels could be smoothed",
            got=f"objective.label_smoothing={recipe.objective.label_smoothing:g}",
            expected="objective.label_smoothing=0",
        )
    if recipe.task == "preference" and recipe.start is None:
        raise UsageError(
            "preferences are learned against where the model starts",
            got="start=none",
            expected="a run of a language model that answers",
            hint="start=recipe:sft-requests",
        )
    _check_given(MODELS[recipe.model.name], recipe.model.settings)


def check_data(recipe: Recipe) -> None:
    """Raise for data that cannot be learned from, before what the recipe needs is trained.

    Data that are made of a run which is still to be trained are looked at by their settings alone.
    """
    if recipe.task == "control":
        return
    check_choice(recipe.data, task=recipe.data_task)
    values = recipe.data.settings.values()
    if not any(isinstance(value, str) and value.startswith("recipe:") for value in values):
        load(recipe.data, task=recipe.data_task, subset_seed=recipe.seed)


def _check_given(entry: ModelEntry, settings: Mapping[str, Scalar]) -> None:
    """Check a recipe's own model settings before its data set is read.

    A caller's model may have parameters that only the data set fills (``classes``): then the check waits for it.
    """
    required = {name for name, field in entry.spec_type.model_fields.items() if field.is_required()}
    if required <= {*entry.preset, *settings}:
        _check_settings(entry, settings)


def _check_settings(entry: ModelEntry, settings: Mapping[str, Scalar]) -> None:
    """The entry's own check, told in the recipe's keys: ``model.width``."""
    try:
        entry.spec(settings)
    except UnknownNameError as error:
        hint = None if error.hint is None else f"model.{error.hint}"
        raise UnknownNameError(
            f"model {entry.name}: {error.message}", got=error.got, expected=error.expected, hint=hint
        ) from None
    except SpecError as error:
        raise SpecError(
            f"model {entry.name}: {error.message}", got=error.got, expected=error.expected, hint=error.hint
        ) from None


def resolve_device(recipe: Recipe) -> torch.device:
    """``auto`` is CUDA where present; raises UsageError for a device that is not there."""
    if recipe.device == "cpu" or (recipe.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError("no CUDA device here", got="device=cuda", expected="device=cpu or device=auto")
    return torch.device("cuda", torch.cuda.current_device())


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """What ``build`` returns when torch's generator starts at ``seed``; the caller's generator is left alone.

    The generator is the CPU's on every device, so that one seed is one initialization everywhere.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def _nearest_divisor(number: int, wanted: int) -> int:
    return min((d for d in range(1, number + 1) if number % d == 0), key=lambda d: abs(d - wanted))
