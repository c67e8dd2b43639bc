"""MACs of matrix products, convolutions and attention against torch's own counter on the meta device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from flop_counter_zoo import META, ZOO, meta
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sevenfold.counting import _products, trace
from sevenfold.counting._standins import stand_in_module
from sevenfold.counting._traffic import tensors_in
from sevenfold.ops.graph import Operator, OperatorGraph


def oracle(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[int, int]:
    """Forward and backward FLOPs as torch.utils.flop_counter gives them on the meta device."""
    module = stand_in_module(module, "meta")
    with FlopCounterMode(display=False) as counter:
        outputs = module(*inputs)
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        wanted = [tensor for tensor in tensors_in(outputs) if tensor.requires_grad]
        torch.autograd.backward(wanted, [torch.ones_like(tensor) for tensor in wanted])
    return forward, counter.get_total_flops()


def bounds_product(op: Operator) -> int:
    """The product of the loop bounds, written down a second time from what ops/graph.py promises."""
    b = op.bounds
    if op.kind == "matmul":
        return b["B"] * b["M"] * b["N"] * b["K"]
    if op.kind == "attention":
        return b["B"] * b["H"] * b["pairs"] * (b["D"] * b["products_D"] + b["DV"] * b["products_DV"])
    taps = b["R"] * b["S"] * b.get("T", 1)
    positions = b["N"] * b["P"] * b["Q"] * b.get("Z", 1)
    return positions * taps * b["K"] * b["C"] // b["groups"] * b["products"]


@pytest.mark.parametrize("name", ZOO)
def test_agrees_exactly(name: str) -> None:
    module, inputs = ZOO[name]()
    graph = trace(module, inputs)
    assert (graph.flops, graph.flops_backward) == oracle(module, inputs)
    assert graph.flops > 0
    assert graph.flops_backward > 0


@pytest.mark.parametrize("name", ZOO)
def test_macs_are_the_product_of_the_loop_bounds(name: str) -> None:
    module, inputs = ZOO[name]()
    products = [op for op in trace(module, inputs).operators if op.kind in ("matmul", "conv", "attention")]
    assert products
    for op in products:
        assert op.macs == bounds_product(op), op


@pytest.mark.parametrize("name", ZOO)
def test_only_products_have_macs_and_nothing_is_unknown(name: str) -> None:
    module, inputs = ZOO[name]()
    graph = trace(module, inputs)
    assert not graph.unknown
    assert {op.kind for op in graph.operators if op.macs} <= {"matmul", "conv", "attention"}


class SplitConvolution(nn.Module):
    """A grouped convolution as one plain convolution a group."""

    def __init__(self, whole: nn.Module, groups: int, make: Any) -> None:
        super().__init__()
        self.groups = groups
        self.parts = nn.ModuleList(make() for _ in range(groups))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([part(x) for part, x in zip(self.parts, x.chunk(self.groups, 1), strict=True)], 1)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_convolutions(data: st.DataObject) -> None:
    """Any dimension, stride, dilation, padding, groups, transposed or not; grouped ones against their parts."""
    dimensions = data.draw(st.integers(1, 3))
    small = st.integers(1, 3)
    groups = data.draw(small)
    channels, filters = groups * data.draw(small), groups * data.draw(small)
    kernel = data.draw(small)
    options = {"stride": data.draw(small), "dilation": data.draw(small), "padding": data.draw(st.integers(0, 1))}
    transposed = data.draw(st.booleans())
    sizes = data.draw(st.lists(st.integers(8, 11), min_size=dimensions, max_size=dimensions))
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{dimensions}d")
    whole = kind(channels, filters, kernel, groups=groups, device=META, **options)
    parts = SplitConvolution(
        whole, groups, lambda: kind(channels // groups, filters // groups, kernel, device=META, **options)
    )
    x = meta(data.draw(small), channels, *sizes, grad=True)
    graph = trace(whole, (x,))
    assert (graph.flops, graph.flops_backward) == oracle(parts, (x,))
    assert graph.params == sum(parameter.numel() for parameter in parts.parameters())
    assert all(op.macs == bounds_product(op) for op in graph.operators if op.kind == "conv")


@settings(max_examples=40, deadline=None)
@given(
    left=st.lists(st.integers(1, 4), max_size=2),
    sizes=st.tuples(*[st.integers(1, 5)] * 3),
    broadcast=st.booleans(),
)
def test_random_matrix_products(left: list[int], sizes: tuple[int, int, int], broadcast: bool) -> None:
    rows, inner, columns = sizes
    first = meta(*left, rows, inner, grad=True)
    second = meta(*(() if broadcast else left), inner, columns, grad=True)

    class Product(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

    graph = trace(Product(), (first, second))
    batch = 1
    for size in left:
        batch *= size
    assert graph.macs == batch * rows * inner * columns
    assert graph.flops_backward == 2 * graph.flops
    assert (graph.flops, graph.flops_backward) == oracle(Product(), (first, second))


def test_vectors_are_products_too() -> None:
    """torch's counter leaves these out; a matrix times a vector is rows * inner MACs."""

    class Vectors(nn.Module):
        def forward(self, matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
            return (matrix @ vector).dot(vector.new_empty(matrix.shape[0]))

    graph = trace(Vectors(), (meta(5, 7), meta(7)))
    assert graph.macs == 5 * 7 + 5


def test_bilinear_layers_are_products_too() -> None:
    graph = trace(nn.Bilinear(3, 4, 5), (meta(2, 3), meta(2, 4)))
    assert graph.macs == 2 * 3 * 4 * 5
    assert graph.flops_backward == 2 * graph.macs  # the gradient of the weight; the inputs want none


def test_torchs_counter_is_wrong_about_weight_gradients_of_groups() -> None:
    """Why grouped convolutions are compared with their parts: torch counts all input channels for each filter."""
    groups, x = 4, meta(2, 8, 9, 9, grad=True)
    whole = nn.Conv2d(8, 12, 3, groups=groups, device=META)
    graph = trace(whole, (x,))
    forward, backward = oracle(whole, (x,))
    assert graph.flops == forward
    assert graph.flops_backward == 2 * forward
    assert backward == forward + groups * forward


# Mutations that the parity must notice.


def _mutants() -> Iterator[tuple[str, str, str, Any]]:
    def no_groups(bounds: dict[str, int]) -> int:
        return _products.conv_macs({**bounds, "groups": 1})

    def no_dilated_size(*args: Any, **kwargs: Any) -> dict[str, int]:
        bounds = original_bounds(*args, **kwargs)
        return {**bounds, "P": bounds["P"] + 1}

    def half_attention(bounds: dict[str, int]) -> int:
        return original_attention(bounds) // 2

    def recomputing(bounds: dict[str, int]) -> int:
        extra = bounds["products_D"] // 2 if bounds["products_D"] == 2 else 0
        return original_attention({**bounds, "products_D": bounds["products_D"] + extra})

    original_bounds, original_attention = _products.conv_bounds, _products.attention_macs
    yield "groups dropped", "sevenfold.counting._work.conv_macs", "grouped", no_groups
    yield "a row too many", "sevenfold.counting._products.conv_bounds", "cnn", no_dilated_size
    yield "attention halved", "sevenfold.counting._attention.attention_macs", "transformer encoder", half_attention
    yield "recomputation counted", "sevenfold.counting._attention.attention_macs", "cross attention", recomputing


@pytest.mark.parametrize("mutant", list(_mutants()), ids=lambda mutant: mutant[0])
def test_parity_notices(mutant: tuple[str, str, str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _, target, case, wrong = mutant
    if case == "grouped":
        module, inputs = nn.Conv2d(8, 12, 3, groups=4, device=META), (meta(2, 8, 9, 9),)
        expected = oracle(module, inputs)[0]
        assert trace(module, inputs, backward=False).flops == expected
        monkeypatch.setattr(target, wrong)
        assert trace(module, inputs, backward=False).flops != expected
        return
    module, inputs = ZOO[case]()
    monkeypatch.setattr(target, wrong)
    graph = trace(module, inputs)
    assert (graph.flops, graph.flops_backward) != oracle(module, inputs)


def test_fake_tensors_give_the_same_graph() -> None:
    """The stand-ins that autocast and stubborn modules need count what the meta device counts."""
    from sevenfold.counting import _tracing

    for name in ("mlp", "cnn", "gru", "transformer encoder", "u-net", "cross attention", "einsum"):
        module, inputs = ZOO[name]()
        with_meta = trace(module, inputs)
        request = _tracing._Request(
            module=module,
            inputs=inputs,
            kwargs={},
            backward=True,
            causal=False,
            loss=None,
            optimizer=None,
            autocast=None,
            dtype=None,
            training=None,
            name=type(module).__name__,
        )
        with_fake = _tracing._traced(request, "fake")
        assert _figures(with_fake) == _figures(with_meta), name


def test_fused_recurrent_layers() -> None:
    """On the CPU an LSTM's layer is one operator; its backward makes all gradients, wanted or not."""
    module, inputs = ZOO["lstm"]()
    apart, fused = trace(module, inputs), trace(module, inputs, autocast="bfloat16")
    assert {op.name for op in fused.select("forward", "matmul")} == {"aten.mkldnn_rnn_layer"}
    assert fused.macs == apart.macs
    assert fused.flops_backward == 2 * fused.flops > apart.flops_backward
    assert not fused.unknown


def _figures(graph: OperatorGraph) -> dict[str, Any]:
    # Totals, since the CPU multiplies a whole sequence by a recurrent layer's input weights at once.
    kinds = ("matmul", "conv", "attention")
    macs = {(op.kind, op.phase): 0 for op in graph.operators if op.kind in kinds}
    for op in graph.operators:
        if op.kind in kinds:
            macs[op.kind, op.phase] += op.macs * op.count
    return {"macs": macs, "params": graph.params, "unknown": graph.unknown}
