"""What a U-Net reads of a caption or a class: tokens of a width of their own.

B batch, T tokens, V vocabulary, D width, K classes.

    ClassTokens      labels [B] -> [B, 1, D], one row a class and one for "no class"
    CaptionEncoder   tokens [B, T] -> embedding + positions, L pre-norm blocks, norm -> [B, T, D]
        both directions   heads of 64 whatever the width, no biases in q, k, v, exact GELU: the paper's, learned
                          with the U-Net (Rombach et al. 2021, appendix E.2.1)
        causal            CLIP's text tower without its projection: Stable Diffusion's, taken as it is
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sevenfold.layers.checking import require_rows, require_tokens
from sevenfold.layers.context_attention import ContextAttention
from sevenfold.layers.prenorm import PreNormEncoderBlock

__all__ = ["CaptionEncoder", "ClassTokens"]


class ClassTokens(nn.Module):
    """Labels [B] -> one token each, [B, 1, D]; the label K is "no class"."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes + 1, width)

    def forward(self, labels: Tensor) -> Tensor:
        require_rows("the class embedding", labels, self.embedding.num_embeddings)
        out: Tensor = self.embedding(labels)[:, None]
        return out


class CaptionEncoder(nn.Module):
    """Tokens [B, T] -> what they mean together, [B, T, D].

    >>> encoder = CaptionEncoder(vocabulary=9, context=5, width=8, layers=1, heads=2, head_width=4)
    >>> encoder(torch.tensor([[1, 2, 0]])).shape
    torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
        head_width: int = 64,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.position_embedding = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(
            PreNormEncoderBlock(width=width, heads=heads, inner=4 * width, activation="quick-gelu", causal=True)
            if causal
            else CaptionBlock(width, heads=heads, head_width=head_width)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        for embedding in (self.token_embedding, self.position_embedding):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        context = self.position_embedding.num_embeddings
        require_tokens("the caption's embedding", tokens, self.token_embedding.num_embeddings, context=context)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x_btd = self.token_embedding(tokens) + self.position_embedding(positions)
        for block in self.blocks:
            x_btd = block(x_btd)
        out: Tensor = self.norm(x_btd)
        return out


class CaptionBlock(nn.Module):
    """x + attention(norm(x)), then x + contract(gelu(expand(norm(x)))): [B, T, D] -> [B, T, D]."""

    def __init__(self, width: int, *, heads: int, head_width: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = ContextAttention(width, heads=heads, inner=heads * head_width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x_btd: Tensor) -> Tensor:
        x_btd = x_btd + self.attention(self.attention_norm(x_btd))
        out: Tensor = x_btd + self.contract(F.gelu(self.expand(self.feedforward_norm(x_btd))))
        return out
