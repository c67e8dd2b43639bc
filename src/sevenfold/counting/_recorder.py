"""Sees every operator that a module executes and writes it down.

A dispatch mode below autograd: what arrives here is what a device would execute, backward pass included. It knows
the module path of forward operators from hooks, and of backward operators from the sequence number that autograd
gives to each node when the forward operator creates it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sevenfold.counting._arithmetic import GELU_TANH, GELU_TANH_BACKWARD, KINDS, NOT_WORK
from sevenfold.counting._attention import AttentionCounter
from sevenfold.counting._products import CONVOLUTIONS, MATMULS, conv_macs, matmul_macs
from sevenfold.counting._traffic import bytes_of, storage_key, tensors_in, traffic
from sevenfold.ops.graph import Kind, Operator, Phase

_aten = torch.ops.aten


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects operators while it is entered; ``phase`` says what they belong to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: list[Operator] = []
        self.phase: Phase = "forward"
        self.paths: list[str] = [""]  # of the modules that are being called, innermost last
        self.last_path = ""
        self._path_of_node: dict[int, str] = {}
        self._unclaimed: dict[int, int] = {}  # storage -> parameters behind it that no operator has read yet
        self._paused = False

    def own_parameters(self, parameters: Iterator[torch.nn.Parameter]) -> None:
        """The parameters whose first reader is to be credited with them."""
        for parameter in parameters:
            self._unclaimed[storage_key(parameter)] = parameter.numel()

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

    def path(self) -> str:
        """The module path of the operator that executes now."""
        node = torch._C._current_autograd_node()
        if len(self.paths) > 1 or node is None:  # in a forward pass, a recomputed one too
            return self.paths[-1]
        return self._path_of_node.get(node._sequence_nr(), "")

    def note_node(self) -> None:
        """Autograd has just made the node of this operator: remember whose it is."""
        self._path_of_node.setdefault(torch._C._autograd._get_sequence_nr() - 1, self.paths[-1])

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        self.last_path = self.path()
        if len(self.paths) > 1 or self.phase == "forward":
            self.note_node()
        base = _base(name)
        if base not in KINDS and base not in MATMULS and base not in CONVOLUTIONS and base not in NOT_WORK:
            # Composite operators reach a dispatch mode whole in inference mode only: take them apart.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        before = {storage_key(tensor) for tensor in tensors_in((args, kwargs))}
        out = func(*args, **kwargs)
        if base in NOT_WORK or _is_view(func, before, out):
            return out
        self._record(func, name, base, args, kwargs, out)
        return out

    def _record(
        self, func: Any, name: str, base: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        kind, bounds, macs, vector_ops = _work(func, base, args, kwargs, out)
        read, written = traffic(name, args, kwargs, out)
        if kind == "copy" and read == 0 and written == 0:
            return
        self.add(
            Operator(
                kind="optimizer" if self.phase == "optimizer" and kind != "unknown" else kind,
                name=f"{func.namespace}.{name}",
                path=self.last_path,
                phase=self.phase,
                dtype=_dtype(args, kwargs, out),
                bounds=bounds,
                macs=macs,
                bytes_read=read,
                bytes_written=written,
                vector_ops=vector_ops,
                params=self.claim(tensors_in((args, kwargs)), out if kind == "copy" else None),
            )
        )

    def add(self, operator: Operator) -> None:
        """List an operator."""
        self.operators.append(operator)

    def claim(self, inputs: list[torch.Tensor], copied_to: Any = None) -> int:
        """Parameters that this operator is the first to read; a copy (a cast) hands them on to its reader."""
        keys = {storage_key(tensor) for tensor in inputs} & self._unclaimed.keys()
        total = sum(self._unclaimed.pop(key) for key in keys)
        if isinstance(copied_to, torch.Tensor) and total:
            self._unclaimed[storage_key(copied_to)] = total
            return 0
        return total


def _base(name: str) -> str:
    return name if name.endswith("__") else name.removesuffix("_")


def _is_view(func: Any, before: set[int], out: Any) -> bool:
    if func._schema.is_mutable:
        return False
    outputs = tensors_in(out)
    return bool(outputs) and all(storage_key(tensor) in before for tensor in outputs)


def _dtype(args: Any, kwargs: Any, out: Any) -> str:
    tensors = [*tensors_in(args), *tensors_in(kwargs), *tensors_in(out)]
    chosen = next((t for t in tensors if t.is_floating_point() or t.is_complex()), tensors[0] if tensors else None)
    return str(chosen.dtype).removeprefix("torch.") if chosen is not None else "none"


def _work(
    func: Any, base: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
) -> tuple[Kind, dict[str, int], int, int]:
    """Kind, loop bounds, MACs and other arithmetic of one operator."""
    if base in MATMULS:
        bounds = MATMULS[base](args, out)
        # addmm, baddbmm and the like add a matrix (a bias) to every element of the product.
        added = bounds["B"] * bounds["M"] * bounds["N"] if base.startswith(("add", "badd", "_addmm")) else 0
        return "matmul", bounds, matmul_macs(bounds), added
    if base in CONVOLUTIONS:
        bounds = CONVOLUTIONS[base](args, out)
        return "conv", bounds, conv_macs(bounds), _bias_additions(base, args, out)
    if base in AttentionCounter.ATEN:
        return AttentionCounter.aten_work(base, args, kwargs)
    sizes = [t.numel() for t in (*tensors_in((args, kwargs)), *tensors_in(out))]
    elements = max((t.numel() for t in tensors_in(out)), default=0)
    larger = max(sizes, default=0)
    if base in KINDS:
        kind, per_element = KINDS[base]
        return kind, {"elements": elements}, 0, _vector_ops(base, per_element, larger, args, kwargs, out)
    if torch.Tag.pointwise in func.tags or torch.Tag.pointwise in _functional_tags(func, base):
        return "elementwise", {"elements": elements}, 0, elements
    return "unknown", {"elements": elements}, 0, 0


def _functional_tags(func: Any, base: str) -> list[Any]:
    namespace = getattr(torch.ops, func.namespace)
    packet = getattr(namespace, base, None) if base != func.overloadpacket.__name__ else None
    return [] if packet is None else [tag for name in packet.overloads() for tag in getattr(packet, name).tags]


def _bias_additions(base: str, args: tuple[Any, ...], out: Any) -> int:
    if base == "convolution_backward":
        return int(args[0].numel()) if args[10][2] else 0
    return int(out.numel()) if args[2] is not None else 0


def _vector_ops(
    base: str, per_element: int, larger: int, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
) -> int:
    if base == "gelu" and kwargs.get("approximate") == "tanh":
        return GELU_TANH * larger
    if base == "gelu_backward" and kwargs.get("approximate") == "tanh":
        return GELU_TANH_BACKWARD * larger
    if base in ("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"):
        kernel = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
        spatial = {"1": 1, "2": 2, "3": 3}[base.removesuffix("_with_indices")[-2]]
        window = math.prod(kernel) if len(kernel) == spatial else kernel[0] ** spatial
        return int(tensors_in(out)[0].numel()) * window
    if base in ("sort", "topk", "kthvalue", "searchsorted", "bucketize", "unique_consecutive", "_unique2", "isin"):
        return larger * max(1, math.ceil(math.log2(max(2, larger))))
    return per_element * larger


__all__ = ["Recorder", "bytes_of"]
