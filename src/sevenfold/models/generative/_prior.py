"""DALL-E 2's prior: a transformer that takes the noise from the CLIP embedding of a picture, given the caption.

B examples, E width of CLIP's space, T text tokens, D = heads x head width, t [B] diffusion steps.

    [text 1..T, caption's embedding, time, noisy embedding, query] -projections, positions-> [B, T + 4, D]
    -causal pre-norm blocks, norm-> at the query -> the embedding without noise [B, E]

Embeddings are diffused after (z - mean) / deviation, which scales them to the variance of pixels in -1..1.

Ramesh et al. 2022, Hierarchical Text-Conditional Image Generation with CLIP Latents, section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sevenfold.layers.multihead import reads
from sevenfold.layers.prenorm import PreNormEncoderBlock
from sevenfold.layers.unet_blocks import TimeEmbedding
from sevenfold.models._published import Published, register, require_config
from sevenfold.spec import Spec

__all__ = ["PriorSpec", "PriorTransformer"]

_BESIDES = 4  # positions beside the text


class PriorSpec(Spec):
    """Settings of the prior's transformer."""

    heads: int = Field(default=32, ge=1, description="attention heads a block")
    head_width: int = Field(default=64, ge=2, description="width of a head")
    layers: int = Field(default=20, ge=1, description="blocks")
    embedding: int = Field(default=768, ge=1, description="width of CLIP's space, and of the text's states")
    context: int = Field(default=77, ge=1, description="text tokens")


class PriorTransformer(nn.Module):
    """noisy [B, E], t [B], caption's embedding [B, E] and its states [B, T, E] -> the embedding without noise."""

    def __init__(self, spec: PriorSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.heads * spec.head_width
        self.time = TimeEmbedding(width, width, cosines_first=True, shift=0.0)
        self.of_noisy = nn.Linear(spec.embedding, width)
        self.of_caption = nn.Linear(spec.embedding, width)
        self.of_states = nn.Linear(spec.embedding, width)
        self.query = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, spec.context + _BESIDES, width))
        self.blocks = nn.ModuleList(
            PreNormEncoderBlock(width=width, heads=spec.heads, inner=4 * width, activation="gelu", causal=True)
            for _ in range(spec.layers)
        )
        self.final_norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, spec.embedding)
        # Trained by nobody: they describe CLIP.
        self.mean = nn.Parameter(torch.zeros(1, spec.embedding))
        self.deviation = nn.Parameter(torch.ones(1, spec.embedding))
        nn.init.normal_(self.query, std=0.02)
        nn.init.normal_(self.positions, std=0.02)

    def forward(
        self, noisy: Tensor, steps: Tensor, caption: Tensor, states: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """``present`` [B, T] is 1 for tokens and 0 for padding, which nothing sees; the first is present."""
        last = [self.of_caption(caption), self.time(steps), self.of_noisy(noisy)]
        query = self.query.expand(len(noisy), -1, -1)
        x_bld = torch.cat([self.of_states(states), torch.stack(last, dim=1), query], dim=1) + self.positions
        mask = None if present is None else self._seen(present)
        for block in self.blocks:
            x_bld = block(x_bld, mask)
        out: Tensor = self.projection(self.final_norm(x_bld)[:, -1])
        return out

    def _seen(self, present: Tensor) -> Tensor:
        """Booleans [B, 1, L, L]: what stands before and is present."""
        besides = torch.ones(len(present), _BESIDES, dtype=torch.bool, device=present.device)
        length = present.shape[1] + _BESIDES
        before = torch.ones(length, length, dtype=torch.bool, device=present.device).tril()
        return reads(torch.cat([present.bool(), besides], dim=1)) & before

    def scaled(self, embeddings: Tensor) -> Tensor:
        """CLIP's embeddings [B, E] as they are diffused."""
        return (embeddings - self.mean) / self.deviation

    def restored(self, scaled: Tensor) -> Tensor:
        """The inverse of ``scaled``."""
        return scaled * self.deviation + self.mean


def _spec(config: Mapping[str, Any]) -> PriorSpec:
    """PriorTransformer's config.json of the diffusers library."""
    require_config(
        config,
        additional_embeddings=_BESIDES,
        time_embed_act_fn="silu",
        norm_in_type=None,
        embedding_proj_norm_type=None,
        encoder_hid_proj_type="linear",
        added_emb_type="prd",
        time_embed_dim=(None, config["num_attention_heads"] * config["attention_head_dim"]),
        embedding_proj_dim=(None, config["embedding_dim"]),
        clip_embed_dim=(None, config["embedding_dim"]),
    )
    return PriorSpec(
        heads=config["num_attention_heads"],
        head_width=config["attention_head_dim"],
        layers=config["num_layers"],
        embedding=config["embedding_dim"],
        context=config["num_embeddings"],
    )


_NAMES = {
    "time.expand": "time_embedding.linear_1",
    "time.contract": "time_embedding.linear_2",
    "of_noisy": "proj_in",
    "of_caption": "embedding_proj",
    "of_states": "encoder_hidden_states_proj",
    "final_norm": "norm_out",
    "projection": "proj_to_clip_embeddings",
}
_BLOCK_NAMES = {
    "attention_norm": "norm1",
    "attention.query": "attn1.to_q",
    "attention.key": "attn1.to_k",
    "attention.value": "attn1.to_v",
    "attention.projection": "attn1.to_out.0",
    "feedforward_norm": "norm3",
    "expand": "ff.net.0.proj",
    "projection": "ff.net.2",
}


def _weights(spec: PriorSpec, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = dict(_NAMES)
    for layer in range(spec.layers):
        names |= {f"blocks.{layer}.{a}": f"transformer_blocks.{layer}.{b}" for a, b in _BLOCK_NAMES.items()}
    state = {f"{ours}.{part}": tensors[f"{theirs}.{part}"] for ours, theirs in names.items() for part in _PARTS}
    alone = {"query": "prd_embedding", "positions": "positional_embedding", "mean": "clip_mean",
             "deviation": "clip_std"}  # fmt: skip
    return state | {ours: tensors[theirs] for ours, theirs in alone.items()}


_PARTS = ("weight", "bias")

register(
    Published(
        model_type="PriorTransformer",
        architectures=("PriorTransformer",),
        spec=_spec,
        weights=_weights,
        module=PriorTransformer,
    )
)
