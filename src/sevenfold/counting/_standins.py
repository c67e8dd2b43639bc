"""Stand-ins: tensors and modules of the same shapes, dtypes and strides that hold no numbers.

The module given is never touched: its structure is copied with every tensor in it replaced, so a model of any size
costs no memory, and gradients or running statistics land on the copy.

Three places for stand-ins: "meta", torch's meta device; "fake", torch's fake tensors that pass for CPU tensors
(slower; they know autocast, and mix with real constants); "cpu", copies with values that are really computed with.
"""

from __future__ import annotations

import contextlib
import copy
import logging
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
    if place == "cpu":
        with torch.random.fork_rng(devices=[]):  # dropout draws real numbers, and must not be seen to
            yield
        return
    if place == "meta":
        yield
        return
    from torch._subclasses.fake_tensor import FakeTensorMode

    logger = logging.getLogger("torch._subclasses.fake_tensor")  # prints what it raises as well
    quiet, logger.disabled = logger.disabled, True
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        logger.disabled = quiet


def stand_in(tensor: torch.Tensor, place: Place, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A tensor of the same form; at "cpu" it also has the values, or zeros where there are none.

    ``dtype`` is what floating-point tensors become.
    """
    if tensor.layout is not torch.strided:
        raise UsageError("only dense tensors can be counted", got=str(tensor.layout), expected="torch.strided")
    wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    with torch.no_grad():
        if place == "cpu" and tensor.device.type != "meta":
            made = tensor.detach().to("cpu", wanted, copy=True)
        elif place == "cpu":
            made = torch.zeros(tensor.shape, dtype=wanted)
        else:
            device = "meta" if place == "meta" else "cpu"
            made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=wanted, device=device)
    if isinstance(tensor, nn.Parameter):
        made = nn.Parameter(made, requires_grad=tensor.requires_grad)
        made.__dict__.update(tensor.__dict__)
        return made
    return made.requires_grad_(tensor.requires_grad)


def stand_in_inputs(tree: Any, place: Place, dtype: torch.dtype | None = None) -> Any:
    """The same nested arguments with every tensor replaced; one that is given twice stays one tensor."""
    replaced: dict[int, torch.Tensor] = {}

    def replace(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if id(leaf) not in replaced:
            replaced[id(leaf)] = stand_in(leaf, place, dtype)
        return replaced[id(leaf)]

    return tree_map(replace, tree)


def stand_in_module(module: nn.Module, place: Place, dtype: torch.dtype | None = None) -> nn.Module:
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
            replaced[id(tensor)] = stand_in(tensor, place, dtype)
    try:
        return copy.deepcopy(module, dict(replaced))
    except Exception:
        # Locks, files, generators: what cannot be copied is shared with the original.
        replaced.update(_uncopyable(module, replaced))
        return copy.deepcopy(module, replaced)


def _uncopyable(module: nn.Module, replaced: dict[int, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for part in module.modules():
        for name, value in vars(part).items():
            if name == "_modules":
                continue
            try:
                copy.deepcopy(value, dict(replaced))
            except Exception:
                found[id(value)] = value
    return found


def follow_modules(module: nn.Module, enter: Callable[[str], None], leave: Callable[[], None]) -> None:
    """Hooks that tell which submodule is being called, by its path; ``leave`` is called after failures too."""
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue
        path = ".".join(part for part in name.split(".") if part != "_orig_mod")  # what torch.compile wraps

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
