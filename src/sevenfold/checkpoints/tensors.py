"""A model's and an optimizer's state as named tensors, and back with every name, shape and dtype checked.

Tensors that share memory (an embedding tied to the output layer) are stored once, under their first name. An
optimizer's tensors are named after the parameter they belong to, ``decoder.bias/exp_avg``. Knows no files but the
safetensors format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sevenfold.errors import CheckpointError

_FRESH = "another recipe name, or `--fresh` to start the run anew"


def to_bytes(tensors: Mapping[str, Tensor], facts: Mapping[str, str] | None = None) -> bytes:
    """The safetensors bytes of tensors on any device; tensors that share memory are written once."""
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[object, ...], str] = {}
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and place in first:
            aliases[name] = first[place]
        else:
            first[place] = name
            kept[name] = tensor.detach().to("cpu").contiguous()
    if len({tensor.untyped_storage().data_ptr() for tensor in kept.values()}) < len(kept):
        kept = {name: tensor.clone() for name, tensor in kept.items()}  # views of one storage
    return safetensors.torch.save(kept, {"aliases": json.dumps(aliases), **(facts or {})})


def from_bytes(content: bytes, source: str) -> dict[str, Tensor]:
    """The tensors of safetensors bytes, shared ones under each of their names."""
    try:
        tensors = safetensors.torch.load(content)
        size = int.from_bytes(content[:8], "little")
        facts = json.loads(content[8 : 8 + size]).get("__metadata__", {})
        aliases = json.loads(facts.get("aliases", "{}"))
        return tensors | {name: tensors[first] for name, first in aliases.items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError("no safetensors file", got=f"{source} ({error})") from None


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name (not copied)."""
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(
                "a model's state cannot be saved", got=f"{name} of type {type(value).__name__}", expected="tensors"
            )
    return dict(state)


def restore_model(model: nn.Module, tensors: Mapping[str, Tensor], *, source: str = "checkpoint") -> None:
    """Copy tensors into a model; raises CheckpointError naming the first that does not fit."""
    check_fit(tensors, model_tensors(model), source)
    model.load_state_dict(dict(tensors))


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor of the optimizer's state as ``PARAMETER/KEY``; numbers and flags of it become scalars."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    tensors: dict[str, Tensor] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{names[parameter]}/{key}"] = value
            elif value is not None:
                raise CheckpointError(
                    "an optimizer's state cannot be saved",
                    got=f"{key} of type {type(value).__name__}",
                    expected="tensors",
                )
    return tensors


def restore_optimizer(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    *,
    source: str = "checkpoint",
) -> None:
    """Give an optimizer the state that `optimizer_tensors` took; raises CheckpointError where it does not fit."""
    parameters = dict(model.named_parameters())
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    places = {parameter: index for index, parameter in enumerate(order)}
    state: dict[int, dict[str, Any]] = {}
    for full_name, tensor in tensors.items():
        name, _, key = full_name.rpartition("/")
        if name not in parameters:
            raise CheckpointError(
                "an optimizer state of another model", got=f"{full_name} in {source}", expected=_some(parameters)
            )
        parameter = parameters[name]
        if tensor.numel() != 1 or key != "step":
            _check_shape(full_name, tensor, parameter, source)
        state.setdefault(places[parameter], {})[key] = tensor.clone()  # aligned, and ours
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def check_fit(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    """Raise CheckpointError naming the first tensor that is missing, unknown, or of another shape or dtype."""
    for name, tensor in wanted.items():
        if name not in tensors:
            raise CheckpointError(
                f"tensor {name!r} is missing in {source}", got=_some(tensors), expected=name, hint=_FRESH
            )
        _check_shape(name, tensors[name], tensor, source)
    for name in tensors:
        if name not in wanted:
            raise CheckpointError(
                f"a tensor in {source} that the model does not have",
                got=repr(name),
                expected=_some(wanted),
                hint=_FRESH,
            )


def _check_shape(name: str, got: Tensor, wanted: Tensor, source: str) -> None:
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        raise CheckpointError(
            f"tensor {name!r} in {source} does not fit",
            got=f"{list(got.shape)} {got.dtype}",
            expected=f"{list(wanted.shape)} {wanted.dtype}",
            hint=_FRESH,
        )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:6]) + (f", ... ({len(listed)} in all)" if len(listed) > 6 else "")
