"""Bytes read and written, by hand; bytes kept for the backward pass, against torch on real tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from flop_counter_zoo import ZOO, Functional, meta
from torch import nn

from sevenfold.counting import trace
from sevenfold.counting._traffic import bytes_of, resident_bytes, tensors_in
from sevenfold.ops.graph import Operator


def only(function: Any, *inputs: torch.Tensor) -> Operator:
    """The one operator that a function executes on inputs."""
    (operator,) = trace(Functional(function), inputs, backward=False).operators
    return operator


def moved(function: Any, *inputs: torch.Tensor) -> tuple[int, int]:
    operator = only(function, *inputs)
    return operator.bytes_read, operator.bytes_written


def indices(*shape: int) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.int64, device="meta")


@pytest.mark.parametrize(
    ("name", "function", "inputs", "read", "written"),
    [
        ("matrix product", lambda a, b: a @ b, [(5, 6), (6, 7)], 4 * (30 + 42), 4 * 35),
        ("bias", F.linear, [(5, 6), (7, 6), (7,)], 4 * (30 + 42 + 7), 4 * 35),
        ("addition", torch.add, [(5, 6), (5, 6)], 4 * 60, 4 * 30),
        ("broadcast: the row once", torch.add, [(5, 6), (6,)], 4 * 36, 4 * 30),
        ("one operand twice is read once", lambda a: a * a, [(5, 6)], 4 * 30, 4 * 30),
        ("expanded: what is behind it", lambda a: a.expand(100, 5).clone(), [(1, 5)], 4 * 5, 4 * 500),
        ("windows that overlap: their span", lambda a: a.unfold(0, 4, 1).clone(), [(10,)], 4 * 10, 4 * 28),
        ("two halves of one tensor", lambda a: a[:5] + a[5:], [(10,)], 4 * 10, 4 * 5),
        ("overlapping halves: no more than it has", lambda a: a[:9] + a[1:], [(10,)], 4 * 10, 4 * 9),
        ("in place", lambda a, b: a.add_(b), [(5, 6), (5, 6)], 4 * 60, 4 * 30),
        ("overwritten and not read", lambda a: a.zero_(), [(5, 6)], 0, 4 * 30),
        ("copied over", lambda a, b: a.copy_(b), [(5, 6), (6,)], 4 * 6, 4 * 30),
        ("part of it overwritten", lambda a: a[:2].fill_(1), [(5, 6)], 0, 4 * 12),
        ("a new tensor", lambda a: torch.zeros(7, device=a.device), [(1,)], 0, 4 * 7),
        ("comparison: one byte each", lambda a: a > 0, [(5, 6)], 4 * 30, 30),
        ("cast", lambda a: a.to(torch.bfloat16), [(5, 6)], 4 * 30, 2 * 30),
        ("reduction", lambda a: a.sum(0), [(5, 6)], 4 * 30, 4 * 6),
        ("concatenation", lambda a, b: torch.cat([a, b]), [(5, 6), (2, 6)], 4 * 42, 4 * 42),
        ("layer norm", lambda a: F.layer_norm(a, (6,)), [(5, 6)], 4 * 30, 4 * (30 + 5 + 5)),
        ("cross-entropy", lambda a: F.log_softmax(a, 1), [(5, 6)], 4 * 30, 4 * 30),
    ],
)
def test_traffic(name: str, function: Any, inputs: list[tuple[int, ...]], read: int, written: int) -> None:
    assert moved(function, *(meta(*shape) for shape in inputs)) == (read, written)


@pytest.mark.parametrize(
    ("function", "shapes", "num_indices", "read", "written"),
    [
        # An embedding reads the rows it picks, not its table; a row picked twice comes from memory once at best.
        (lambda table, i: F.embedding(i, table), [(1000, 8)], (3,), 4 * 24 + 24, 4 * 24),
        (lambda table, i: F.embedding(i, table), [(2, 8)], (9,), 4 * 16 + 72, 4 * 72),
        (lambda table, i: table[i], [(1000, 8)], (3,), 4 * 24 + 24, 4 * 24),
        (lambda table, i: table.index_select(1, i), [(10, 8)], (3,), 4 * 30 + 24, 4 * 30),
        (lambda table, i: table.gather(0, i), [(1000, 8)], (3, 8), 4 * 24 + 192, 4 * 24),
        (lambda table, i: table.index_fill_(0, i, 0.0), [(1000, 8)], (3,), 24, 4 * 24),
    ],
)
def test_picking(
    function: Any, shapes: list[tuple[int, ...]], num_indices: tuple[int, ...], read: int, written: int
) -> None:
    assert moved(function, *(meta(*shape) for shape in shapes), indices(*num_indices)) == (read, written)


def test_scattering_touches_the_places_only() -> None:
    def put(table: torch.Tensor, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return table.index_put_((rows,), values)

    def accumulate(table: torch.Tensor, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return table.index_put_((rows,), values, accumulate=True)

    def add(table: torch.Tensor, rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return table.index_add_(0, rows, values)

    table, rows, values = meta(1000, 8), indices(3), meta(3, 8)
    assert moved(put, table, rows, values) == (24 + 96, 96)
    assert moved(accumulate, table, rows, values) == (24 + 96 + 96, 96)
    assert moved(add, table, rows, values) == (24 + 96 + 96, 96)
    assert moved(put, table, rows, meta(1)) == (24 + 4, 96)  # one value, written to every place


def test_masked_assignment_is_at_most_the_mask() -> None:
    def put(table: torch.Tensor, mask: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.index_put_.default(table, [mask], value)

    mask = torch.empty(10, 8, dtype=torch.bool, device="meta")
    assert moved(put, meta(10, 8), mask, meta(1)) == (80 + 4, 320)


def test_a_loss_reads_one_score_a_target() -> None:
    operators = trace(Functional(F.cross_entropy), (meta(5, 1000), indices(5)), backward=False).operators
    loss = next(op for op in operators if op.kind == "loss")
    assert loss.bytes_read == 4 * 5 + 8 * 5
    assert loss.bytes_written == 4 + 4  # the loss and the total weight


def test_running_statistics_are_written() -> None:
    norm = next(op for op in trace(nn.BatchNorm1d(8), (meta(4, 8),)).operators if op.kind == "normalization")
    assert norm.bytes_read == 4 * (32 + 8 * 4)  # input, weight, bias, running mean and variance
    assert norm.bytes_written == 4 * (32 + 8 * 2 + 8 * 2)  # output, saved statistics, running statistics


def test_views_are_not_listed() -> None:
    def views(x: torch.Tensor) -> list[torch.Tensor]:
        y = x.view(6, 20).t().unsqueeze(0).expand(3, 20, 6).permute(2, 0, 1)[1:, :, ::2].detach()
        return [
            y,
            *x.chunk(2),
            *x.split(1, -1),
            x.diagonal(0, 0, 1),
            x.squeeze_().unsqueeze_(0),
            torch.empty_like(x),
        ]

    assert trace(Functional(views), (meta(5, 6, 4),), backward=False).operators == ()


def test_attention_never_writes_its_scores() -> None:
    query, key = meta(2, 3, 64, 8), meta(2, 3, 32, 8)
    read, written = moved(F.scaled_dot_product_attention, query, key, key)
    assert read == 4 * (query.numel() + key.numel())
    assert written == 4 * (query.numel() + 2 * 3 * 64)


def test_resident_bytes() -> None:
    assert resident_bytes(torch.empty(0, 5)) == 0
    assert resident_bytes(torch.empty(4, 1, dtype=torch.float16).expand(4, 1000)) == 8
    whole = torch.empty(10, 10)
    assert bytes_of([whole, whole.t(), whole[2:]]) == 400


class GPTBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(self.norm(x)).unflatten(-1, (3, 4, 4)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return x + self.out(F.gelu(mixed.transpose(1, 2).flatten(2), approximate="tanh"))


def kept_by_torch(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> int:
    """What autograd saves of a real forward pass on the CPU, each storage once, parameters and inputs left out."""
    fixed = [*module.parameters(), *module.buffers(), *tensors_in(inputs)]
    known = {tensor.untyped_storage().data_ptr() for tensor in fixed}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(*inputs)
    return sum(size for size, _ in kept.values())


# On the CPU, fused recurrent kernels keep a workspace, and attention with dropout, or with values wider than keys,
# falls back to one that keeps its scores: the tracer says of both what a fused kernel keeps.
_DIFFERENT = {"lstm", "transformer encoder", "transformer", "cross attention", "gpt-2"}


@pytest.mark.parametrize("name", [name for name in ZOO if name not in _DIFFERENT and "gradient" not in name])
def test_activations_are_what_autograd_saves(name: str) -> None:
    module, inputs = ZOO[name]()
    module = module.to_empty(device="cpu") if any(p.is_meta for p in module.parameters()) else module
    inputs = tuple(torch.zeros(tensor.shape, requires_grad=tensor.requires_grad) for tensor in inputs)
    assert trace(module, inputs).activation_bytes == kept_by_torch(module, inputs)


def test_activations_of_fused_attention_are_what_autograd_saves() -> None:
    x = torch.zeros(2, 9, 16)
    for module in (GPTBlock(), nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)):
        assert trace(module, (x,)).activation_bytes == kept_by_torch(module, (x,)) > 0


def test_nothing_is_kept_without_a_backward_pass() -> None:
    graph = trace(GPTBlock(), (torch.zeros(2, 9, 16),), backward=False)
    assert graph.activation_bytes == 0
    assert graph.flops_backward == 0
    assert graph.select("backward") == ()
