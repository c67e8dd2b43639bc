"""The benchmarks of calibration: single operators of many sizes, as `hardware.families` names them.

Each benchmark is a function without arguments that executes one operator, with its family and sizes. None of them
is a model, and no shape is taken from one. Knows no clock: `measuring` times them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from sevenfold.hardware.families import conv_sizes
from sevenfold.training.vectorbenchmarks import Benchmark, vectors

aten = torch.ops.aten
_FLOP_LIMIT = 3e8  # of one benchmark


def operators(*, lanes: int, quick: bool) -> Iterator[Benchmark]:
    """All benchmarks; ``quick`` leaves out the large and the rare ones."""
    yield from matmuls("float32", quick)
    if not quick:
        yield from matmuls("bfloat16", True)
    yield from convolutions(lanes, quick)
    yield from attentions(quick)
    yield from vectors(quick=quick)


def matmuls(dtype: str, quick: bool) -> Iterator[Benchmark]:
    """Matrix products of many shapes, each operand plain or transposed, alone and in batches."""
    chance = random.Random(7)
    fixed = [(1, n, n, n) for n in (1, 8, 32, 128, 512)] + [(1, 64, 10, 64), (1, 64, 64, 256), (1, 256, 256, 64)]
    shapes = list(fixed)
    while len(shapes) < (30 if quick else 56):
        batch = chance.choice([1, 1, 1, 1, 8, 64])
        m, n, k = (round(2 ** chance.uniform(2, 9.5)) for _ in range(3))
        if 2 * batch * m * n * k <= (_FLOP_LIMIT / 2 if quick else _FLOP_LIMIT):
            shapes.append((batch, m, n, k))
    shapes += [(1, 2048, 256, 256), (1, 256, 256, 2048), (1, 1024, 1024, 128)]
    if not quick:
        shapes += [(1, 4096, 512, 256), (1, 512, 2048, 512), (1, 2048, 64, 512), (1, 512, 64, 4096)]
    kind = getattr(torch, dtype)
    for index, shape in enumerate(shapes):
        yield from _matmul(dtype, kind, *shape, layout=index % 3)


def _matmul(
    dtype: str, kind: torch.dtype, batch: int, m: int, n: int, k: int, *, layout: int
) -> Iterator[Benchmark]:
    a, b = _matrix(batch, m, k, kind, layout == 1), _matrix(batch, k, n, kind, layout == 2)
    yield Benchmark("matmul", dtype, [batch, m, n, k], lambda: torch.matmul(a, b))
    if batch == 1:  # as a linear layer with its bias
        bias, weight = torch.ones(n, dtype=kind), _matrix(1, k, n, kind, True)
        yield Benchmark("matmul_bias", dtype, [1, m, n, k], lambda: torch.addmm(bias, a, weight))


def _matrix(batch: int, rows: int, columns: int, kind: torch.dtype, transposed: bool) -> torch.Tensor:
    shape = (columns, rows) if transposed else (rows, columns)
    made = torch.empty((batch, *shape) if batch > 1 else shape).uniform_(-1, 1).to(kind)
    return made.transpose(-1, -2) if transposed else made


def convolutions(lanes: int, quick: bool) -> Iterator[Benchmark]:
    """Convolutions forward and both gradients, from one to many channels, with strides, groups and padding."""
    chance = random.Random(11)
    shapes: list[tuple[int, int, int, int, int, int, int]] = [
        # images, side, inputs, outputs, taps a side, stride, groups
        (16, 16, 1, 8, 5, 1, 1), (64, 8, 1, 16, 3, 1, 1), (32, 16, 1, 32, 5, 2, 1), (64, 16, 3, 16, 3, 1, 1),
        (16, 16, 3, 32, 3, 2, 1), (64, 8, 32, 32, 3, 1, 1), (16, 8, 16, 16, 5, 2, 1), (32, 4, 64, 64, 3, 1, 1),
        (64, 4, 16, 16, 5, 1, 1), (16, 8, 32, 32, 3, 1, 32), (64, 8, 24, 24, 3, 1, 24), (32, 16, 64, 64, 1, 1, 1),
        (64, 8, 32, 32, 5, 2, 4), (32, 8, 24, 12, 5, 2, 2), (64, 8, 12, 12, 3, 2, 2), (128, 8, 1, 8, 5, 2, 1),
        (32, 4, 30, 10, 5, 2, 2), (128, 4, 48, 16, 3, 1, 4), (64, 4, 64, 32, 5, 2, 4),
    ]  # fmt: skip
    while len(shapes) < (40 if quick else 72):
        images = chance.choice([8, 16, 32, 64, 128])
        side = chance.choice([4, 6, 8, 12, 16, 24])
        taps, stride = chance.choice([1, 3, 3, 5]), chance.choice([1, 1, 2])
        groups = chance.choice([1, 1, 1, 1, 2, 4])
        inputs, outputs = (groups * chance.choice([1, 4, 6, 8, 16, 24, 32, 64]) for _ in range(2))
        positions = images * (side // stride) ** 2
        work = 2 * groups * positions * max(16, inputs // groups) * max(16, outputs // groups) * taps**2
        if work <= (_FLOP_LIMIT / 3 if quick else _FLOP_LIMIT):
            shapes.append((images, side, inputs, outputs, taps, stride, groups))
    for shape in shapes:
        yield from _convolution(*shape, lanes=lanes)


def _convolution(
    images: int, side: int, inputs: int, outputs: int, taps: int, stride: int, groups: int, *, lanes: int
) -> Iterator[Benchmark]:
    x = torch.empty(images, inputs, side, side).uniform_(-1, 1)
    w = torch.empty(outputs, inputs // groups, taps, taps).uniform_(-1, 1)
    pad = taps // 2
    y = F.conv2d(x, w, None, stride, pad, 1, groups)
    grad = torch.empty_like(y).uniform_(-1, 1)
    bounds = {
        "N": images, "K": outputs, "C": inputs, "P": y.shape[2], "Q": y.shape[3], "R": taps, "S": taps,
        "stride_h": stride, "stride_w": stride, "groups": groups,
    }  # fmt: skip
    sizes = conv_sizes(bounds, lanes)

    def backward(wanted: list[bool]) -> Callable[[], object]:
        return lambda: aten.convolution_backward.default(
            grad, x, w, None, [stride, stride], [pad, pad], [1, 1], False, [0, 0], groups, wanted
        )

    yield Benchmark("conv_forward", "float32", sizes, lambda: F.conv2d(x, w, None, stride, pad, 1, groups))
    yield Benchmark("conv_grad_input", "float32", sizes, backward([True, False, False]), True)
    yield Benchmark("conv_grad_weight", "float32", sizes, backward([False, True, False]), True)


def attentions(quick: bool) -> Iterator[Benchmark]:
    """Attention forward and backward: full, causal, and with dropout (which takes another path in torch)."""
    shapes = [(4, 16, 16), (16, 64, 32), (32, 128, 64), (8, 256, 32), (8, 512, 64)]
    if not quick:
        shapes += [(64, 64, 16), (64, 64, 64), (32, 32, 32), (4, 1024, 64), (48, 192, 64)]
    for heads, time, width in shapes:
        for name, causal, dropout in (("", False, 0.0), ("_causal", True, 0.0), ("_dropout", True, 0.1)):
            yield from _attention("attention" + name, heads, time, width, causal, dropout)


def _attention(family: str, heads: int, time: int, width: int, causal: bool, dropout: float) -> Iterator[Benchmark]:
    qkv = torch.empty(1, time, 3, heads, width).uniform_(-1, 1).requires_grad_()
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # strided as a projection leaves them
    q, k, v = (part.detach().requires_grad_() for part in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
    grad = torch.empty_like(out).uniform_(-1, 1)
    sizes = [float(heads), float(time), float(time), float(width)]

    def forward() -> object:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)

    yield Benchmark(family, "float32", sizes, forward)
    yield Benchmark(
        family + "_backward",
        "float32",
        sizes,
        lambda: torch.autograd.grad(out, (q, k, v), grad, retain_graph=True),
    )
