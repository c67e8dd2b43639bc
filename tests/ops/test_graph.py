"""The operator graph as data: totals, merging, tables, and no torch."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from sevenfold.ops import Operator, OperatorGraph
from sevenfold.ops.graph import merged
from sevenfold.ops.tables import by_kind, by_module


def operator(
    path: str = "", macs: int = 0, kind: str = "matmul", phase: str = "forward", count: int = 1
) -> Operator:
    return Operator(
        kind=kind,  # type: ignore[arg-type]
        name="aten.mm",
        path=path,
        phase=phase,  # type: ignore[arg-type]
        dtype="float32",
        bounds={"B": 1, "M": 1, "N": 1, "K": macs},
        macs=macs,
        bytes_read=8,
        bytes_written=4,
        vector_ops=2,
        params=1,
        count=count,
    )


def graph(*operators: Operator) -> OperatorGraph:
    return OperatorGraph(operators=operators, params=7, param_bytes=28, activation_bytes=0)


def test_totals_are_of_the_forward_pass_and_count_executions() -> None:
    whole = graph(
        operator(macs=5, count=3), operator(macs=7, phase="backward", count=2), operator(phase="optimizer")
    )
    assert (whole.macs, whole.flops, whole.flops_backward) == (15, 30, 28)
    assert (whole.bytes_read, whole.bytes_written, whole.vector_ops) == (24, 12, 6)
    assert whole.total(lambda op: op.bytes_read, None) == 8 * 6
    assert len(whole.select("optimizer")) == 1


def test_an_operator_as_data() -> None:
    data = operator("fc", 5).to_dict()
    assert data["flops"] == 10
    assert data["bounds"] == {"B": 1, "M": 1, "N": 1, "K": 5}
    assert set(data) >= {"kind", "name", "path", "phase", "dtype", "macs", "bytes_read", "bytes_written", "count"}


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3), st.integers(1, 4)), max_size=12))
def test_merging_keeps_every_total(rows: list[tuple[str, int, int]]) -> None:
    operators = [operator(path, macs, count=count) for path, macs, count in rows]
    before, after = graph(*operators), graph(*merged(operators))
    assert (before.macs, before.bytes_read) == (after.macs, after.bytes_read)
    assert len(after.operators) == len({(path, macs) for path, macs, _ in rows})
    assert [op.path for op in after.operators[:1]] == [path for path, _, _ in rows[:1]]


def test_tables() -> None:
    whole = graph(
        operator("", 1),
        operator("blocks.0.up", 4, count=2),
        operator("blocks.1.up", 6),
        operator("blocks.1", 0, kind="copy"),
        operator("blocks.1.up", 3, phase="backward"),
        operator("blocks.1.up", 0, phase="optimizer"),
    )
    assert [(row.name, row.macs) for row in by_module(whole, 1)] == [("", 1), ("blocks", 14)]
    rows = by_module(whole, 2)
    assert [row.name for row in rows] == ["", "blocks.0", "blocks.1"]
    assert [row.macs for row in rows] == [1, 8, 6]
    assert [row.flops_backward for row in rows] == [0, 0, 6]
    assert [row.operators for row in rows] == [1, 2, 2]
    assert sum(row.macs_share for row in rows) == 1.0
    assert [row.name for row in by_module(whole, 0)] == [""]
    assert [(row.name, row.macs) for row in by_kind(whole)] == [("matmul", 15), ("copy", 0)]
    assert by_module(graph(), 2) == []


def test_no_torch() -> None:
    code = "import sys, sevenfold.ops, sevenfold.ops.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
