"""Modules for the parity tests: each with example inputs on the meta device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from sevenfold.models import MODELS

Case = tuple[nn.Module, tuple[Any, ...]]
META = torch.device("meta")


def meta(*shape: int, grad: bool = False) -> torch.Tensor:
    return torch.empty(shape, device=META, requires_grad=grad)


class Residual(nn.Module):
    def __init__(self, body: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.skip = body, skip if skip is not None else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.skip(x))


class UNet(nn.Module):
    """Down, up, and a skip connection that is concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.last = nn.Conv2d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        high = F.silu(self.first(x))
        low = F.silu(self.middle(F.silu(self.down(high))))
        return self.last(torch.cat([high, F.silu(self.up(low))], dim=1))


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 6, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.einsum("bti,hio->bhto", x, self.weight)
        return torch.einsum("bhto,bhso->bhts", y, y)


class HandWrittenAttention(nn.Module):
    """Scores and weighted sum as broadcast matrix products, without the fused function."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(12, 36)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, 2, 6)).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / math.sqrt(6)
        return torch.softmax(scores, dim=-1) @ value


class CrossAttention(nn.Module):
    """Fewer keys than queries, fewer key heads than query heads, values wider than keys."""

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=True)


class Siamese(nn.Module):
    """One tower called three times, and its weight used once more."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(6, 6), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = self.tower(x)
        return F.linear(x, self.tower[0].weight)


class Functional(nn.Module):
    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        return self.function(*args)


def mlp() -> Case:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4, bias=False)), (meta(5, 8),)


def wide_input() -> Case:
    return nn.Linear(8, 16), (meta(2, 3, 5, 8, grad=True),)


def cnn() -> Case:
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, (3, 1), dilation=(2, 1), padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 10),
    )
    return body, (meta(4, 3, 33, 31),)


def conv1d() -> Case:
    return nn.Sequential(nn.Conv1d(4, 6, 5, dilation=3), nn.GELU(), nn.Conv1d(6, 2, 3, stride=2)), (meta(2, 4, 50),)


def conv3d() -> Case:
    return nn.Sequential(nn.Conv3d(2, 4, (1, 2, 3)), nn.Conv3d(4, 3, 2, stride=2)), (meta(2, 2, 7, 8, 9),)


def conv_without_batch() -> Case:
    return nn.Conv2d(3, 4, 3), (meta(3, 9, 9),)


def transposed() -> Case:
    return nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), nn.ReLU()), (
        meta(2, 4, 5, 6, grad=True),
    )


def transposed_1d_3d() -> Case:
    body = nn.Sequential(nn.ConvTranspose1d(3, 4, 3, stride=3), nn.Unflatten(1, (2, 2)), nn.Unflatten(-1, (4, -1)))
    return nn.Sequential(body, nn.ConvTranspose3d(2, 3, 2)), (meta(2, 3, 4),)


def residual() -> Case:
    body = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)
    )
    return Residual(body, nn.Conv2d(4, 8, 1)), (meta(2, 4, 10, 10),)


def lstm() -> Case:
    return nn.LSTM(5, 7, num_layers=2, bidirectional=True), (meta(6, 3, 5),)


def gru() -> Case:
    return nn.GRU(5, 7), (meta(6, 3, 5),)


def multihead() -> Case:
    x = meta(2, 9, 16)
    return nn.MultiheadAttention(16, 4, batch_first=True), (x, x, x)


def encoder() -> Case:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2), (meta(2, 9, 16),)


def transformer() -> Case:
    return nn.Transformer(16, 4, 1, 2, 32, batch_first=True), (meta(2, 9, 16), meta(2, 5, 16))


def cross_attention() -> Case:
    return CrossAttention(), (
        meta(2, 6, 8, 4, grad=True),
        meta(2, 3, 5, 4, grad=True),
        meta(2, 3, 5, 10, grad=True),
    )


def attention_of_some() -> Case:
    return CrossAttention(), (meta(2, 6, 8, 4), meta(2, 3, 5, 4, grad=True), meta(2, 3, 5, 10))


def attention_of_values() -> Case:
    return CrossAttention(), (meta(2, 6, 8, 4), meta(2, 3, 5, 4), meta(2, 3, 5, 10, grad=True))


def gpt2() -> Case:
    entry = MODELS["gpt2-nano"]
    return entry.build_meta({"dropout": 0.1}), entry.example(batch=2, seq=10)


def baddbmm() -> Case:
    return Functional(torch.baddbmm), (meta(3, 4, 6, grad=True), meta(3, 4, 5), meta(3, 5, 6, grad=True))


def tensordot() -> Case:
    return Functional(lambda a, b: torch.tensordot(a, b, dims=([1, 2], [0, 2]))), (
        meta(3, 4, 5, grad=True),
        meta(4, 6, 5, grad=True),
    )


def from_class(cls: type[nn.Module], *shape: int) -> Callable[[], Case]:
    return lambda: (cls(), (meta(*shape),))


ZOO: dict[str, Callable[[], Case]] = {
    "mlp": mlp,
    "wide input": wide_input,
    "cnn": cnn,
    "conv1d": conv1d,
    "conv3d": conv3d,
    "conv without batch": conv_without_batch,
    "transposed": transposed,
    "transposed 1d and 3d": transposed_1d_3d,
    "residual": residual,
    "u-net": from_class(UNet, 2, 3, 16, 16),
    "lstm": lstm,
    "gru": gru,
    "multi-head attention": multihead,
    "transformer encoder": encoder,
    "transformer": transformer,
    "cross attention": cross_attention,
    "attention, gradient of the keys only": attention_of_some,
    "attention, gradient of the values only": attention_of_values,
    "hand-written attention": from_class(HandWrittenAttention, 2, 7, 12),
    "einsum": from_class(Einsum, 2, 3, 6),
    "one tower three times": from_class(Siamese, 4, 6),
    "gpt-2": gpt2,
    "baddbmm": baddbmm,
    "tensordot": tensordot,
}
