"""Sees every operator that a module executes and writes it down.

A dispatch mode below autograd: what arrives here is what a device would execute, backward pass included. It knows
the module path of forward operators from hooks, and of backward operators from the sequence number that autograd
gives to each node when the forward operator creates it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sevenfold.counting._arithmetic import KINDS, NOT_WORK
from sevenfold.counting._memo import form_of_call, results_like, template_of
from sevenfold.counting._products import CONVOLUTIONS, MATMULS
from sevenfold.counting._traffic import storage_key, tensors_in, traffic
from sevenfold.counting._work import FUSED_ATTENTION, base_name, work_of
from sevenfold.ops.graph import Operator, Phase

_KNOWN = frozenset(KINDS) | frozenset(MATMULS) | frozenset(CONVOLUTIONS) | frozenset(FUSED_ATTENTION) | NOT_WORK


class Recorder(TorchDispatchMode):
    """Collects operators while it is entered; ``phase`` says what they belong to."""

    def __init__(self, *, remembers: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.remembers = remembers  # what an operator did to given shapes, on the meta device
        self.operators: list[Operator] = []
        self.phase: Phase = "forward"
        self.paths: list[str] = [""]  # of the modules that are being called, innermost last
        self.last_path = ""  # where the last operator or module call was: what an error names
        self._path_of_node: dict[int, str] = {}
        self._unclaimed: dict[int, int] = {}  # storage -> parameters behind it that no operator has read yet
        self._paused = False
        self._known: dict[Hashable, _Known] = {}

    def own_parameters(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """The parameters whose first reader is to be credited with them."""
        for parameter in parameters:
            key = storage_key(parameter)
            self._unclaimed[key] = self._unclaimed.get(key, 0) + parameter.numel()

    def unread_parameters(self) -> int:
        """Parameters that no operator has read."""
        return sum(self._unclaimed.values())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Operators in here are executed and not recorded."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    @contextlib.contextmanager
    def inside(self, phase: Phase) -> Iterator[None]:
        """Operators in here belong to ``phase``."""
        before, self.phase = self.phase, phase
        try:
            yield
        finally:
            self.phase = before

    def enter_module(self, path: str) -> None:
        """A module is being called."""
        self.paths.append(path)
        self.last_path = path

    def leave_module(self) -> None:
        """The innermost module has returned, or failed."""
        self.paths.pop()

    def locate(self) -> str:
        """The module path of the operator that executes now, noted for the node that autograd just made for it."""
        node = torch._C._current_autograd_node()
        if len(self.paths) > 1 or node is None:  # in a forward pass, a recomputed one too
            self.last_path = self.paths[-1]
            self._path_of_node.setdefault(torch._C._autograd._get_sequence_nr() - 1, self.last_path)
        else:
            self.last_path = self._path_of_node.get(node._sequence_nr(), "")
        return self.last_path

    def claim(self, inputs: Iterable[torch.Tensor], copied_to: Any = None) -> int:
        """Parameters that this operator is the first to read; a copy (a cast) hands them on to its reader."""
        keys = {storage_key(tensor) for tensor in inputs} & self._unclaimed.keys()
        total = sum(self._unclaimed.pop(key) for key in keys)
        if isinstance(copied_to, torch.Tensor) and total:
            self._unclaimed[storage_key(copied_to)] = total
            return 0
        return total

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        self.locate()
        name = func.overloadpacket.__name__
        base = base_name(name)
        if base not in _KNOWN:
            # Composite operators reach a dispatch mode whole in inference mode only: take them apart.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        if base in NOT_WORK:
            return func(*args, **kwargs)
        form = form_of_call(func, args, kwargs) if self.remembers else None
        known = self._known.get(form) if form is not None else None
        if known is not None:
            out = func(*args, **kwargs) if known.template is None else results_like(known.template)
            self._list(known.operator, args, kwargs, out)
            return out
        before = {storage_key(tensor) for tensor in tensors_in((args, kwargs))}
        out = func(*args, **kwargs)
        operator = None if _is_view(func, before, out) else _operator(func, args, kwargs, out)
        if form is not None:
            fresh = operator is not None and not func._schema.is_mutable
            fresh = fresh and all(storage_key(tensor) not in before for tensor in tensors_in(out))
            self._known[form] = _Known(operator, template_of(out) if fresh else None)
        self._list(operator, args, kwargs, out)
        return out

    def _list(self, operator: Operator | None, args: Any, kwargs: Any, out: Any) -> None:
        if operator is None:
            return
        kind, params = operator.kind, 0
        if self._unclaimed:
            params = self.claim(tensors_in((args, kwargs)), out if kind == "copy" else None)
        if self.phase == "optimizer" and kind != "unknown":
            kind = "optimizer"
        self.operators.append(replace(operator, kind=kind, path=self.last_path, phase=self.phase, params=params))


class _Known(NamedTuple):
    """What a call did the first time; without an operator it is not listed, without a template it is run again."""

    operator: Operator | None
    template: Any | None


def _operator(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Operator | None:
    """What is listed of an operator, whoever calls it; None for what neither reads nor writes."""
    name = func.overloadpacket.__name__
    work = work_of(func, args, kwargs, out)
    read, written = traffic(func, name, args, kwargs, out)
    if work.kind == "copy" and read == 0 and written == 0:
        return None
    return Operator(
        kind=work.kind,
        name=f"{func.namespace}.{name}",
        path="",
        phase="forward",
        dtype=_dtype([*tensors_in((args, kwargs)), *tensors_in(out)]),
        bounds=work.bounds,
        macs=work.macs,
        bytes_read=read,
        bytes_written=written,
        vector_ops=work.vector_ops,
    )


def _is_view(func: Any, before: set[int], out: Any) -> bool:
    if torch.Tag.inplace_view in func.tags:
        return True
    if func._schema.is_mutable:
        return False
    outputs = tensors_in(out)
    return bool(outputs) and all(storage_key(tensor) in before for tensor in outputs)


def _dtype(tensors: list[torch.Tensor]) -> str:
    arithmetic = next((t for t in tensors if t.is_floating_point() or t.is_complex()), None)
    chosen = arithmetic if arithmetic is not None else next(iter(tensors), None)
    return "none" if chosen is None else str(chosen.dtype).removeprefix("torch.")
