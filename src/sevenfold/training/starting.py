"""Weights of a finished run as where another begins: fine-tuning, alignment, heads on learned features.

A tensor is taken where the model has one of the same name and shape; what the run does not have (a new head) keeps
the initialization of the recipe's seed. It must not know what either model is.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from sevenfold import checkpoints
from sevenfold.errors import InputFileError, UsageError

__all__ = ["begin_from", "kept_tensors"]


def begin_from(model: nn.Module, start: str, home: Path) -> int:
    """Copy the weights of ``start`` into a model; returns how many numbers of its parameters were taken.

    ``RUN`` is a finished run in ``home``; ``RUN/prefix`` takes its ``prefix.weight`` as ``weight``, and
    ``RUN//prefix`` its ``weight`` as ``prefix.weight``.
    Raises InputFileError for a run whose weights are not there, UsageError where no tensor fits.
    """
    run, _, part = start.partition("/")
    theirs = _renamed(kept_tensors(run, home), part)
    ours = checkpoints.model_tensors(model)
    taken = [name for name, tensor in ours.items() if name in theirs and theirs[name].shape == tensor.shape]
    if not taken:
        raise UsageError(
            "no weight of the run fits the model",
            got=f"start={start} with {_some(theirs)}",
            expected=_some(ours),
            hint="a run of the same model, or start=RUN/prefix for a part of one",
        )
    with torch.no_grad():
        for name in taken:
            ours[name].copy_(theirs[name])
    return sum(weight.numel() for name, weight in model.named_parameters() if name in taken)


def kept_tensors(run: str, home: Path) -> dict[str, Tensor]:
    """The final weights of a run by name; raises InputFileError where they are not kept."""
    if run.startswith("recipe:"):
        raise UsageError(
            "a recipe that begins with another's run is trained after it",
            got=run,
            expected="the id of a finished run",
            hint="`sevenfold train`, which trains both",
        )
    folder = home / "runs" / run
    if not checkpoints.weights_path(folder).is_file():
        raise InputFileError(
            "no run of this id has its weights here", got=run, hint="`sevenfold runs list`, `sevenfold train`"
        )
    return checkpoints.load_weights(folder)


def _renamed(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    if part.startswith("/"):
        return {f"{part[1:]}.{name}": tensor for name, tensor in tensors.items()}
    if part:
        return {
            name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")
        }
    return tensors


def _some(tensors: dict[str, Tensor]) -> str:
    shown = [f"{name} {list(tensor.shape)}" for name, tensor in list(tensors.items())[:2]]
    return ", ".join(shown) + (", ..." if len(tensors) > 2 else "") if shown else "no tensor"
