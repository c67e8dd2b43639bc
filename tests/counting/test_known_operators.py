"""Which operators are known: torch's layers and functions have no unknown operator in them, and sane arithmetic."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from flop_counter_zoo import Functional, meta
from torch import nn

from sevenfold.counting import _arithmetic, trace
from sevenfold.counting._products import CONVOLUTIONS, MATMULS
from sevenfold.counting._work import FUSED_ATTENTION


def test_every_name_in_the_tables_is_an_operator_of_torch() -> None:
    names = [*_arithmetic.KINDS, *_arithmetic.OVERWRITES, *_arithmetic.PICKS, *_arithmetic.PLACES]
    names += [*_arithmetic.ACCUMULATES, *MATMULS, *CONVOLUTIONS, *FUSED_ATTENTION]
    aten = torch.ops.aten
    missing = [name for name in names if not hasattr(aten, name) and not hasattr(aten, name.removesuffix("_"))]
    assert [name for name in missing if not hasattr(aten, name + "_")] == []


def layer(name: str, *arguments: Any, **options: Any) -> nn.Module:
    return getattr(nn, name)(*arguments, **options)  # type: ignore[no-any-return]


ACTIVATIONS = "ReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh LeakyReLU PReLU RReLU Softplus Tanh"
MORE = "Softsign Softshrink Hardshrink Tanhshrink Sigmoid LogSigmoid GLU Dropout AlphaDropout"
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    **{name: (layer(name), (2, 4, 8, 8)) for name in f"{ACTIVATIONS} {MORE}".split()},
    **{name: (layer(name, dim=-1), (2, 4, 8, 8)) for name in ("Softmin", "Softmax", "LogSoftmax")},
    "BatchNorm3d": (nn.BatchNorm3d(4), (2, 4, 8, 8, 8)),
    "InstanceNorm2d": (nn.InstanceNorm2d(4, affine=True), (2, 4, 8, 8)),
    "GroupNorm": (nn.GroupNorm(2, 4), (2, 4, 8)),
    "RMSNorm": (nn.RMSNorm(8), (2, 4, 8)),
    "LocalResponseNorm": (nn.LocalResponseNorm(2), (2, 4, 8, 8)),
    "MaxPool1d": (nn.MaxPool1d(2), (2, 4, 8)),
    "MaxPool3d": (nn.MaxPool3d(2), (2, 4, 8, 8, 8)),
    "AvgPool2d": (nn.AvgPool2d(3), (2, 4, 8, 8)),
    "LPPool2d": (nn.LPPool2d(2, 2), (2, 4, 8, 8)),
    "AdaptiveAvgPool3d": (nn.AdaptiveAvgPool3d(3), (2, 4, 8, 8, 8)),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d(3), (2, 4, 8, 8)),
    "FractionalMaxPool2d": (nn.FractionalMaxPool2d(2, 4), (2, 4, 8, 8)),
    "ReflectionPad2d": (nn.ReflectionPad2d(1), (2, 4, 8, 8)),
    "CircularPad2d": (nn.CircularPad2d(1), (2, 4, 8, 8)),
    "PixelShuffle": (nn.PixelShuffle(2), (2, 4, 8, 8)),
    "Unfold": (nn.Unfold(2), (2, 4, 8, 8)),
    "Fold": (nn.Fold((8, 8), 2, 1, 0, 2), (2, 16, 16)),
    **{
        f"Upsample {mode}": (nn.Upsample(scale_factor=2, mode=mode), (2, 4, 8, 8))
        for mode in ("nearest", "bicubic")
    },
    "Upsample bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 4, 8, 8)),
    "RNN": (nn.RNN(4, 5), (3, 2, 4)),
    "LSTM with projection": (nn.LSTM(4, 5, proj_size=3), (3, 2, 4)),
    "spectral norm": (nn.utils.parametrizations.spectral_norm(nn.Linear(4, 5)), (3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_torch_are_known(name: str) -> None:
    module, shape = LAYERS[name]
    graph = trace(module, (torch.zeros(shape, requires_grad=True),))
    assert graph.unknown == ()
    assert graph.operators
    assert graph.select("backward")
    assert all(op.bytes_read + op.bytes_written > 0 for op in graph.operators)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.cumsum(0),
        lambda x: x.topk(2)[0],
        lambda x: x.sort()[0],
        lambda x: torch.einsum("ij,kj->ik", x, x),
        lambda x: torch.zeros_like(x).scatter_add_(0, torch.zeros(3, 5, dtype=torch.long), x),
        lambda x: torch.where(x > 0, x, 0.0).masked_fill(x.isnan(), 0.0),
        lambda x: F.grid_sample(x.view(1, 1, 3, 5), torch.zeros(1, 2, 2, 2), align_corners=False),
        lambda x: torch.fft.rfft(x).abs(),
        lambda x: torch.cdist(x, x),
        lambda x: torch.vmap(lambda row: row @ row)(x),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]),  # a real constant: fake tensors take over
        lambda x: x * torch.tensor(2.0).item(),
        lambda x: x.repeat_interleave(2, 0).roll(1, 0).flip(0),
        lambda x: x.logsumexp(0) + x.var(0) + x.norm() + x.amax(0) + x.prod(),
    ],
)
def test_functions_of_torch_are_known(function: Any) -> None:
    graph = trace(Functional(function), (torch.zeros(3, 5, requires_grad=True),))
    assert graph.unknown == ()
    assert graph.select("backward")


def test_vector_operations() -> None:
    """The table's numbers on the larger side: a softmax is 5 an element, a window's pooling is its size."""

    def of(function: Any, *shape: int) -> int:
        (op,) = trace(Functional(function), (meta(*shape),), backward=False).operators
        return op.vector_ops

    assert of(torch.relu, 3, 4) == 12
    assert of(lambda x: x.softmax(-1), 3, 4) == 60
    assert of(lambda x: x.sum(), 3, 4) == 12
    assert of(lambda x: F.gelu(x, approximate="tanh"), 3, 4) == 9 * 12
    assert of(lambda x: F.avg_pool2d(x, 3, 2), 1, 2, 9, 9) == 2 * 4 * 4 * 9
    assert of(lambda x: x.sort()[0], 8) == 8 * int(math.log2(8))
    assert of(lambda x: x.to(torch.float16), 3, 4) == 0
