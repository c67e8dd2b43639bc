"""Settings of DALL-E 2, and those of its three parts that follow from them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from sevenfold.errors import SpecError
from sevenfold.layers.diffusion_unet import DiffusionUNetSpec
from sevenfold.models.generative._clip_decoder import ClipDecoderSpec
from sevenfold.models.generative._prior import PriorSpec
from sevenfold.models.transformer.clip import CLIPSpec
from sevenfold.spec import Spec

__all__ = ["DALLE2Spec"]


class DALLE2Spec(Spec):
    """Settings of DALL-E 2."""

    image: int = Field(default=64, ge=1, description="pixels a side of what is drawn")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    vocabulary: int = Field(default=49_408, ge=2, description="different text tokens; the largest ends a text")
    context: int = Field(default=77, ge=1, description="text tokens")
    clip_image: int | None = Field(default=None, ge=1, description="pixels a side that CLIP reads; none is image")
    patch: int = Field(ge=1, description="pixels a side of CLIP's patches")
    vision_width: int = Field(ge=1, description="width of CLIP's image tower")
    vision_layers: int = Field(ge=1, description="blocks of CLIP's image tower")
    vision_heads: int = Field(ge=1, description="heads of CLIP's image tower")
    embedding: int = Field(ge=1, description="width of CLIP's space and of its text tower")
    text_layers: int = Field(ge=1, description="blocks of CLIP's text tower")
    text_heads: int = Field(ge=1, description="heads of CLIP's text tower")
    embedding_scale: float = Field(default=17.2, gt=0, description="by which embeddings are diffused (appendix C)")
    prior_layers: int = Field(ge=1, description="blocks of the prior")
    prior_heads: int = Field(ge=1, description="attention heads of the prior")
    prior_head_width: int = Field(default=64, ge=2, description="width of its heads; even")
    prior_walked: int = Field(default=64, ge=1, description="steps in which the prior is sampled")
    prior_guidance: float = Field(default=1.0, ge=0, description="its guidance; 1 is none")
    width: int = Field(ge=1, description="channels that the multiples multiply; a multiple of groups")
    multiples: tuple[int, ...] = Field(min_length=1, description="channels of each level of the decoder, in widths")
    blocks: int = Field(ge=1, description="residual blocks a level of the decoder")
    attention: tuple[int, ...] = Field(default=(32, 16, 8), description="sides of the maps that attend")
    head_width: int = Field(default=64, ge=1, description="channels of an attention head of the decoder")
    reader_width: int = Field(ge=1, description="width of the decoder's text encoder")
    reader_layers: int = Field(ge=0, description="blocks of the decoder's text encoder; 0 are the words alone")
    reader_heads: int = Field(ge=1, description="heads of the decoder's text encoder")
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="in training, in the decoder's residual blocks")
    steps: int = Field(default=1000, ge=1, description="steps from data to noise, of the prior and the decoder")
    walked: int = Field(default=250, ge=1, description="steps in which the decoder is sampled")
    guidance: float = Field(default=3.0, ge=0, description="the decoder's guidance; 1 is none")
    levels: int = Field(default=256, ge=2, description="values that a pixel of the data has")
    decay: float = Field(default=0.9999, ge=0, lt=1, description="of the moving averages of weights that sample")
    clip_stage: float = Field(default=0.2, gt=0, lt=1, description="share of a run that trains CLIP")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if max(self.walked, self.prior_walked) > self.steps:
            got = max(self.walked, self.prior_walked)
            raise SpecError("walked does not fit", got=got, expected=f"at most steps={self.steps}")
        halvings = 1 << (len(self.multiples) - 1)
        if self.image % halvings:
            raise SpecError("image does not fit", got=self.image, expected=f"a multiple of {halvings}")
        if self.embedding % self.text_heads:
            expected = f"a multiple of text_heads={self.text_heads}"
            raise SpecError("embedding does not fit", got=self.embedding, expected=expected)
        self.clip()
        self.decoder()
        return self

    def clip(self) -> CLIPSpec:
        """CLIP, whose text tower is as wide as its space."""
        return CLIPSpec(
            image=self.clip_image or self.image,
            patch=self.patch,
            channels=self.channels,
            vision_width=self.vision_width,
            vision_layers=self.vision_layers,
            vision_heads=self.vision_heads,
            vocabulary=self.vocabulary,
            context=self.context,
            text_width=self.embedding,
            text_layers=self.text_layers,
            text_heads=self.text_heads,
            embedding=self.embedding,
        )

    def prior(self) -> PriorSpec:
        """The prior's transformer."""
        return PriorSpec(
            heads=self.prior_heads,
            head_width=self.prior_head_width,
            layers=self.prior_layers,
            embedding=self.embedding,
            context=self.context,
        )

    def decoder(self) -> ClipDecoderSpec:
        """The decoder: GLIDE's U-Net, with twice the channels for the variance."""
        widths = tuple(multiple * self.width for multiple in self.multiples)
        of_each = tuple(max(1, width // self.head_width) for width in widths)
        attends = tuple((self.image >> level) in self.attention for level in range(len(widths)))
        unet = DiffusionUNetSpec(
            image=self.image,
            channels=self.channels,
            outputs=2 * self.channels,
            widths=widths,
            blocks=self.blocks,
            heads=tuple(number if attend else 0 for number, attend in zip(of_each, attends, strict=True)),
            middle_heads=of_each[-1],
            context=self.reader_width,
            joint=True,
            modulation="scale-shift",
            resampling="residual",
            groups=self.groups,
            dropout=self.dropout,
        )
        return ClipDecoderSpec(
            unet=unet,
            embedding=self.embedding,
            vocabulary=self.vocabulary,
            context=self.context,
            text_layers=self.reader_layers,
            text_heads=self.reader_heads,
        )
