"""DALL-E 2's decoder: a diffusion of pixels that is told the CLIP embedding of the picture, and the caption.

B pictures, C channels, S side, E width of CLIP's space, T text tokens, W width of the text encoder.

    tokens [B, T] -embedding, positions, blocks, norm-> states [B, T, W]
    context [B, 4 + T, W] = [four tokens of the CLIP embedding, states]     read by every attention of the U-Net
    time embedding + projected CLIP embedding + projected last state        read by every residual block
    U-Net(x_t, t) -> noise and variance [B, 2 C, S, S]

The U-Net is GLIDE's: guided diffusion's, whose pixels attend to pixels and context in one softmax.

Ramesh et al. 2022, section 2.1; Nichol et al. 2021, GLIDE: Towards Photorealistic Image Generation and Editing with
Text-Guided Diffusion Models, section 4.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from sevenfold.layers import require_tokens
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.layers.prenorm import PreNormEncoderBlock
from sevenfold.spec import Spec

__all__ = ["ClipDecoder", "ClipDecoderSpec"]

EXTRA_TOKENS = 4


class ClipDecoderSpec(Spec):
    """Settings of the decoder."""

    unet: DiffusionUNetSpec = Field(description="the U-Net; its context is the text encoder's width")
    embedding: int = Field(ge=1, description="width of CLIP's space")
    vocabulary: int = Field(ge=1, description="different text tokens")
    context: int = Field(ge=1, description="text tokens")
    text_layers: int = Field(ge=0, description="blocks of the text encoder; 0 are the words alone")
    text_heads: int = Field(ge=1, description="attention heads of its blocks")

    @property
    def text_width(self) -> int:
        """W."""
        assert self.unet.context is not None
        return self.unet.context


class ClipDecoder(nn.Module):
    """x_t [B, C, S, S], t [B], CLIP embeddings [B, E] and tokens [B, T] -> [B, 2 C, S, S]."""

    def __init__(self, spec: ClipDecoderSpec) -> None:
        super().__init__()
        self.spec = spec
        width, time = spec.text_width, spec.unet.time or 4 * (spec.unet.waves or spec.unet.widths[0])
        self.token_embedding = nn.Embedding(spec.vocabulary, width)
        self.position_embedding = nn.Embedding(spec.context, width)
        self.blocks = nn.ModuleList(
            PreNormEncoderBlock(width=width, heads=spec.text_heads, inner=4 * width, activation="gelu")
            for _ in range(spec.text_layers)
        )
        self.text_norm = nn.LayerNorm(width)
        self.text_to_time = nn.Linear(width, time)
        self.picture_to_time = nn.Linear(spec.embedding, time)
        self.picture_to_context = nn.Linear(spec.embedding, EXTRA_TOKENS * width)
        self.unet = DiffusionUNet(spec.unet)
        for table in (self.token_embedding, self.position_embedding):
            nn.init.normal_(table.weight, std=0.02 if spec.text_layers else 1.0)

    def states(self, tokens: Tensor) -> Tensor:
        """The text encoder's states [B, T, W]."""
        require_tokens("the decoder's text embedding", tokens, self.spec.vocabulary, context=self.spec.context)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x_btd = self.token_embedding(tokens) + self.position_embedding(positions)
        for block in self.blocks:
            x_btd = block(x_btd)
        out: Tensor = self.text_norm(x_btd)
        return out

    def forward(
        self, noisy: Tensor, steps: Tensor, picture: Tensor, tokens: Tensor, told: Tensor | None = None
    ) -> Tensor:
        """``told`` [B] is 0 where the caption is withheld; a picture's embedding is withheld as zeros."""
        states = self.states(tokens)
        if told is not None:
            states = states * told.to(states.dtype)[:, None, None]
        extra = self.picture_to_context(picture).unflatten(1, (EXTRA_TOKENS, -1))
        added = self.picture_to_time(picture) + self.text_to_time(states[:, -1])
        out: Tensor = self.unet(noisy, steps, context=torch.cat([extra, states], dim=1), added=added)
        return out
