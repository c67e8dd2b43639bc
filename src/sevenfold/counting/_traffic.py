"""Bytes that an operator must read and write: each operand once, at the size its memory really has.

An expanded (broadcast) view counts the elements behind it, two views of one storage never more than the storage, an
embedding or a gather only what it picks. Nothing is assumed of caches: this is the traffic of operands, not of a
memory level.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from sevenfold.counting._arithmetic import ACCUMULATES, OVERWRITES, PICKS, PLACES


def storage_key(tensor: torch.Tensor) -> int:
    """The identity of the memory behind a tensor; equal for a tensor and its views."""
    return int(tensor.untyped_storage()._cdata)


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """The tensors in nested lists, tuples, mappings and dataclasses, in order."""
    found: list[torch.Tensor] = []
    _collect(tree, found)
    return found


def _collect(tree: Any, found: list[torch.Tensor]) -> None:
    if isinstance(tree, torch.Tensor):
        found.append(tree)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            _collect(item, found)
    elif isinstance(tree, Mapping):
        for item in tree.values():
            _collect(item, found)
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        for field in dataclasses.fields(tree):
            _collect(getattr(tree, field.name), found)


def resident_bytes(tensor: torch.Tensor) -> int:
    """Bytes behind a tensor: dimensions of stride 0 count once, overlapping windows their span."""
    if tensor.numel() == 0:
        return 0
    distinct, span = 1, 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        if stride != 0:
            distinct *= size
            span += (size - 1) * abs(stride)
    return min(distinct, span) * tensor.element_size()


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of several operands; the same view twice counts once, views of one storage at most the storage."""
    views: dict[int, dict[Any, int]] = {}
    capacity: dict[int, int] = {}
    for tensor in tensors:
        key = storage_key(tensor)
        capacity[key] = tensor.untyped_storage().nbytes()
        view = (tensor.storage_offset(), tensor.shape, tensor.stride())
        views.setdefault(key, {})[view] = resident_bytes(tensor)
    return sum(min(capacity[key], sum(sizes.values())) for key, sizes in views.items())


# Batch norms that write their running mean and variance (arguments 3 and 4) in training; the schema hides it.
_HIDDEN_STATISTICS = frozenset(["native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"])


@functools.lru_cache(maxsize=4096)
def _changed_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Places and names of the arguments that an operator writes to (in place, ``out=``, running statistics)."""
    arguments = func._schema.arguments
    return tuple(
        (place, argument.name)
        for place, argument in enumerate(arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


def changed_tensors(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The arguments that an operator writes to."""
    found: list[torch.Tensor] = []
    for place, name in _changed_arguments(func):
        _collect(args[place] if place < len(args) else kwargs.get(name), found)
    if func.overloadpacket.__name__ in _HIDDEN_STATISTICS and args[5]:
        _collect(args[3:5], found)
    return found


def traffic(func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> tuple[int, int]:
    """Bytes read and written by one operator; ``name`` with its trailing underscore where it works in place."""
    written = bytes_of([*tensors_in(out), *changed_tensors(func, args, kwargs)])
    inputs = tensors_in((args, [value for key, value in kwargs.items() if key != "out"]))
    if name in OVERWRITES:
        return bytes_of(inputs[1:]), written
    if name in PICKS:
        return _picked_bytes(name, inputs, tensors_in(out)) + bytes_of(inputs[1:]), written
    if name in PLACES:
        changed = _places(name, args) * inputs[0].element_size()
        accumulates = name in ACCUMULATES or bool(kwargs.get("accumulate", len(args) > 3 and args[3] is True))
        return bytes_of(inputs[1:]) + (changed if accumulates else 0), changed
    if name in ("nll_loss_forward", "nll_loss2d_forward"):
        # One score is read for each target.
        return inputs[1].numel() * inputs[0].element_size() + bytes_of(inputs[1:]), written
    return bytes_of(inputs), written


def _picked_bytes(name: str, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> int:
    table = inputs[0]
    picked = inputs[1].numel() * table.shape[1] if "embedding_bag" in name else outputs[0].numel()
    # A row that is picked twice comes from memory once at best.
    return min(picked * table.element_size(), resident_bytes(table))


def _places(name: str, args: Sequence[Any]) -> int:
    """How many elements of its first argument an in-place scatter changes."""
    target = args[0]
    if name in ("index_add_", "index_copy_", "index_reduce_"):
        return int(args[3].numel())
    if name == "index_fill_":
        return int(args[2].numel() * target.numel() // max(1, target.shape[args[1]]))
    if "index_put" not in name:
        return int(args[2].numel())
    indices = [index for index in args[1] if index is not None]
    masks = [index for index in indices if index.dtype in (torch.bool, torch.uint8)]
    indexed = sum(index.dim() if index.dtype in (torch.bool, torch.uint8) else 1 for index in indices)
    if masks:
        # How many are chosen depends on the mask's values: at most all of them.
        chosen = math.prod(size for mask in masks for size in mask.shape)
    else:
        shapes = [index.shape for index in indices]
        chosen = math.prod(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]
    free = [size for place, size in enumerate(target.shape) if place >= len(args[1]) or args[1][place] is None]
    return int(chosen * math.prod(free if indexed == len(indices) else target.shape[indexed:]))
