"""Watches a module at work: what every convolution and matrix product reads and writes, by module path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sevenfold.errors import UsageError

_PRODUCTS = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1, "linear": 0, "addmv": 1, "mv": 0}
_VIEWS = frozenset({
    "view", "_unsafe_view", "reshape", "_reshape_alias", "t", "transpose", "permute", "detach", "alias", "squeeze",
    "unsqueeze", "expand",
})  # fmt: skip
_RECTIFIERS = frozenset({"relu", "relu_"})
Convolution = tuple[list[int], list[int], list[int], tuple[int, ...]]  # stride, padding, dilation, kernel


@dataclass
class Seen:
    """One execution: the operands that a layer streams, its weights where they are an operand, its outputs."""

    path: str
    kind: str
    inputs: torch.Tensor
    weights: torch.Tensor
    outputs: torch.Tensor
    convolution: Convolution | None = None
    groups: int = 1


class Watcher(TorchDispatchMode):
    """Collects what executes while it is entered, below autograd."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[Seen] = []
        self.paths: list[str] = [""]
        self._fresh: Seen | None = None  # the layer whose output no other operator has touched yet

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in _VIEWS:
            return func(*args, **(kwargs or {}))
        fresh, self._fresh = self._fresh, None
        rectifies = fresh is not None and name in _RECTIFIERS and _same(fresh.outputs, args[0])
        if fresh is not None and not rectifies:
            fresh.outputs = fresh.outputs.clone()  # what executes now may write into it
        out = func(*args, **(kwargs or {}))
        if rectifies:
            assert fresh is not None
            fresh.outputs = out.clone()
        elif name in ("convolution", "conv2d") and not args[6]:
            shape = (list(args[3]), list(args[4]), list(args[5]), tuple(args[1].shape[2:]))
            self._note("conv", args[0], args[1], out, shape, int(args[8]))
        elif name in _PRODUCTS:
            place = _PRODUCTS[name]
            weights = args[place + 1]
            self._note("matmul", args[place], weights.t() if name == "linear" else weights, out)
        return out

    def _note(
        self,
        kind: str,
        inputs: torch.Tensor,
        weights: torch.Tensor,
        outputs: torch.Tensor,
        convolution: Convolution | None = None,
        groups: int = 1,
    ) -> None:
        self._fresh = Seen(self.paths[-1], kind, inputs.clone(), weights.detach(), outputs, convolution, groups)
        self.seen.append(self._fresh)


def _same(one: torch.Tensor, other: Any) -> bool:
    return isinstance(other, torch.Tensor) and one.data_ptr() == other.data_ptr() and one.numel() == other.numel()


def watched(module: nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> list[Seen]:
    """What a module does in evaluation mode on real inputs; the module is left in the mode it was in.

    Raises UsageError where inputs or weights are on ``meta``, or the module fails.
    """
    name = type(module).__name__
    tensors = [*inputs, *keywords.values(), *module.parameters(), *module.buffers()]
    if any(isinstance(tensor, torch.Tensor) and tensor.is_meta for tensor in tensors):
        raise UsageError(
            f"{name} reads values that do not exist", got="tensors on meta", expected="real inputs and weights"
        )
    watcher = Watcher()
    training = module.training
    try:
        module.eval()
        with torch.no_grad(), watching(module, watcher):
            module(*inputs, **keywords)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"{name} failed on its inputs", got=str(error)) from error
    finally:
        module.train(training)
    return watcher.seen


@contextlib.contextmanager
def watching(module: nn.Module, watcher: Watcher) -> Iterator[None]:
    """The watcher entered, and told which module is being called."""
    hooks = []
    for path, part in module.named_modules():

        def enter(*_: Any, path: str = path) -> None:
            watcher.paths.append(path)

        def leave(*_: Any) -> None:
            watcher.paths.pop()

        hooks.append(part.register_forward_pre_hook(enter))
        hooks.append(part.register_forward_hook(leave, always_call=True))
    try:
        with watcher:
            yield
    finally:
        for hook in hooks:
            hook.remove()
