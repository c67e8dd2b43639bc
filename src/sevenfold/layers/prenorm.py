"""The pre-norm encoder block that ViT and CLIP stack, and the cutting of a picture into patches.

B batch, T tokens, D width, C channels, S image side, P patch side, G = S / P patches a side.
"""

from __future__ import annotations

import torch
from torch import nn

from sevenfold.layers.activation import ACTIVATIONS, ActivationName
from sevenfold.layers.multihead import MultiHeadAttention

__all__ = ["PatchEmbedding", "PreNormEncoderBlock", "fitting_patch"]


def fitting_patch(side: int, wanted: int) -> int:
    """The largest patch side, at most the wanted one, that divides the image's.

    >>> fitting_patch(28, 16)
    14
    """
    return next(size for size in range(min(wanted, side), 0, -1) if side % size == 0)


class PatchEmbedding(nn.Module):
    """Each P x P patch flattened and projected to D, row by row: [B, C, S, S] -> [B, G^2, D].

    A convolution whose stride is its size computes just that. Source: Dosovitskiy et al. 2020, equation 1.

    >>> PatchEmbedding(channels=3, patch=4, width=8)(torch.zeros(1, 3, 12, 12)).shape
    torch.Size([1, 9, 8])
    """

    def __init__(self, *, channels: int, patch: int, width: int, bias: bool = True) -> None:
        super().__init__()
        self.projection = nn.Conv2d(channels, width, patch, stride=patch, bias=bias)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        patches_bdgg: torch.Tensor = self.projection(pixels)
        return patches_bdgg.flatten(2).transpose(1, 2)


class PreNormEncoderBlock(nn.Module):
    """x + attention(norm(x)), then x + feedforward(norm(x)), every token seeing every token, or those before it.

    [B, T, D] in, [B, T, D] out; ``causal`` hides later tokens. Dropout after each dense layer but those of queries,
    keys and values, in training only. Source: Dosovitskiy et al. 2020, equations 2 and 3, and for dropout the
    authors' code (models_vit.py).

    >>> PreNormEncoderBlock(width=8, heads=2, inner=32, activation="gelu")(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        inner: int,
        activation: ActivationName,
        norm_epsilon: float = 1e-5,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.attention_norm = nn.LayerNorm(width, eps=norm_epsilon)
        self.attention = MultiHeadAttention(width=width, heads=heads)
        self.feedforward_norm = nn.LayerNorm(width, eps=norm_epsilon)
        self.expand = nn.Linear(width, inner)
        self.activation = ACTIVATIONS[activation]()
        self.projection = nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_btd: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """``mask`` as MultiHeadAttention has it, in place of ``causal``."""
        causal = self.causal and mask is None
        mixed_btd = self.attention(self.attention_norm(x_btd), mask=mask, causal=causal)
        x_btd = x_btd + self.dropout(mixed_btd)
        inner = self.dropout(self.activation(self.expand(self.feedforward_norm(x_btd))))
        out: torch.Tensor = x_btd + self.dropout(self.projection(inner))
        return out
