"""Attention to a context of another width, and the transformer over pixels that latent diffusion puts into a U-Net.

B batch, C channels, H W pixels, P = H W, T tokens of the context, D its width, I = heads x K inner width.

    pixels [B, C, H, W] -group norm, 1x1 projection-> [B, P, I]
        -depth x (self-attention, attention to the context, gated feed-forward; each after layer norm, each added)->
        -1x1 projection-> added to the pixels

Rombach, Blattmann, Lorenz, Esser & Ommer 2021, High-Resolution Image Synthesis with Latent Diffusion Models,
section 3.3 and appendix E.2.1; the gate is GEGLU of Shazeer 2020, GLU Variants Improve Transformer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ContextAttention", "ContextBlock", "GatedGELU", "JointAttention", "PixelTransformer"]


class ContextAttention(nn.Module):
    """softmax(q k^T / sqrt(K)) v with queries from x and keys and values from the context: [B, P, C] -> [B, P, C].

    Without a context x looks at itself. No biases but in the last projection. Section 3.3: q = W_Q phi(z),
    k = W_K tau(y), v = W_V tau(y).
    """

    def __init__(self, width: int, *, heads: int, inner: int | None = None, context: int | None = None) -> None:
        super().__init__()
        inner = width if inner is None else inner
        assert inner % heads == 0, "specs check this"
        self.heads = heads
        self.query = nn.Linear(width, inner, bias=False)
        self.key = nn.Linear(context or width, inner, bias=False)
        self.value = nn.Linear(context or width, inner, bias=False)
        self.projection = nn.Linear(inner, width)

    def forward(self, x_bpc: Tensor, context_btd: Tensor | None = None) -> Tensor:
        looked_at = x_bpc if context_btd is None else context_btd
        q, k, v = (
            layer(of).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, of in ((self.query, x_bpc), (self.key, looked_at), (self.value, looked_at))
        )
        out: Tensor = self.projection(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class GatedGELU(nn.Module):
    """contract(a * gelu(g)) with a, g = expand(x): [..., D] -> [..., D], inner width 4 D."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 8 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.expand(x).chunk(2, dim=-1)
        out: Tensor = self.contract(value * F.gelu(gate))
        return out


class ContextBlock(nn.Module):
    """Self-attention, attention to the context, feed-forward: [B, P, C] and [B, T, D] -> [B, P, C]."""

    def __init__(self, width: int, *, heads: int, context: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.own = ContextAttention(width, heads=heads)
        self.norm2 = nn.LayerNorm(width)
        self.cross = ContextAttention(width, heads=heads, context=context)
        self.norm3 = nn.LayerNorm(width)
        self.feedforward = GatedGELU(width)

    def forward(self, x_bpc: Tensor, context_btd: Tensor) -> Tensor:
        x_bpc = x_bpc + self.own(self.norm1(x_bpc))
        x_bpc = x_bpc + self.cross(self.norm2(x_bpc), context_btd)
        out: Tensor = x_bpc + self.feedforward(self.norm3(x_bpc))
        return out


class PixelTransformer(nn.Module):
    """A transformer whose tokens are pixels, and which reads a context: [B, C, H, W], [B, T, D] -> [B, C, H, W].

    >>> import torch
    >>> PixelTransformer(8, heads=2, context=5, groups=4)(torch.zeros(2, 8, 6, 6), torch.zeros(2, 3, 5)).shape
    torch.Size([2, 8, 6, 6])
    """

    def __init__(self, channels: int, *, heads: int, context: int, depth: int = 1, groups: int = 32) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.enter = nn.Linear(channels, channels)
        self.blocks = nn.ModuleList(ContextBlock(channels, heads=heads, context=context) for _ in range(depth))
        self.leave = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context_btd: Tensor) -> Tensor:
        hidden_bpc = self.enter(self.norm(x).flatten(2).transpose(1, 2))
        for block in self.blocks:
            hidden_bpc = block(hidden_bpc, context_btd)
        out: Tensor = x + self.leave(hidden_bpc).transpose(1, 2).unflatten(2, x.shape[2:])
        return out


class JointAttention(nn.Module):
    """Pixels look at all pixels and at a context in one softmax: [B, C, H, W], [B, T, D] -> [B, C, H, W].

    The context has key and value layers of its own, and comes first. Source: Nichol et al. 2021, GLIDE, section 4
    ("the last layer of token embeddings is separately projected ... and concatenated to the attention context").

    >>> import torch
    >>> JointAttention(8, heads=2, context=5, groups=4)(torch.zeros(2, 8, 6, 6), torch.zeros(2, 3, 5)).shape
    torch.Size([2, 8, 6, 6])
    """

    def __init__(self, channels: int, *, heads: int, context: int, groups: int = 32, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels, eps=epsilon)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.context_key = nn.Linear(context, channels)
        self.context_value = nn.Linear(context, channels)
        self.projection = nn.Linear(channels, channels)

    def forward(self, x: Tensor, context_btd: Tensor) -> Tensor:
        pixels_bpc = self.norm(x).flatten(2).transpose(1, 2)
        keys = torch.cat([self.context_key(context_btd), self.key(pixels_bpc)], dim=1)
        values = torch.cat([self.context_value(context_btd), self.value(pixels_bpc)], dim=1)
        q, k, v = (
            of.unflatten(2, (self.heads, -1)).transpose(1, 2) for of in (self.query(pixels_bpc), keys, values)
        )
        mixed_bpc = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = x + self.projection(mixed_bpc).transpose(1, 2).unflatten(2, x.shape[2:])
        return out
