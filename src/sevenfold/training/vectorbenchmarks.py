"""Benchmarks of operators that are no matrix products, by the bytes that they read and write.

A family's bytes are counted as the tracer counts them. Knows no clock and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sevenfold.hardware.families import AXES

aten = torch.ops.aten
_NUMBERS = (16, 1024, 16_384, 131_072, 1_048_576, 4_194_304)


@dataclass
class Benchmark:
    """One operator at one size."""

    family: str
    dtype: str
    sizes: list[float]
    run: Callable[[], object]
    through_table: bool = False  # called as torch.ops.aten.x, which costs Python more than torch.x

    @property
    def axes(self) -> list[str]:
        return AXES.get(self.family, ["bytes"])


def _one(family: str, num_bytes: float, run: Callable[[], object], *, through_table: bool = False) -> Benchmark:
    return Benchmark(family, "float32", [float(num_bytes)], run, through_table)


def vectors(*, quick: bool) -> Iterator[Benchmark]:
    """Every family by bytes, from 16 numbers to a million (four in a full calibration)."""
    for n in _NUMBERS[:-1] if quick else _NUMBERS:
        yield from _pointwise(n)
        yield from _normalizations(n)
        yield from _batch_norm(n)
        yield from _losses(n)
        yield from _movements(n)
        if 1024 <= n <= 1_048_576:
            yield from _places(n)
            yield from _poolings(n)


def _pointwise(n: int) -> Iterator[Benchmark]:
    """Cheap operators, transcendental ones, and GELU, which is in between and everywhere."""
    a, b = torch.empty(n).uniform_(-1, 1), torch.empty(n).uniform_(-1, 1)
    yield _one("pointwise", 12 * n, lambda: torch.add(a, b))
    yield _one("pointwise", 8 * n + 4, lambda: torch.relu(a))
    yield _one("tanh", 8 * n, lambda: torch.tanh(a))
    yield _one("gelu", 8 * n, lambda: F.gelu(a, approximate="tanh"))
    yield _one("gelu_exact", 8 * n, lambda: F.gelu(a))
    yield _one(
        "gelu_backward", 12 * n, lambda: aten.gelu_backward.default(a, b, approximate="tanh"), through_table=True
    )
    yield _one("gelu_backward_exact", 12 * n, lambda: aten.gelu_backward.default(a, b), through_table=True)
    yield _one("random", 4 * n, lambda: torch.empty_like(a).bernoulli_(0.9))


def _normalizations(n: int) -> Iterator[Benchmark]:
    """Layer norm and softmax with their backward passes, and a bias's gradient, over rows of 16 to 512 numbers."""
    width = max(16, min(512, n // 16))
    rows = max(1, n // width)
    x, g = torch.empty(rows, width).uniform_(-1, 1), torch.empty(rows, width).uniform_(-1, 1)
    weight, bias = torch.ones(width), torch.zeros(width)
    _, mean, rstd = torch.native_layer_norm(x, [width], weight, bias, 1e-5)
    soft, logs = torch.softmax(x, -1), torch.log_softmax(x, -1)
    yield _one("layer_norm", 8 * n + 8 * width, lambda: torch.native_layer_norm(x, [width], weight, bias, 1e-5))
    yield _one(
        "layer_norm_backward",
        12 * n + 16 * width,
        lambda: aten.native_layer_norm_backward.default(
            g, x, [width], mean, rstd, weight, bias, [True, True, True]
        ),
        through_table=True,
    )
    yield _one("softmax", 8 * n, lambda: torch.softmax(x, -1))
    yield _one("log_softmax", 8 * n, lambda: torch.log_softmax(x, -1))
    yield _one(
        "softmax_backward",
        12 * n,
        lambda: aten._softmax_backward_data.default(g, soft, -1, torch.float32),
        through_table=True,
    )
    yield _one(
        "log_softmax_backward",
        12 * n,
        lambda: aten._log_softmax_backward_data.default(g, logs, -1, torch.float32),
        through_table=True,
    )
    yield _one("sum", 4 * n + 4 * width, lambda: torch.sum(x, [0], keepdim=True))


def _batch_norm(n: int) -> Iterator[Benchmark]:
    channels = max(2, min(64, n // 64))
    shape = (max(1, n // (channels * 64)), channels, 8, 8) if n >= 1024 else (2, channels, 2, 2)
    x = torch.empty(shape).uniform_(-1, 1)
    weight, bias, mean, variance = (torch.ones(channels) for _ in range(4))
    _, saved_mean, saved_rstd = torch.native_batch_norm(x, weight, bias, mean, variance, True, 0.1, 1e-5)
    yield _one(
        "batch_norm",
        8 * x.numel() + 32 * channels,
        lambda: torch.native_batch_norm(x, weight, bias, mean, variance, True, 0.1, 1e-5),
    )
    yield _one(
        "batch_norm_backward",
        12 * x.numel() + 32 * channels,
        lambda: aten.native_batch_norm_backward.default(
            x, x, weight, mean, variance, saved_mean, saved_rstd, True, 1e-5, [True, True, True]
        ),
        through_table=True,
    )


def _losses(n: int) -> Iterator[Benchmark]:
    width = max(16, min(512, n // 16))
    logs = torch.log_softmax(torch.empty(max(1, n // width), width).uniform_(-1, 1), -1)
    targets, one = torch.zeros(len(logs), dtype=torch.int64), torch.ones(())
    yield _one("nll_loss", 12 * len(logs) + 8, lambda: F.nll_loss(logs, targets))
    yield _one(
        "nll_loss_backward",
        8 * n + 8 * len(logs),
        lambda: aten.nll_loss_backward.default(one, logs, targets, None, 1, -100, one),
        through_table=True,
    )


def _movements(n: int) -> Iterator[Benchmark]:
    """Copies, and fills of new memory."""
    a = torch.empty(n).uniform_(-1, 1)
    yield _one("copy", 8 * n, lambda: a.clone())
    yield _one("fill", 4 * n, lambda: torch.zeros(n))


def _places(n: int) -> Iterator[Benchmark]:
    """Padding, gathers and scatters, of rows and of whole maps."""
    a = torch.empty(n).uniform_(-1, 1)
    pictures = a.view(-1, 1, 8, 8)
    yield _one("pad", 4 * (n + 144 * len(pictures)), lambda: F.pad(pictures, (2, 2, 2, 2), value=0.5))
    table = a.view(-1, 64)
    rows = torch.randperm(len(table))
    gathered = table[rows]
    yield _one("gather", 8 * n + 8 * len(rows), lambda: F.embedding(rows, table))
    yield _one(
        "embedding_backward",
        8 * n,
        lambda: aten.embedding_dense_backward.default(gathered, rows, len(rows), -1, False),
        through_table=True,
    )
    chosen = torch.arange(min(8, n // 64))
    maps = a.view(-1, len(chosen), 8, 8)
    values = torch.ones_like(maps)
    yield _one("index", 8 * n, lambda: maps[:, chosen])
    yield _one(
        "scatter",
        12 * n,
        lambda: aten.index_put_.default(maps, [None, chosen], values, True),
        through_table=True,
    )


def _poolings(n: int) -> Iterator[Benchmark]:
    """2x2 pooling with its backward passes."""
    x = torch.empty(max(1, n // 2048), 8, 16, 16).uniform_(-1, 1)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    g = torch.ones_like(y)
    yield _one("max_pool", 7 * x.numel(), lambda: F.max_pool2d(x, 2, return_indices=True))
    yield _one(
        "max_pool_backward",
        11 * x.numel(),
        lambda: aten.max_pool2d_with_indices_backward.default(g, x, [2, 2], [2, 2], [0, 0], [1, 1], False, places),
        through_table=True,
    )
    yield _one("average_pool", 5 * x.numel(), lambda: F.avg_pool2d(x, 2))
    yield _one(
        "average_pool_backward",
        9 * x.numel(),
        lambda: aten.avg_pool2d_backward.default(g, x, [2, 2], [2, 2], [0, 0], False, True, None),
        through_table=True,
    )
