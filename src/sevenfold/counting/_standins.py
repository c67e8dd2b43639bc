"""Stand-ins: tensors and modules of the same shapes, dtypes and strides that hold no numbers.

The module given is never touched: its structure is copied with every tensor in it replaced, so a model of any size
costs no memory, and gradients or running statistics land on the copy.

Three places for stand-ins: "meta", torch's meta device; "fake", torch's fake tensors that pass for CPU tensors
(slower; they know autocast, and mix with real constants); "cpu", copies with values that are really computed with.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._pytree import tree_map

from sevenfold.errors import UsageError

Place = Literal["meta", "fake", "cpu"]


@contextlib.contextmanager
def place_context(place: Place) -> Iterator[None]:
    """What has to be entered to make and use the stand-ins of a place."""
    if place != "fake":
        yield
        return
    from torch._subclasses.fake_tensor import FakeTensorMode

    # oneDNN's fused recurrent kernels would hide what they compute. (torch.backends.mkldnn.flags warns.)
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def stand_in(tensor: torch.Tensor, place: Place) -> torch.Tensor:
    """A tensor of the same form; at "cpu" it also has the values, or zeros where there are none."""
    if tensor.layout is not torch.strided:
        raise UsageError("only dense tensors can be counted", got=str(tensor.layout), expected="torch.strided")
    with torch.no_grad():
        if place == "cpu" and tensor.device.type != "meta":
            made = tensor.detach().to("cpu", copy=True)
        elif place == "cpu":
            made = torch.zeros(tensor.shape, dtype=tensor.dtype)
        else:
            device = "meta" if place == "meta" else "cpu"
            made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)
    if isinstance(tensor, nn.Parameter):
        made = nn.Parameter(made, requires_grad=tensor.requires_grad)
        made.__dict__.update(tensor.__dict__)
        return made
    return made.requires_grad_(tensor.requires_grad)


def stand_in_inputs(tree: Any, place: Place) -> Any:
    """The same nested arguments with every tensor replaced."""
    return tree_map(lambda leaf: stand_in(leaf, place) if isinstance(leaf, torch.Tensor) else leaf, tree)


def stand_in_module(module: nn.Module, place: Place) -> nn.Module:
    """A copy of the module's structure with every parameter, buffer and other tensor replaced."""
    replaced: dict[int, Any] = {}
    for tensor in _tensors_of(module):
        if isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
            raise UsageError(
                "a lazy module has no shapes yet",
                got=type(module).__name__,
                expected="a module whose parameters exist",
                hint="running it once on a real input before counting it",
            )
        if id(tensor) not in replaced:
            replaced[id(tensor)] = stand_in(tensor, place)
    try:
        return copy.deepcopy(module, replaced)
    except Exception as error:
        raise UsageError(
            "the module's structure cannot be copied",
            got=f"{type(error).__name__}: {error}",
            expected="a module that copy.deepcopy can copy",
        ) from error


def follow_modules(module: nn.Module, enter: Callable[[str], None], leave: Callable[[], None]) -> None:
    """Hooks that tell which submodule is being called, by its path; ``leave`` is called after failures too."""
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue
        path = name.replace("_orig_mod.", "").removesuffix("_orig_mod")  # what torch.compile wraps

        def before(_module: nn.Module, _inputs: Any, path: str = path) -> None:
            enter(path)

        def after(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            leave()

        part.register_forward_pre_hook(before, prepend=True)
        part.register_forward_hook(after, always_call=True)


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
