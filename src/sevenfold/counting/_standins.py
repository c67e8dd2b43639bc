"""Stand-ins: tensors and modules of the same shapes, dtypes and strides that hold no numbers.

The module given is never touched: its structure is copied with every tensor in it replaced, so a model of any size
costs no memory, and gradients or running statistics land on the copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from sevenfold.errors import UsageError


def stand_in(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A tensor of the same form on ``device``; with ``device="cpu"`` it also has the values."""
    with torch.no_grad():
        if device == "cpu" and tensor.device.type != "meta":
            made = tensor.detach().to("cpu", copy=True)
        elif device == "cpu":
            made = torch.zeros(tensor.shape, dtype=tensor.dtype)
        elif tensor.layout is not torch.strided:
            raise UsageError("only dense tensors can be counted", got=str(tensor.layout), expected="torch.strided")
        else:
            made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)
    if isinstance(tensor, nn.Parameter):
        made = nn.Parameter(made, requires_grad=tensor.requires_grad)
        made.__dict__.update(tensor.__dict__)
        return made
    return made.requires_grad_(tensor.requires_grad)


def stand_in_inputs(tree: Any, device: str) -> Any:
    """The same nested arguments with every tensor replaced."""
    return tree_map(lambda leaf: stand_in(leaf, device) if isinstance(leaf, torch.Tensor) else leaf, tree)


def stand_in_module(module: nn.Module, device: str) -> nn.Module:
    """A copy of the module's structure with every parameter, buffer and other tensor replaced."""
    replaced: dict[int, Any] = {}
    for tensor in _tensors_of(module):
        if isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
            raise UsageError(
                "a lazy module has no shapes yet",
                got=type(module).__name__,
                hint="running the module once on a real input before counting it",
            )
        if id(tensor) not in replaced:
            replaced[id(tensor)] = stand_in(tensor, device)
    try:
        return copy.deepcopy(module, replaced)
    except Exception as error:
        raise UsageError(
            "the module's structure cannot be copied",
            got=f"{type(error).__name__}: {error}",
            expected="a module that copy.deepcopy can copy",
        ) from error


def _tensors_of(module: nn.Module) -> Iterator[torch.Tensor]:
    seen: set[int] = set()
    for part in module.modules():
        yield from _tensors_within(vars(part), seen)


def _tensors_within(value: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple, set)) and id(value) not in seen:
        seen.add(id(value))
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors_within(item, seen)
