"""The tracer: runs a stand-in of a module forward, backward and through an optimizer, and lists what executes.

Nothing is computed and no weight is allocated: the stand-in lives on torch's meta device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from sevenfold.counting._attention import AttentionCounter
from sevenfold.counting._recorder import Recorder
from sevenfold.counting._standins import stand_in_inputs, stand_in_module
from sevenfold.counting._traffic import storage_key, tensors_in
from sevenfold.errors import SevenfoldError, UsageError
from sevenfold.ops.graph import OperatorGraph

Device = Literal["meta", "cpu"]


def trace(
    module: nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    backward: bool = True,
    causal: bool = False,
    loss: Callable[[Any], torch.Tensor] | None = None,
    optimizer: str | None = None,
    autocast: str | None = None,
    name: str = "",
    device: Device = "meta",
) -> OperatorGraph:
    """The operator graph of a module on example inputs.

    >>> import torch
    >>> graph = trace(torch.nn.Linear(8, 4), (torch.empty(2, 8),))
    >>> graph.macs, graph.flops_backward, graph.params
    (64, 128, 36)
    """
    graph, _ = _trace(
        module,
        inputs,
        dict(kwargs or {}),
        backward=backward,
        causal=causal,
        loss=loss,
        optimizer=optimizer,
        autocast=autocast,
        name=name or type(module).__name__,
        device=device,
    )
    return graph


def _trace(
    module: nn.Module,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    backward: bool,
    causal: bool,
    loss: Callable[[Any], torch.Tensor] | None,
    optimizer: str | None,
    autocast: str | None,
    name: str,
    device: Device,
) -> tuple[OperatorGraph, nn.Module]:
    model = stand_in_module(module, device)
    inputs, kwargs = stand_in_inputs((tuple(inputs), kwargs), device)
    recorder = Recorder()
    attention = AttentionCounter(recorder, causal=causal, computes=device == "cpu")
    recorder.own_parameters(model.parameters())
    _follow_modules(model, recorder)
    kept = _Kept(exclude=[*model.parameters(), *model.buffers(), *tensors_in((inputs, kwargs))])
    with contextlib.ExitStack() as stack:
        stack.enter_context(recorder)
        stack.enter_context(attention)
        try:
            with torch.set_grad_enabled(backward), kept.watch():
                outputs = model(*inputs, **kwargs)
                if loss is not None:
                    outputs = loss(outputs)
            if backward:
                _run_backward(recorder, outputs)
            if optimizer is not None:
                _run_optimizer(recorder, model, optimizer)
        except SevenfoldError:
            raise
        except Exception as error:
            raise _failure(error, name, recorder) from error
    graph = OperatorGraph(
        operators=tuple(recorder.operators),
        params=sum(parameter.numel() for parameter in model.parameters()),
        param_bytes=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()),
        activation_bytes=kept.total_bytes() if backward else 0,
        name=name,
        inputs=tuple(_described(tensor) for tensor in tensors_in((inputs, kwargs))),
        notes=tuple(_notes(recorder, attention, causal)),
    )
    return graph, model


class _Kept:
    """What autograd keeps from the forward for the backward pass, each storage once."""

    def __init__(self, exclude: list[torch.Tensor]) -> None:
        self._excluded = {storage_key(tensor) for tensor in exclude}
        self._bytes: dict[int, int] = {}
        self._alive: list[torch.Tensor] = []  # so that no storage's address is used a second time

    def watch(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        key = storage_key(tensor)
        if key not in self._excluded and key not in self._bytes:
            self._bytes[key] = tensor.untyped_storage().nbytes()
            self._alive.append(tensor.detach())
        return tensor

    def total_bytes(self) -> int:
        return sum(self._bytes.values())


def _follow_modules(model: nn.Module, recorder: Recorder) -> None:
    """Hooks on the stand-in that tell the recorder which module is being called."""
    for name, part in model.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue

        def enter(_module: nn.Module, _args: Any, name: str = name) -> None:
            recorder.paths.append(name)

        def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
            recorder.paths.pop()

        part.register_forward_pre_hook(enter, prepend=True)
        part.register_forward_hook(leave, always_call=True)


def _run_backward(recorder: Recorder, outputs: Any) -> None:
    wanted = [t for t in tensors_in(outputs) if t.requires_grad]
    if not wanted:
        return
    with recorder.paused():
        seeds = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in wanted]
        if any(tensor.device.type != "meta" for tensor in wanted):
            seeds = [torch.ones_like(seed) for seed in seeds]
    with recorder.inside("backward"):
        torch.autograd.backward(wanted, seeds)


def _run_optimizer(recorder: Recorder, model: nn.Module, name: str) -> None:
    makers: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
        "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        "sgd": lambda parameters: torch.optim.SGD(parameters, lr=1e-3, momentum=0.9),
    }
    if name not in makers:
        raise UsageError("unknown optimizer", got=repr(name), expected="adamw or sgd")
    paths = {id(p): path.rpartition(".")[0] for path, p in model.named_parameters()}
    with recorder.inside("optimizer"):
        for parameter in model.parameters():
            if not parameter.requires_grad:
                continue
            with recorder.paused():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                step = makers[name]([parameter])
                step.step()  # makes the state; the recorded step is one in the middle of a training
            recorder.paths = [paths[id(parameter)]]
            step.step()
    recorder.paths = [""]


def _failure(error: Exception, name: str, recorder: Recorder) -> SevenfoldError:
    where = f" in {recorder.last_path}" if recorder.last_path else ""
    text = " ".join(str(error).split())[:300]
    return UsageError(f"{name} failed on this input", got=f"{type(error).__name__}: {text}{where}")


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _notes(recorder: Recorder, attention: AttentionCounter, causal: bool) -> list[str]:
    notes = []
    unknown = sorted({operator.name for operator in recorder.operators if operator.kind == "unknown"})
    if unknown:
        notes.append(f"unknown operators, their arithmetic is not counted: {', '.join(unknown)}")
    return notes


__all__ = ["Device", "trace"]
