"""Predictions on a machine whose curves are known in closed form."""

from __future__ import annotations

import math

import pytest

from sevenfold.errors import UsageError
from sevenfold.hardware import CHIPS, Chip, MemoryLevel
from sevenfold.hardware.calibration import Calibration, Curve, OptimizerCost, Overheads, Sample, ThreadCalibration
from sevenfold.hardware.energy import bound_step_energy, busy_energy, machine_energy, modelled_step_energy
from sevenfold.hardware.figure import measured
from sevenfold.hardware.prediction import parameter_tensors, predict_step, with_threads
from sevenfold.ops.graph import Operator, OperatorGraph

FLOPS, BYTES, CALL = 1e11, 1e10, 2e-6


def curve(family: str, axes: list[str], points: list[tuple[list[float], float]]) -> Curve:
    samples = [Sample(sizes=sizes, seconds=seconds) for sizes, seconds in points]
    return Curve(family=family, dtype="float32", axes=axes, samples=samples)


def matmul_seconds(m: float, n: float, k: float) -> float:
    return 1e-6 + 2 * m * n * k / FLOPS


def a_variant(threads: int = 1) -> ThreadCalibration:
    products = [
        ([1.0, m, n, k], matmul_seconds(m, n, k)) for m in (8, 64, 512) for n in (8, 64, 512) for k in (8, 512)
    ]
    axes = ["batch", "rows", "columns", "inner"]
    lines = [([size], 1e-6 + size / BYTES) for size in (1e2, 1e4, 1e6, 1e8)]
    return ThreadCalibration(
        threads=threads,
        clock="cpu",
        matmul_flops_per_s={"float32": FLOPS * threads, "bfloat16": FLOPS * threads / 4},
        bandwidth_bytes_per_s={"read memory": BYTES, "copy memory": BYTES, "triad memory": BYTES},
        curves=[
            curve("matmul", axes, products),
            curve("pointwise", ["bytes"], lines),
            curve("tanh", ["bytes"], [(sizes, 3 * seconds) for sizes, seconds in lines]),
        ],
        overheads=Overheads(
            forward_op_s=CALL,
            backward_op_s=2 * CALL,
            forward_parameter_s=1e-6,
            backward_parameter_s=3e-6,
            step_s=50e-6,
            fresh_page_s_per_byte=1e-10,
        ),
        optimizers={
            "adamw": OptimizerCost(fixed_s=1e-4, tensor_s=1e-5, elements=[1e3, 1e6], s_per_element=[1e-9, 2e-9])
        },
    )


def a_machine(*threads: int) -> Chip:
    variants = [a_variant(count) for count in threads or (1,)]
    peaks = variants[-1].matmul_flops_per_s
    calibration = Calibration(
        created="2026-01-01T00:00:00+00:00",
        cpu="test",
        cores=2,
        lanes=16,
        torch_version="2",
        quick=True,
        seconds=1.0,
        busy_share=0.0,
        variants=variants,
    )
    return Chip(
        name="this-machine",
        title="test",
        maker="test",
        kind="cpu",
        peak_flops_per_s={dtype: measured(value, "test") for dtype, value in peaks.items()},
        memory=[MemoryLevel(name="DRAM", bandwidth_bytes_per_s=measured(BYTES, "test"))],
        energy=machine_energy(2, peaks, BYTES),
        calibration=calibration,
    )


def operator(kind: str, name: str, phase: str, *, count: int = 1, **bounds: int) -> Operator:
    elements = bounds.get("elements", 0)
    macs = bounds["M"] * bounds["N"] * bounds["K"] if kind == "matmul" else 0
    return Operator(
        kind=kind,  # type: ignore[arg-type]
        name=name,
        path="layer",
        phase=phase,  # type: ignore[arg-type]
        dtype="float32",
        bounds=bounds,
        macs=macs,
        bytes_read=8 * elements,
        bytes_written=4 * elements,
        count=count,
    )


def a_graph(activation_bytes: int = 0) -> OperatorGraph:
    return OperatorGraph(
        operators=(
            operator("matmul", "aten.mm", "forward", B=1, M=64, N=64, K=512),
            operator("elementwise", "aten.tanh", "forward", elements=1000),
            operator("matmul", "aten.mm", "backward", B=1, M=64, N=64, K=512, count=2),
            operator("elementwise", "aten.mul_", "optimizer", elements=512, count=3),
            operator("elementwise", "aten.lerp_", "optimizer", elements=512),
            operator("elementwise", "aten.lerp_", "optimizer", elements=512),
        ),
        params=1000,
        param_bytes=4000,
        activation_bytes=activation_bytes,
    )


def test_a_step_is_the_sum_of_its_parts() -> None:
    cost = predict_step(a_graph(), a_machine(), threads=1)
    product = matmul_seconds(64, 64, 512)
    expected = {
        "forward": product + CALL + 3 * (1e-6 + 12e3 / BYTES) + CALL + 2 * 1e-6,
        "backward": 2 * (product + 2 * CALL) + 2 * 3e-6,
        "optimizer": 1e-4 + 2 * 1e-5 + 1000 * 1e-9 + 50e-6,
    }
    for phase, seconds in expected.items():
        assert cost.seconds_by_phase[phase] == pytest.approx(seconds, rel=2e-2), phase
    assert cost.seconds == pytest.approx(sum(row.seconds for row in cost.rows))
    assert cost.method == "predicted"


def test_a_forward_pass_alone_has_no_step_overheads() -> None:
    graph = a_graph()
    forward = predict_step(graph, a_machine(), ("forward",), threads=1)
    assert set(forward.seconds_by_phase) == {"forward"}
    assert forward.seconds < predict_step(graph, a_machine(), threads=1).seconds


def test_first_touches_count_beyond_what_the_allocator_keeps() -> None:
    machine = a_machine()
    small, large = (predict_step(a_graph(size), machine, threads=1).seconds for size in (2**26, 2**26 + 10**9))
    assert large - small == pytest.approx(0.1)


def test_tensors_are_counted_by_the_rarest_operator() -> None:
    assert parameter_tensors(a_graph()) == (2, 1000)


def test_a_dtype_that_was_not_benchmarked_is_scaled_by_its_peak_and_said() -> None:
    op = operator("matmul", "aten.mm", "forward", B=1, M=512, N=512, K=512)
    half = Operator(**{**op.__dict__, "dtype": "bfloat16"})
    machine = a_machine()
    plain, scaled = (
        predict_step(OperatorGraph((one,), 0, 0, 0), machine, ("forward",), threads=1) for one in (op, half)
    )
    assert scaled.seconds - CALL == pytest.approx(4 * (plain.seconds - CALL))
    assert any("matmul in bfloat16 was not benchmarked" in note for note in scaled.notes)


def test_threads_choose_their_own_figures() -> None:
    machine = a_machine(1, 2)
    assert with_threads(machine, 1).peak("float32").value == FLOPS
    assert with_threads(machine, 0).peak("float32").value == 2 * FLOPS
    with pytest.raises(UsageError, match="not calibrated with that many threads") as caught:
        predict_step(a_graph(), machine, threads=7)
    assert caught.value.hint == "`sevenfold calibrate --threads 7`"


def test_a_chip_without_calibration_is_refused() -> None:
    with pytest.raises(UsageError, match="h100 is not calibrated"):
        predict_step(a_graph(), CHIPS["h100"])


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown optimizer"):
        predict_step(a_graph(), a_machine(), optimizer="lion")


def test_energy_of_a_step_is_watts_times_seconds_of_the_busy_cores() -> None:
    machine = a_machine(1, 2)
    one, both = (busy_energy(machine, 2.0, threads=threads) for threads in (1, 0))
    assert one.joules == pytest.approx(3.5 * 2.0)
    assert both.joules == pytest.approx(7.0 * 2.0)
    assert both.method.startswith("modelled: 7 W")
    assert modelled_step_energy(a_graph(), machine, 2.0, threads=1) == one
    assert modelled_step_energy(a_graph(), CHIPS["tpu-v5p"], 2.0).joules is None
    cost = predict_step(a_graph(), machine, threads=1)
    assert cost.joules == pytest.approx(3.5 * cost.seconds)


def test_the_energy_bound_counts_operations_and_bytes() -> None:
    machine = a_machine()
    energy = machine.energy
    assert energy is not None
    assert energy.j_per_byte is not None
    graph = a_graph()
    flops = sum(op.flops * op.count for op in graph.operators)
    num_bytes = sum((op.bytes_read + op.bytes_written) * op.count for op in graph.operators)
    bound = bound_step_energy(graph, machine)
    per_op, per_byte = energy.j_per_op["float32"].value, energy.j_per_byte.value
    assert bound.joules == pytest.approx(flops * per_op + num_bytes * per_byte)
    assert bound.method.startswith("bound, modelled: ")
    # At full use of arithmetic and memory together the figures add up to the busy watts.
    assert per_op * FLOPS + per_byte * BYTES == pytest.approx(7.0)


def test_the_bound_lies_below_the_model() -> None:
    machine, graph = a_machine(), a_graph()
    predicted = predict_step(graph, machine, threads=1)
    modelled = modelled_step_energy(graph, machine, predicted.seconds, threads=1)
    bound = bound_step_energy(graph, machine)
    assert bound.joules is not None
    assert modelled.joules is not None
    assert math.isfinite(bound.joules)
    assert bound.joules < modelled.joules
