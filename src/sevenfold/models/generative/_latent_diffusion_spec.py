"""The settings of latent diffusion, and what they make of its two stages."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from sevenfold.errors import SpecError
from sevenfold.layers.diffusion_unet import DiffusionUNetSpec
from sevenfold.layers.image_autoencoder import AutoencoderSpec
from sevenfold.spec import Spec

__all__ = ["LatentDiffusionSpec"]


class LatentDiffusionSpec(Spec):
    """Settings of latent diffusion: both stages, what is told, and how samples are drawn."""

    image: int = Field(ge=1, description="pixels a side; has to halve between the levels of both stages")
    channels: int = Field(default=3, ge=1, description="channels of the images")
    latent: int = Field(default=4, ge=1, description="channels of the latent")
    codes: int | None = Field(default=None, ge=1, description="codes of the first stage; none is a Gaussian latent")
    encoder_width: int = Field(default=128, ge=1, description="channels that encoder_multiples multiply")
    encoder_multiples: tuple[int, ...] = Field(
        min_length=1, description="channels of each level of the autoencoder"
    )
    encoder_blocks: int = Field(default=2, ge=1, description="residual blocks a level of the encoder")
    divergence: float = Field(default=1e-6, ge=0, description="weight of the KL beside the error of a pixel")
    first_share: float = Field(
        default=0.5, gt=0, lt=1, description="share of the run in which the first stage learns"
    )
    width: int = Field(ge=1, description="channels that multiples multiply; a multiple of groups")
    multiples: tuple[int, ...] = Field(min_length=1, description="channels of each level of the U-Net, in widths")
    blocks: int = Field(default=2, ge=1, description="residual blocks a level of the U-Net, one more up")
    attention: tuple[int, ...] = Field(description="levels of the U-Net that look at tokens, the finest is 0")
    heads: int | None = Field(
        default=None, ge=1, description="attention heads, whatever the width; none: head_width"
    )
    head_width: int = Field(default=32, ge=1, description="channels of an attention head")
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    classes: int = Field(default=0, ge=0, description="classes to tell, 0 where none are")
    vocabulary: int = Field(default=0, ge=0, description="tokens of captions to tell, 0 where there are none")
    context: int = Field(default=77, ge=1, description="longest caption in tokens")
    token_width: int = Field(default=512, ge=1, description="width of what the pixels look at")
    token_layers: int = Field(default=0, ge=0, description="blocks of the caption's encoder")
    token_heads: int = Field(default=8, ge=1, description="attention heads of the caption's encoder")
    token_encoder: Literal["bidirectional", "causal"] = Field(
        default="bidirectional", description="bidirectional (the paper's), or causal (CLIP's text tower)"
    )
    untold: float = Field(default=0.1, ge=0, lt=1, description="probability that what is told is not told")
    steps: int = Field(default=1000, ge=2, description="steps from latents to noise")
    first_beta: float | None = Field(default=None, gt=0, lt=1, description="share of noise of the first step")
    last_beta: float | None = Field(default=None, gt=0, lt=1, description="share of noise of the last step")
    walked: int = Field(default=50, ge=1, description="steps that samples take, where none are asked for")
    eta: float = Field(
        default=0.0, ge=0, description="share of fresh noise a step: 0 is DDIM, 1 is DDPM's variance"
    )
    guidance: float = Field(default=1.0, ge=0, description="1 is no guidance, 0 what is told is not told")
    average: float = Field(default=0.9999, ge=0, lt=1, description="decay of the moving average of the U-Net")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        factor = 1 << (len(self.encoder_multiples) + len(self.multiples) - 2)
        if self.image % factor:
            expected = f"a multiple of {factor}, to halve between all levels of both stages"
            raise SpecError("image does not fit", got=self.image, expected=expected)
        if self.classes and self.vocabulary:
            raise SpecError("classes or captions are told, not both", got=f"classes={self.classes}", expected="0")
        if self.walked > self.steps:
            raise SpecError("walked does not fit", got=self.walked, expected=f"at most steps={self.steps}")
        self.autoencoder()
        self.unet()
        return self

    def autoencoder(self) -> AutoencoderSpec:
        """The first stage."""
        return AutoencoderSpec(
            image=self.image,
            channels=self.channels,
            widths=tuple(self.encoder_width * multiple for multiple in self.encoder_multiples),
            blocks=self.encoder_blocks,
            latent=self.latent,
            groups=self.groups,
            codes=self.codes,
        )

    def unet(self) -> DiffusionUNetSpec:
        """The second stage."""
        widths = tuple(self.width * multiple for multiple in self.multiples)
        heads = tuple(self.heads or max(1, width // self.head_width) for width in widths)
        return DiffusionUNetSpec(
            image=self.image >> (len(self.encoder_multiples) - 1),
            channels=self.latent,
            outputs=self.latent,
            widths=widths,
            blocks=self.blocks,
            heads=tuple(number if level in self.attention else 0 for level, number in enumerate(heads)),
            middle_heads=heads[-1],
            context=self.token_width if self.classes or self.vocabulary else None,
            groups=self.groups,
        )
