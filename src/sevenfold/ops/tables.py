"""An operator graph summed up: by module down to a depth, and by kind of operator. Knows no torch.

>>> from sevenfold.ops.graph import Operator, OperatorGraph
>>> op = Operator(kind="matmul", name="aten.mm", path="blocks.0.up", phase="forward", dtype="float32",
...               bounds={"B": 1, "M": 2, "N": 3, "K": 4}, macs=24, bytes_read=80, bytes_written=24, params=12)
>>> graph = OperatorGraph(operators=(op,), params=12, param_bytes=48, activation_bytes=0)
>>> [(row.name, row.macs, row.macs_share) for row in by_module(graph, depth=1)]
[('blocks', 24, 1.0)]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sevenfold.ops.graph import Operator, OperatorGraph


@dataclass(frozen=True)
class Row:
    """One line of a table; figures are of the forward pass, ``flops_backward`` of the backward pass."""

    name: str
    params: int
    macs: int
    vector_ops: int
    bytes: int  # read and written
    flops_backward: int
    operators: int  # executions, forward
    macs_share: float  # of the forward pass


def by_module(graph: OperatorGraph, depth: int = 2) -> list[Row]:
    """One row for each module path cut to ``depth`` names, in the order of execution; "" is the root itself."""
    return _rows(graph, lambda op: ".".join(op.path.split(".")[:depth]))


def by_kind(graph: OperatorGraph) -> list[Row]:
    """One row for each kind of operator, most MACs first, then most bytes."""
    return sorted(_rows(graph, lambda op: op.kind), key=lambda row: (-row.macs, -row.bytes))


def _rows(graph: OperatorGraph, group: Callable[[Operator], str]) -> list[Row]:
    groups: dict[str, list[Operator]] = {}
    for op in graph.operators:
        if op.phase != "optimizer":
            groups.setdefault(group(op), []).append(op)
    return [_row(name, ops, graph.macs) for name, ops in groups.items()]


def _row(name: str, operators: list[Operator], macs_in_all: int) -> Row:
    forward = [op for op in operators if op.phase == "forward"]
    macs = sum(op.macs * op.count for op in forward)
    return Row(
        name=name,
        params=sum(op.params for op in operators),
        macs=macs,
        vector_ops=sum(op.vector_ops * op.count for op in forward),
        bytes=sum((op.bytes_read + op.bytes_written) * op.count for op in forward),
        flops_backward=sum(op.flops * op.count for op in operators if op.phase == "backward"),
        operators=sum(op.count for op in forward),
        macs_share=macs / macs_in_all if macs_in_all else 0.0,
    )
