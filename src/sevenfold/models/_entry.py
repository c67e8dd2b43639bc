"""What the catalogue holds of a model: its landmark, its settings, and how to build it for a data set.

This file knows no model. A landmark's file declares a ``Family`` (module, landmark, dial, how it fits a data set)
and decorates one function a preset; nothing here depends on what a preset is called.

    python -m sevenfold.models        lists the catalogue
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from sevenfold.catalog import Catalogue
from sevenfold.errors import OutOfMemoryError, UsageError
from sevenfold.runs.recipe import Scalar, Task
from sevenfold.spec import Spec

__all__ = [
    "MODELS",
    "Family",
    "Input",
    "Landmark",
    "ModelEntry",
    "alternatives_for",
    "fit_features",
    "fit_generation",
    "fit_images",
    "fit_pairs",
    "fit_tokens",
]

Size = Literal["paper", "laptop", "custom"]
Constraint = Literal["data", "parameters", "optimization", "architecture", "compute", "efficiency", "energy"]


@dataclass(frozen=True)
class Landmark:
    """A model of deep learning's history, and the one constraint of seven that it lifted."""

    name: str
    title: str
    family: str
    year: int
    paper: str
    constraint: Constraint
    summary: str
    proof: str = ""  # what the implementation is held to, and which test file does it
    preset: str | None = None  # the one that stands for it; None: that of its name, else the largest paper size


@dataclass(frozen=True)
class Input:
    """One tensor that a model takes, without its batch axis: tokens where there is a vocabulary, else floats."""

    shape: tuple[int, ...]
    vocabulary: int | None = None
    context: int | None = None  # of tokens: the longest first axis, None where any length is read


@dataclass(frozen=True)
class ModelEntry:
    """One preset of the catalogue: settings that fit a paper or a laptop, and what they build.

    ``dial`` names the setting that is the width (None where there is none) and ``dial_multiple`` what its legal
    values are multiples of. ``parameters`` is the published count where one can be asserted.

    >>> MODELS["mlp-small"].build({"width": 32})(torch.zeros(5, 64)).shape
    torch.Size([5, 10])
    """

    name: str
    landmark: Landmark | None
    task: Task
    size: Size
    dial: str | None
    dial_multiple: int
    preset: Mapping[str, Scalar]
    spec_type: type[Spec]
    module: Callable[[Any], nn.Module]
    fit: Callable[[ModelEntry, tuple[int, ...], int], dict[str, Scalar]]
    inputs: Callable[[Any], tuple[Input, ...] | None]
    parameters: int | None = None
    dropout: str | None = None
    alternatives: tuple[str, ...] | None = None  # None: whatever the catalogue has
    stands_alone: bool = True  # False: worth nothing without another run's weights, so no alternative to any model
    summary: str = ""

    def spec(self, settings: Mapping[str, Scalar] = {}) -> Spec:
        """The preset with settings changed, checked; unknown settings are errors with the nearest known name."""
        open_fields = {n for n, f in self.spec_type.model_fields.items() if f.is_required()} - self.preset.keys()
        given = {name: value for name, value in settings.items() if name in open_fields}
        changes = {name: value for name, value in settings.items() if name not in open_fields}
        return self.spec_type.from_dict({**self.preset, **given}).with_changes(changes)

    def build(self, settings: Mapping[str, Scalar] = {}) -> nn.Module:
        """The module with initialized weights, from torch's global random numbers, on torch's default device.

        Raises OutOfMemoryError before it would fill this machine's memory.
        """
        spec = self.spec(settings)
        # A caller's own function is called once, and need not work on the meta device.
        if self.size != "custom" and torch.get_default_device().type == "cpu":
            _require_memory(self.name, _bytes_of(self.build_meta(settings)))
        return self.module(spec)

    def build_meta(self, settings: Mapping[str, Scalar] = {}) -> nn.Module:
        """The module on the meta device: shapes without storage, at any size."""
        spec = self.spec(settings)
        with torch.device("meta"):
            return self.module(spec)

    def settings_for(self, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
        """The settings that fit a data set; raises UsageError where this model cannot take it.

        ``input_shape`` is one example's: (channels, height, width), (features,), or (context,) for tokens;
        ``num_outputs`` the number of classes, or the vocabulary.

        >>> MODELS["lecun1989-small"].settings_for((1, 8, 8), 10)
        {'image': 8, 'channels': 1, 'classes': 10}
        """
        settings = self.fit(self, tuple(input_shape), num_outputs)
        self.spec(settings)
        return settings

    def example(
        self,
        settings: Mapping[str, Scalar] = {},
        *,
        batch: int = 1,
        seq: int | None = None,
        image: int | None = None,
        device: str | torch.device = "meta",
    ) -> tuple[torch.Tensor, ...]:
        """Inputs that the model built with these settings takes: tokens [batch, seq], or [batch, *shape] floats.

        One tensor for each that the model is called with; ``seq`` is the length of all that are tokens. The same
        values at every call, and torch's random numbers are left as they were.
        """
        inputs = self.inputs(self.spec(settings))
        if inputs is None:
            raise UsageError(
                f"{self.name} does not say what it takes", expected="input_shape where the model is registered"
            )
        if batch < 1:
            raise UsageError("an example needs a batch", got=batch, expected="at least 1")
        if image is not None and all(one.vocabulary is not None for one in inputs):
            raise UsageError(f"{self.name} reads tokens, not images", got=f"image {image}", hint="seq")
        if seq is not None and all(one.vocabulary is None for one in inputs):
            raise UsageError(f"{self.name} takes no sequence", got=f"seq {seq}", hint="image")
        return tuple(self._example(one, batch, seq, image, device) for one in inputs)

    def _example(
        self, one: Input, batch: int, seq: int | None, image: int | None, device: str | torch.device
    ) -> torch.Tensor:
        shape = one.shape
        if one.vocabulary is not None:
            time = shape[:1] if seq is None else (seq,)
            return _tokens(self.name, (batch, *time[: len(shape)], *shape[1:]), one, device)
        if image is not None and (len(shape) != 3 or shape[1:] != (image, image)):
            raise UsageError(
                f"{self.name} takes no image of this size",
                got=f"image {image}",
                expected=f"one input of shape {list(shape)}",
                hint=f"the model setting image={image}" if len(shape) == 3 else None,
            )
        return _normal((batch, *shape), device)

    def sized(
        self, settings: Mapping[str, Scalar] = {}, *, seq: int | None = None, image: int | None = None
    ) -> dict[str, Scalar]:
        """Settings under which ``example(seq=..., image=...)`` fits: the image size where the model has one.

        A context is not lengthened: that would be another model.
        """
        if image is not None and "image" in self.spec_type.model_fields:
            return {**settings, "image": image}
        return dict(settings)

    def dropout_key(self) -> str | None:
        """The setting that is the dropout rate, None where there is none."""
        return self.dropout


MODELS: Catalogue[ModelEntry] = Catalogue("model", package="sevenfold.models")


@dataclass(frozen=True)
class Family:
    """What the presets of one landmark share; ``preset`` registers one."""

    landmark: Landmark
    task: Task
    spec_type: type[Spec]
    module: Callable[[Any], nn.Module]
    fit: Callable[[ModelEntry, tuple[int, ...], int], dict[str, Scalar]]
    shape: Callable[[Any], tuple[int, ...] | None] = lambda spec: None
    inputs: Callable[[Any], tuple[Input, ...] | None] | None = None  # where shape does not say it: several tensors
    dial: str | None = None
    dial_multiple: Callable[[Any], int] = lambda spec: 1
    stands_alone: bool = True

    def preset(
        self, size: Size, *, name: str | None = None, parameters: int | None = None
    ) -> Callable[[Callable[[], Spec]], Callable[[], Spec]]:
        """Registers the decorated function's spec under its name, underscores written as hyphens."""

        def register(function: Callable[[], Spec]) -> Callable[[], Spec]:
            spec = function()
            known = name or function.__name__.replace("_", "-")
            entry = ModelEntry(
                name=known,
                landmark=self.landmark,
                task=self.task,
                size=size,
                dial=self.dial,
                dial_multiple=self.dial_multiple(spec),
                preset=spec.to_dict(),
                spec_type=self.spec_type,
                module=self.module,
                fit=self.fit,
                inputs=self.inputs or self._one_input,
                parameters=parameters,
                stands_alone=self.stands_alone,
                dropout="dropout" if "dropout" in self.spec_type.model_fields else None,
                summary=(function.__doc__ or "").strip().splitlines()[0],
            )
            MODELS.add(known, entry)
            return function

        return register

    def _one_input(self, spec: Any) -> tuple[Input, ...] | None:
        shape = self.shape(spec)
        if shape is None:
            return None
        if self.task in ("causal-lm", "masked-lm"):
            return (Input(shape, vocabulary=spec.vocabulary, context=getattr(spec, "context", None)),)
        return (Input(shape),)


def alternatives_for(task: Task, input_shape: tuple[int, ...], num_outputs: int, *, besides: str) -> list[str]:
    """Laptop presets of other landmarks that take this data, the smallest of each; those with a dial first.

    For a model of the caller's own: the alternatives that were given with it.

    >>> "mlp-small" in alternatives_for("classification", (1, 8, 8), 10, besides="lecun1989-small")
    True
    """
    own = MODELS[besides]
    if own.alternatives is not None:
        return [name for name in own.alternatives if _fits(MODELS[name], task, input_shape, num_outputs)]
    smallest: dict[str, tuple[int, str]] = {}
    for name in MODELS.names():
        entry = MODELS[name]
        if entry.size != "laptop" or entry.landmark is None or entry.landmark == own.landmark:
            continue
        if not entry.stands_alone or not _fits(entry, task, input_shape, num_outputs):
            continue
        count = _bytes_of(entry.build_meta(entry.settings_for(input_shape, num_outputs)))
        smallest[entry.landmark.name] = min((count, name), smallest.get(entry.landmark.name, (count, name)))
    return sorted((name for _, name in smallest.values()), key=lambda name: (MODELS[name].dial is None, name))


def fit_features(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of models that flatten what they get."""
    return {"inputs": math.prod(input_shape), "classes": num_outputs}


def fit_images(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of models that take square images."""
    if len(input_shape) != 3 or input_shape[1] != input_shape[2]:
        raise UsageError(
            f"{entry.name} cannot take this data",
            got=f"inputs of shape {list(input_shape)}",
            expected="square images [channels, size, size]",
        )
    return {"image": input_shape[1], "channels": input_shape[0], "classes": num_outputs}


def fit_tokens(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of models that take windows of tokens."""
    if len(input_shape) != 1:
        raise UsageError(
            f"{entry.name} cannot take this data",
            got=f"inputs of shape {list(input_shape)}",
            expected="windows of tokens [context]",
        )
    context = {"context": input_shape[0]} if "context" in entry.spec_type.model_fields else {}
    return {"vocabulary": num_outputs, **context}


def fit_pairs(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of encoder-decoders, which read a source and a target of any length in one vocabulary."""
    if len(input_shape) != 2:
        raise UsageError(
            f"{entry.name} cannot take this data",
            got=f"inputs of shape {list(input_shape)}",
            expected="pairs of token sequences [source length, target length]",
        )
    return {"vocabulary": num_outputs}


def fit_generation(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of models that learn to sample square images: alone, by class, or by caption [C, H, W, T].

    ``classes`` is the number of classes that the data names (0 where it names none); captions give ``vocabulary``
    and ``context``. A condition that the model cannot be told is an error.
    """
    if len(input_shape) not in (3, 4) or input_shape[1] != input_shape[2]:
        raise UsageError(
            f"{entry.name} cannot take this data",
            got=f"inputs of shape {list(input_shape)}",
            expected="square images [channels, size, size], or with captions [channels, size, size, tokens]",
        )
    fields = entry.spec_type.model_fields
    settings: dict[str, Scalar] = {"image": input_shape[1], "channels": input_shape[0]}
    if len(input_shape) == 4:
        told, given = "captions", {"vocabulary": num_outputs, "context": input_shape[3]}
    else:
        told, given = "classes", {"classes": num_outputs} if num_outputs or "classes" in fields else {}
    if not fields.keys() >= given.keys():
        raise UsageError(
            f"{entry.name} cannot be told what to sample",
            got=f"data with {told}",
            expected="images alone",
            hint="the data setting condition=none" if told == "classes" else None,
        )
    return settings | given


def _fits(entry: ModelEntry, task: Task, input_shape: tuple[int, ...], num_outputs: int) -> bool:
    if entry.task != task:
        return False
    try:
        entry.settings_for(input_shape, num_outputs)
    except UsageError:
        return False
    return True


def _bytes_of(module: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))


def _require_memory(name: str, num_bytes: int) -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if num_bytes > machine:
        raise OutOfMemoryError(
            f"the weights of {name} do not fit this machine's memory",
            got=f"{num_bytes / 1e9:.1f} GB of weights",
            expected=f"at most {machine / 1e9:.1f} GB",
            hint="counting it instead, or a smaller size",
        )


def _tokens(name: str, shape: tuple[int, ...], one: Input, device: str | torch.device) -> torch.Tensor:
    time = shape[1] if len(shape) > 1 else 1
    if time < 1 or (one.context is not None and time > one.context):
        raise UsageError(
            f"{name} has no position for every token",
            got=f"seq {time}",
            expected="at least 1" if one.context is None else f"1 to {one.context} (its context)",
            hint=None if time < 1 else f"the model setting context={time}",
        )
    if torch.device(device).type == "meta":
        return torch.empty(shape, dtype=torch.int64, device=device)
    assert one.vocabulary is not None
    generator = torch.Generator().manual_seed(0)
    return torch.randint(one.vocabulary, shape, generator=generator, device="cpu").to(device)


def _normal(shape: tuple[int, ...], device: str | torch.device) -> torch.Tensor:
    if torch.device(device).type == "meta":
        return torch.empty(shape, device=device)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), device="cpu").to(device)
