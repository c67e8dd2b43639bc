"""Curves give back what was measured, and sensible seconds in between and beyond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.hardware.calibration import Curve, Sample
from sevenfold.hardware.curves import seconds_at
from sevenfold.hardware.families import AXES, BY_BYTES, conv_sizes, looked_up
from sevenfold.ops.graph import Operator


def a_line() -> Curve:
    points = [(1e2, 1e-6), (1e4, 3e-6), (1e6, 2e-4)]
    samples = [Sample(sizes=[size], seconds=seconds) for size, seconds in points]
    return Curve(family="tanh", dtype="float32", axes=["bytes"], samples=samples)


def test_a_line_passes_through_its_samples() -> None:
    for size, seconds in [(1e2, 1e-6), (1e4, 3e-6), (1e6, 2e-4)]:
        assert seconds_at(a_line(), [size]) == pytest.approx(seconds)
    assert seconds_at(a_line(), [1.0]) == 1e-6  # a call takes what the smallest one took
    assert seconds_at(a_line(), [2e6]) == pytest.approx(2e-4 + 1e6 * (2e-4 - 3e-6) / (1e6 - 1e4))


@given(st.floats(1, 1e9), st.floats(1.0, 10.0))
def test_a_rising_line_never_falls(size: float, more: float) -> None:
    assert seconds_at(a_line(), [size * more]) >= seconds_at(a_line(), [size]) * (1 - 1e-12)


def matmul_curve(seconds_of: object, noise: float = 0.0) -> Curve:
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(60):
        m, n, k = (float(round(2 ** rng.uniform(2, 10))) for _ in range(3))
        seconds = float(seconds_of(m, n, k)) * float(np.exp(noise * rng.normal()))  # type: ignore[operator]
        samples.append(Sample(sizes=[1.0, m, n, k], seconds=seconds))
    return Curve(family="matmul", dtype="float32", axes=AXES["matmul"], samples=samples)


def test_a_surface_that_follows_the_model_is_found_between_its_samples() -> None:
    def law(m: float, n: float, k: float) -> float:
        return 2e-6 + 2 * m * n * k / 1e11 + 4 * (m * k + k * n + m * n) / 1e10

    curve = matmul_curve(law)
    for m, n, k in [(100, 100, 100), (20, 700, 90), (512, 384, 1024), (4000, 300, 300)]:
        assert seconds_at(curve, [1, m, n, k]) == pytest.approx(law(m, n, k), rel=0.05)


def test_narrow_products_that_run_slower_are_learnt() -> None:
    def law(m: float, n: float, k: float) -> float:
        return 2e-6 + 2 * m * n * k / (1e11 * min(1.0, n / 64))

    curve = matmul_curve(law, noise=0.03)
    for m, n, k in [(256, 8, 256), (256, 16, 512), (256, 256, 256)]:
        assert seconds_at(curve, [1, m, n, k]) == pytest.approx(law(m, n, k), rel=0.25)


def convolution(phase: str, **more: int) -> Operator:
    bounds = {"N": 8, "K": 32, "C": 16, "P": 4, "Q": 4, "R": 3, "S": 3, "stride_h": 2, "stride_w": 2, "groups": 2}
    return Operator(
        kind="conv",
        name="aten.convolution",
        path="",
        phase=phase,  # type: ignore[arg-type]
        dtype="float32",
        bounds=bounds | more,
        macs=1,
        bytes_read=1,
        bytes_written=1,
    )


def test_convolutions_are_looked_up_by_what_they_compute() -> None:
    sizes = [2.0, 8.0, 16.0, 8.0, 16.0, 9.0, 4.0, 16.0]
    assert conv_sizes(convolution("forward").bounds, 16) == sizes
    assert looked_up(convolution("forward"), 16) == [("conv_forward", sizes)]
    assert [family for family, _ in looked_up(convolution("backward", products=2), 16)] == [
        "conv_grad_input",
        "conv_grad_weight",
    ]
    assert [family for family, _ in looked_up(convolution("backward", products=1), 16)] == ["conv_grad_weight"]
    assert looked_up(convolution("forward", transposed=1), 16)[0][0] == "conv_grad_input"


def elementwise(name: str, vector_ops: int = 0) -> Operator:
    return Operator(
        kind="elementwise",
        name=f"aten.{name}",
        path="",
        phase="forward",
        dtype="float32",
        bounds={"elements": 10},
        macs=0,
        bytes_read=40,
        bytes_written=40,
        vector_ops=vector_ops,
    )


def test_operators_without_a_row_are_simple_elementwise_ones() -> None:
    assert looked_up(elementwise("some_new_operator"), 16) == [("pointwise", [80.0])]
    assert looked_up(elementwise("sigmoid_"), 16) == [("tanh", [80.0])]
    assert looked_up(elementwise("gelu", 90), 16)[0][0] == "gelu"
    assert looked_up(elementwise("gelu", 50), 16)[0][0] == "gelu_exact"


def test_no_operator_belongs_to_two_families() -> None:
    names = [name for row in BY_BYTES.values() for name in row.split()]
    assert len(names) == len(set(names))
