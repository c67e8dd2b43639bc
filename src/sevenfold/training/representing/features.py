"""What a trained model makes of examples: one row of numbers each.

N examples, F features, T tokens, D model width, B batch.

    a model that says it itself (`sevenfold.layers.representing`)    its representation [N, F]
    any other model                                                  what its last layer with weights reads
    ``layer="h2"``                                                   what that part of the model gives

Maps [B, C, H, W] are flattened, tokens [B, T, D] averaged over T. Evaluation mode, no gradients, the model is left
as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sevenfold.data import Inputs, Split, moved, parts_of
from sevenfold.errors import UsageError, unknown_name
from sevenfold.layers import Generative
from sevenfold.layers.representing import Represents

__all__ = ["features", "outputs", "pixels"]

Rows = npt.NDArray[np.float32]
_AT_ONCE = 256


def features(model: nn.Module, split: Split, *, layer: str | None = None, at_once: int = _AT_ONCE) -> Rows:
    """Each example of a split as the model represents it, [N, F] float32, in the order of the split.

    Raises UsageError for a layer that is not there or gives no rows, and for a model that learns to sample and says
    nothing of a representation.
    """
    if layer is not None:
        return _read(model, split, _given_by(_submodule(model, layer), layer), at_once)
    if isinstance(model, Represents):
        return _gathered(model, split, lambda parts: model.represent(*parts), at_once)
    if isinstance(model, Generative):
        raise UsageError(
            "this model does not say what its representation is",
            got=type(model).__name__,
            expected="the name of a layer",
            hint=", ".join(_names(model)[:8]),
        )
    return _read(model, split, _Reading(_last_layer(model, split)), at_once)


def outputs(model: nn.Module, split: Split, *, at_once: int = _AT_ONCE) -> Rows:
    """What the model gives for each example of a split, [N, ...] float32."""
    return _gathered(model, split, lambda parts: model(*parts), at_once, flat=False)


def pixels(split: Split) -> Rows:
    """The examples as they are, flattened: [N, F]. What every representation is held against."""
    return np.concatenate([part.flatten(1).float().cpu().numpy() for part in parts_of(split.inputs)], axis=1)


class _Reading:
    """Holds what one module reads, or gives, in the newest forward pass."""

    def __init__(self, module: nn.Module, *, given: str | None = None) -> None:
        self.module, self.given = module, given
        self.seen: Any = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        def before(module: nn.Module, inputs: Any) -> None:
            self.seen = inputs[0]

        def after(module: nn.Module, inputs: Any, output: Any) -> None:
            self.seen = output

        if self.given is None:
            handle = self.module.register_forward_pre_hook(before)
        else:
            handle = self.module.register_forward_hook(after)
        try:
            yield
        finally:
            handle.remove()


def _given_by(module: nn.Module, name: str) -> _Reading:
    return _Reading(module, given=name)


def _read(model: nn.Module, split: Split, reading: _Reading, at_once: int) -> Rows:
    def through(parts: tuple[Tensor, ...]) -> Tensor:
        reading.seen = None
        with torch.random.fork_rng(devices=[]):  # a model that draws random numbers draws the same ones
            torch.manual_seed(0)
            model(*parts)
        if not isinstance(reading.seen, Tensor):
            raise UsageError(
                f"layer {reading.given!r} gives no numbers to represent an example with"
                if reading.given is not None
                else "the last layer reads no single tensor",
                got="nothing" if reading.seen is None else type(reading.seen).__name__,
                expected="a layer that is called and gives one tensor",
            )
        return reading.seen

    with reading.listening():
        return _gathered(model, split, through, at_once)


def _gathered(model: nn.Module, split: Split, through: Any, at_once: int, *, flat: bool = True) -> Rows:
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    rows = []
    try:
        with torch.no_grad():
            for start in range(0, len(split), at_once):
                indices = np.arange(start, min(start + at_once, len(split)), dtype=np.int64)
                inputs: Inputs = moved(split.batch(indices)[0], device)
                given = through(parts_of(inputs))
                rows.append((_flat(given, len(indices)) if flat else given).float().cpu().numpy())
    finally:
        model.train(was_training)
    return np.concatenate(rows)


def _flat(given: Tensor, size: int) -> Tensor:
    if given.dim() < 2 or given.shape[0] != size:
        raise UsageError(
            "this is not one row of numbers an example",
            got=f"shape {list(given.shape)} of {size} examples",
            expected="[examples, features], maps or tokens",
            hint="another layer",
        )
    return given.mean(1) if given.dim() == 3 else given.flatten(1)


def _last_layer(model: nn.Module, split: Split) -> nn.Module:
    """The module with weights of its own that is called last."""
    called: list[nn.Module] = []
    handles = [
        module.register_forward_pre_hook(lambda module, inputs: called.append(module))
        for module in model.modules()
        if module is not model and next(module.parameters(recurse=False), None) is not None
    ]
    try:
        _gathered(model, split.take(np.arange(1, dtype=np.int64)), lambda parts: model(*parts), 1, flat=False)
    finally:
        for handle in handles:
            handle.remove()
    if not called:
        raise UsageError("the model has no layer with weights", got=type(model).__name__)
    return called[-1]


def _submodule(model: nn.Module, name: str) -> nn.Module:
    if name not in (names := _names(model)):
        raise unknown_name("layer", name, names)
    return model.get_submodule(name)


def _names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_modules() if name]
