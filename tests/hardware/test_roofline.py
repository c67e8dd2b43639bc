"""The roofline in closed form, and its monotonicity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.errors import UsageError
from sevenfold.hardware import CHIPS, Chip, Energy, MemoryLevel
from sevenfold.hardware.figure import stated
from sevenfold.hardware.roofline import roofline
from sevenfold.ops.graph import Operator, OperatorGraph


def a_chip(peak: float = 1e12, bandwidth: float = 1e10, vector: float | None = None) -> Chip:
    return Chip(
        name="toy",
        title="toy",
        maker="test",
        kind="accelerator",
        peak_flops_per_s={"float32": stated(peak, "test"), "bfloat16": stated(2 * peak, "test")},
        vector_ops_per_s=None if vector is None else stated(vector, "test"),
        memory=[MemoryLevel(name="DRAM", bandwidth_bytes_per_s=stated(bandwidth, "test"))],
        energy=Energy(
            j_per_op={"float32": stated(2e-12, "test")}, j_per_byte=stated(50e-12, "test"), method="modelled: test"
        ),
    )


def matmul(n: int, *, count: int = 1, phase: str = "forward", dtype: str = "float32") -> Operator:
    size = {"float32": 4, "bfloat16": 2}[dtype]
    return Operator(
        kind="matmul",
        name="aten.mm",
        path="fc",
        phase=phase,  # type: ignore[arg-type]
        dtype=dtype,
        bounds={"B": 1, "M": n, "N": n, "K": n},
        macs=n**3,
        bytes_read=2 * size * n * n,
        bytes_written=size * n * n,
        count=count,
    )


def addition(n: int) -> Operator:
    return Operator(
        kind="elementwise",
        name="aten.add",
        path="",
        phase="forward",
        dtype="float32",
        bounds={"elements": n},
        macs=0,
        bytes_read=8 * n,
        bytes_written=4 * n,
        vector_ops=n,
    )


def graph(*ops: Operator) -> OperatorGraph:
    return OperatorGraph(ops, params=0, param_bytes=0, activation_bytes=0)


def test_large_product_is_compute_bound_with_the_exact_time() -> None:
    cost = roofline(graph(matmul(4096)), a_chip())
    assert cost.seconds == 2 * 4096**3 / 1e12
    assert cost.bound_by == "compute"
    assert cost.utilization == 1.0


def test_small_product_is_memory_bound_with_the_exact_time() -> None:
    cost = roofline(graph(matmul(64)), a_chip())
    assert cost.seconds == 12 * 64**2 / 1e10
    assert cost.bound_by == "memory"
    assert cost.utilization == pytest.approx((2 * 64**3 / 1e12) / (12 * 64**2 / 1e10))


def test_the_knee_separates_the_two() -> None:
    chip = a_chip()
    assert chip.knee("float32") == 100.0  # FLOP per byte; an n-product has n/6
    below, above = matmul(599), matmul(601)
    assert roofline(graph(below), chip).bound_by == "memory"
    assert roofline(graph(above), chip).bound_by == "compute"


def test_energy_is_operations_and_bytes() -> None:
    op = matmul(32, count=3)
    cost = roofline(graph(op), a_chip())
    assert cost.joules == pytest.approx(3 * (2 * 32**3 * 2e-12 + 12 * 32**2 * 50e-12), rel=1e-12)
    assert cost.joules_method == "modelled: test"


def test_energy_is_unknown_where_a_figure_is() -> None:
    cost = roofline(graph(matmul(32, dtype="bfloat16")), a_chip())
    assert cost.joules is None


def test_vector_operations_count_where_the_vector_peak_is_known() -> None:
    slow = roofline(graph(addition(10**6)), a_chip(vector=1e8))
    assert slow.seconds == pytest.approx(1e-2)
    assert slow.bound_by == "compute"
    unknown = roofline(graph(addition(10**6)), a_chip())
    assert unknown.seconds == pytest.approx(12e6 / 1e10)
    assert any("no vector peak" in note for note in unknown.notes)


def test_dtype_scales_peak_and_traffic() -> None:
    chip = a_chip()
    assert roofline(graph(matmul(4096)), chip, dtype="bf16").seconds == 2 * 4096**3 / 2e12
    assert roofline(graph(matmul(64)), chip, dtype="bf16").seconds == 6 * 64**2 / 1e10


def test_only_the_wanted_phases_are_priced() -> None:
    both = graph(matmul(64), matmul(64, phase="backward", count=2))
    forward, step = (
        roofline(both, a_chip()),
        roofline(both, a_chip(), phases=("forward", "backward")),
    )
    assert step.seconds == pytest.approx(3 * forward.seconds)
    assert set(step.seconds_by_phase) == {"forward", "backward"}


def test_a_dtype_without_a_peak_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="no float32 peak is known for tpu-v4") as caught:
        roofline(graph(matmul(64)), CHIPS["tpu-v4"])
    assert caught.value.hint == "--dtype bfloat16"


sizes = st.integers(min_value=1, max_value=3000)


@given(st.lists(sizes, min_size=1, max_size=6), st.floats(1e9, 1e15), st.floats(1e8, 1e13), st.floats(1.0, 10.0))
def test_time_never_rises_with_peak_or_bandwidth(ns: list[int], peak: float, bandwidth: float, more: float) -> None:
    ops = graph(*(matmul(n) for n in ns), addition(ns[0]))
    here = roofline(ops, a_chip(peak, bandwidth)).seconds
    assert roofline(ops, a_chip(peak * more, bandwidth)).seconds <= here
    assert roofline(ops, a_chip(peak, bandwidth * more)).seconds <= here


@given(st.lists(st.tuples(sizes, st.integers(1, 5)), min_size=1, max_size=6))
def test_totals_are_sums_of_rows(items: list[tuple[int, int]]) -> None:
    cost = roofline(graph(*(matmul(n, count=c) for n, c in items)), a_chip())
    assert cost.seconds == pytest.approx(sum(row.seconds for row in cost.rows))
    assert cost.joules == pytest.approx(sum(row.joules or 0.0 for row in cost.rows))
    assert cost.seconds == pytest.approx(sum(cost.seconds_by_bound.values()))
    assert cost.flops == sum(2 * n**3 * c for n, c in items)
    assert 0 < cost.utilization <= 1 + 1e-12


def test_the_demonstration_prints_every_chip(capsys: pytest.CaptureFixture[str]) -> None:
    from sevenfold.hardware import roofline as module

    module._demonstrate()
    printed = capsys.readouterr().out
    assert "h100" in printed
    assert "compute" in printed
