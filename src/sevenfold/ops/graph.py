"""Operators and the graph they form, with totals.

Every operator of a traced step is listed once per execution pattern: equal operators of one module path and phase
may be merged with ``count`` > 1. MACs are counted for matrix products, convolutions and attention, and ``flops`` is
2 * MACs, always; what the other operators compute (additions, exponentials, comparisons) is ``vector_ops``.

>>> op = Operator(kind="matmul", name="aten.mm", path="fc", phase="forward", dtype="float32",
...               bounds={"B": 1, "M": 2, "N": 3, "K": 4}, macs=24, bytes_read=80, bytes_written=24)
>>> OperatorGraph(operators=(op,), params=12, param_bytes=48, activation_bytes=32).macs
24
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Kind = Literal[
    "matmul", "conv", "attention", "embedding", "normalization", "softmax", "elementwise", "reduction", "pooling",
    "copy", "optimizer", "loss", "random", "unknown",
]  # fmt: skip
Phase = Literal["forward", "backward", "optimizer"]


@dataclass(frozen=True)
class Operator:
    """One operator as it executes.

    ``bounds`` are loop bounds, and their product is the MACs:

    matmul     B * M * N * K
    conv       N * K * (C // groups) * P * Q * R * S * products (* Z * T in three dimensions); C and K in all, not
               per group; P, Q output positions (``transposed``: input positions); ``products`` gradients that a
               backward operator computes; stride_h, stride_w, dilation_h, dilation_w describe and do not multiply
    attention  B * H * pairs * (products_D * D + products_DV * DV): T queries, S keys, D per head, DV values per
               head; ``pairs`` is T * S, with ``causal`` 1 only those on and below the diagonal
    the rest   ``elements`` of the largest output, and no MACs
    """

    kind: Kind
    name: str  # the operator as torch calls it, "aten.mm"
    path: str  # module path, "blocks.0.attention.qkv"; "" for the root
    phase: Phase
    dtype: str  # of the arithmetic: "float32", "bfloat16"
    bounds: Mapping[str, int]
    macs: int  # per execution
    bytes_read: int
    bytes_written: int
    vector_ops: int = 0  # arithmetic that is no multiply-accumulate, per execution
    params: int = 0  # parameters owned by the module that this operator reads, counted where first used
    count: int = 1

    @property
    def flops(self) -> int:
        """2 * MACs."""
        return 2 * self.macs

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-like data."""
        return {**asdict(self), "flops": self.flops}


@dataclass(frozen=True)
class OperatorGraph:
    """What a model executes on a given input.

    Totals (``macs``, ``flops``, ``bytes_read``, ``bytes_written``) are of the forward pass; ``flops_backward`` of
    the backward pass. ``activation_bytes`` is what the forward pass keeps for the backward pass, parameters and
    inputs left out, each storage once.
    """

    operators: tuple[Operator, ...]
    params: int
    param_bytes: int
    activation_bytes: int
    name: str = ""
    inputs: tuple[str, ...] = ()  # "float32[1, 3, 224, 224]"
    notes: tuple[str, ...] = field(default=())  # what a reader must know: unknown operators, assumptions

    def select(self, phase: Phase | None = None, kind: Kind | None = None) -> tuple[Operator, ...]:
        """The operators of one phase or kind."""
        return tuple(op for op in self.operators if phase in (None, op.phase) and kind in (None, op.kind))

    def total(self, figure: Callable[[Operator], int], phase: Phase | None = "forward") -> int:
        """A figure summed over executions."""
        return sum(figure(op) * op.count for op in self.select(phase))

    @property
    def macs(self) -> int:
        return self.total(lambda op: op.macs)

    @property
    def flops(self) -> int:
        return self.total(lambda op: op.flops)

    @property
    def flops_backward(self) -> int:
        return self.total(lambda op: op.flops, "backward")

    @property
    def bytes_read(self) -> int:
        return self.total(lambda op: op.bytes_read)

    @property
    def bytes_written(self) -> int:
        return self.total(lambda op: op.bytes_written)

    @property
    def vector_ops(self) -> int:
        """Arithmetic of the forward pass that is no multiply-accumulate."""
        return self.total(lambda op: op.vector_ops)

    @property
    def unknown(self) -> tuple[Operator, ...]:
        """Operators that the tracer does not know; their bytes are counted, their arithmetic is not."""
        return self.select(None, "unknown")


def merged(operators: Iterable[Operator]) -> tuple[Operator, ...]:
    """Operators that are equal in everything (module path and phase too) as one with a higher ``count``.

    The order is that of first execution.

    >>> op = Operator(kind="copy", name="aten.clone", path="cell", phase="forward", dtype="float32",
    ...               bounds={"elements": 4}, macs=0, bytes_read=16, bytes_written=16)
    >>> [same.count for same in merged([op, op, op])]
    [3]
    """
    first: dict[Any, tuple[Operator, int]] = {}
    for op in operators:
        size = (op.macs, op.bytes_read, op.bytes_written, op.vector_ops, op.params)
        key = (op.kind, op.name, op.path, op.phase, op.dtype, tuple(op.bounds.items()), size)
        known, count = first.get(key, (op, 0))
        first[key] = (known, count + op.count)
    return tuple(op if count == op.count else replace(op, count=count) for op, count in first.values())
