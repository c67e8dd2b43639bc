"""The U-Net of diffusion models, from DDPM's to Stable Diffusion's: noisy images and timesteps -> what is asked.

B batch, C channels, H W pixels, L levels, T tokens of a context, D its width.

    x [B, C, H, W] -conv-> down: L levels of residual blocks (with attention where heads > 0), half the side between
                   -> middle: residual, attention, residual
                   -> up: L levels, each block beside the map of its level on the way down; twice the side between
                   -norm, SiLU, conv-> [B, outputs, H, W]

    what it is                        settings
    DDPM 2020                         attention at 16x16, one head
    improved DDPM, guided 2021        modulation scale-shift; guided: resampling by residual blocks, 64-wide heads
    GLIDE, DALL-E 2                   context and joint: pixels look at pixels and tokens in one attention
    latent diffusion 2021             context: transformers over pixels that read tokens, instead of plain attention

Ho, Jain & Abbeel 2020, appendix B; Dhariwal & Nichol 2021, section 3; Rombach et al. 2021, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers.checking import require_images, require_rows
from sevenfold.layers.context_attention import JointAttention, PixelTransformer
from sevenfold.layers.unet_blocks import (
    Downsample,
    Modulation,
    PixelAttention,
    ResidualBlock,
    TimeEmbedding,
    Upsample,
)
from sevenfold.spec import Spec

__all__ = ["DiffusionUNet", "DiffusionUNetSpec", "UNetLevel", "UNetMiddle", "halving"]


class DiffusionUNetSpec(Spec):
    """Settings of the U-Net of diffusion models."""

    image: int = Field(default=32, ge=1, description="side of the images, for an example; any that halves is taken")
    channels: int = Field(default=3, ge=1, description="channels of the images")
    outputs: int = Field(default=3, ge=1, description="channels of what it gives; twice as many with a variance")
    widths: tuple[int, ...] = Field(min_length=1, description="channels of each level, from the finest")
    blocks: int = Field(
        default=2, ge=1, description="residual blocks a level on the way down, one more on the way up"
    )
    heads: tuple[int, ...] = Field(description="attention heads of each level; 0 is a level without attention")
    middle_heads: int = Field(default=1, ge=0, description="attention heads in the middle; 0 is none")
    context: int | None = Field(
        default=None, ge=1, description="width of the tokens that pixels read; none is attention among pixels alone"
    )
    depth: int = Field(
        default=1, ge=1, description="transformer blocks of each attention, where there is a context"
    )
    joint: bool = Field(
        default=False, description="pixels look at pixels and context in one attention, without a transformer"
    )
    waves: int | None = Field(
        default=None, ge=2, description="sines and cosines of the timestep; none is the first of widths"
    )
    time: int | None = Field(default=None, ge=1, description="width of the time embedding; none is 4 x waves")
    classes: int | None = Field(
        default=None, ge=1, description="rows of a class embedding that is added to the time's"
    )
    modulation: Modulation = Field(default="shift", description="how the time enters a block: shift or scale-shift")
    resampling: Literal["convolution", "residual"] = Field(
        default="convolution", description="what halves and doubles the side: a convolution or a residual block"
    )
    padding: Literal["all", "after"] = Field(default="all", description="zeros around a convolution that halves")
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    epsilon: float = Field(default=1e-5, gt=0, description="added to the variance in group norms")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="in training, in each residual block")
    cosines_first: bool = Field(default=True, description="cosines before sines in the embedding of timesteps")
    shift: float = Field(
        default=0.0, description="1 as in DDPM: the last frequency is 1 / 10,000; 0: just before it"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.heads) != len(self.widths):
            raise SpecError(
                "heads does not fit", got=self.heads, expected=f"one number a level: {len(self.widths)}"
            )
        for width, heads in (*zip(self.widths, self.heads, strict=True), (self.widths[-1], self.middle_heads)):
            if width % self.groups or (heads and width % heads):
                raise SpecError(
                    "widths does not fit",
                    got=width,
                    expected=f"a multiple of groups={self.groups}" + (f" and of heads={heads}" if heads else ""),
                )
        return self


class DiffusionUNet(nn.Module):
    """x [B, C, H, W], timesteps [B] (and classes [B], context [B, T, D]) -> [B, outputs, H, W].

    >>> spec = DiffusionUNetSpec(channels=1, outputs=1, widths=(8, 16), heads=(0, 2), groups=4)
    >>> DiffusionUNet(spec)(torch.zeros(2, 1, 8, 8), torch.tensor([0, 5])).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, spec: DiffusionUNetSpec) -> None:
        super().__init__()
        self.spec = spec
        first, last, waves = spec.widths[0], spec.widths[-1], spec.waves or spec.widths[0]
        time = spec.time or 4 * waves
        self.time = TimeEmbedding(waves, time, cosines_first=spec.cosines_first, shift=spec.shift)
        self.classes = None if spec.classes is None else nn.Embedding(spec.classes, time)
        self.enter = nn.Conv2d(spec.channels, first, 3, padding=1)
        kept = [first]
        self.down = nn.ModuleList()
        for level, (width, heads) in enumerate(zip(spec.widths, spec.heads, strict=True)):
            inputs = [kept[-1]] + [width] * (spec.blocks - 1)
            kept += [width] * spec.blocks
            resample = halving(spec, width, time) if level < len(spec.widths) - 1 else None
            kept += [width] if resample is not None else []
            self.down.append(UNetLevel(spec, inputs, width, heads, time, resample))
        self.middle = UNetMiddle(spec, last, time)
        self.up = nn.ModuleList()
        coming = last
        for level in reversed(range(len(spec.widths))):
            width = spec.widths[level]
            inputs = [(coming if block == 0 else width) + kept.pop() for block in range(spec.blocks + 1)]
            resample = _doubling(spec, width, time) if level else None
            self.up.append(UNetLevel(spec, inputs, width, spec.heads[level], time, resample))
            coming = width
        assert not kept
        self.norm = nn.GroupNorm(spec.groups, first, eps=spec.epsilon)
        self.leave = nn.Conv2d(first, spec.outputs, 3, padding=1)

    def forward(
        self,
        x: Tensor,
        steps: Tensor,
        classes: Tensor | None = None,
        context: Tensor | None = None,
        added: Tensor | None = None,
    ) -> Tensor:
        """``added`` [B, E] is added to the embedding of the time."""
        self._check(x, classes, context)
        time_be = self.time(steps) if added is None else self.time(steps) + added
        if self.classes is not None:
            time_be = time_be + self.classes(classes)
        x = self.enter(x)
        kept = [x]
        for level in self.down:
            x = level(x, time_be, context, put=kept.append)
        x = self.middle(x, time_be, context)
        for level in self.up:
            x = level(x, time_be, context, take=kept.pop)
        out: Tensor = self.leave(functional.silu(self.norm(x)))
        return out

    def _check(self, x: Tensor, classes: Tensor | None, context: Tensor | None) -> None:
        spec = self.spec
        require_images("the U-Net's first convolution", x, spec.channels)
        factor = 2 ** (len(spec.widths) - 1)
        if x.shape[2] % factor or x.shape[3] % factor:
            raise UsageError(
                "the U-Net cannot halve these images at every level",
                got=f"{x.shape[2]}x{x.shape[3]} pixels",
                expected=f"multiples of {factor} ({len(spec.widths)} levels)",
            )
        if (classes is None) != (spec.classes is None):
            raise UsageError(
                "the U-Net's class embedding",
                got="no classes" if classes is None else "classes",
                expected="classes [batch]" if classes is None else "none, for there is no class embedding",
            )
        if classes is not None and spec.classes is not None:
            require_rows("the U-Net's class embedding", classes, spec.classes)
        if (context is None) != (spec.context is None):
            raise UsageError(
                "the U-Net's attention to a context",
                got="no context" if context is None else "a context",
                expected=f"[batch, tokens, {spec.context}]" if context is None else "none, for no level reads one",
            )


class UNetLevel(nn.Module):
    """Residual blocks of one size, attention after each where there are heads, then the change of size."""

    def __init__(
        self,
        spec: DiffusionUNetSpec,
        inputs: list[int],
        width: int,
        heads: int,
        time: int,
        resample: nn.Module | None,
    ) -> None:
        super().__init__()
        self.residuals = nn.ModuleList(_residual(spec, one, width, time) for one in inputs)
        self.attentions = nn.ModuleList(_attention(spec, width, heads) for _ in inputs) if heads else None
        self.resample = resample

    def forward(
        self,
        x: Tensor,
        time_be: Tensor,
        context: Tensor | None,
        *,
        put: Callable[[Tensor], None] | None = None,
        take: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        for index, residual in enumerate(self.residuals):
            x = residual(x if take is None else torch.cat([x, take()], dim=1), time_be)
            if self.attentions is not None:
                x = _attended(self.attentions[index], x, context)
            if put is not None:
                put(x)
        if self.resample is not None:
            x = self.resample(x, time_be)
            if put is not None:
                put(x)
        return x


class UNetMiddle(nn.Module):
    """Residual block, attention, residual block, at the coarsest size."""

    def __init__(self, spec: DiffusionUNetSpec, width: int, time: int) -> None:
        super().__init__()
        self.residuals = nn.ModuleList(_residual(spec, width, width, time) for _ in range(2))
        self.attention = _attention(spec, width, spec.middle_heads) if spec.middle_heads else None

    def forward(self, x: Tensor, time_be: Tensor, context: Tensor | None) -> Tensor:
        x = self.residuals[0](x, time_be)
        if self.attention is not None:
            x = _attended(self.attention, x, context)
        out: Tensor = self.residuals[1](x, time_be)
        return out


def _attended(attention: nn.Module, x: Tensor, context: Tensor | None) -> Tensor:
    out: Tensor = attention(x) if context is None else attention(x, context)
    return out


def _attention(spec: DiffusionUNetSpec, width: int, heads: int) -> nn.Module:
    if spec.context is None:
        return PixelAttention(width, heads=heads, groups=spec.groups, epsilon=spec.epsilon)
    if spec.joint:
        return JointAttention(width, heads=heads, context=spec.context, groups=spec.groups, epsilon=spec.epsilon)
    return PixelTransformer(width, heads=heads, context=spec.context, depth=spec.depth, groups=spec.groups)


def _residual(
    spec: DiffusionUNetSpec, inputs: int, width: int, time: int, resampling: Literal["none", "down", "up"] = "none"
) -> ResidualBlock:
    return ResidualBlock(
        inputs,
        width,
        time=time,
        groups=spec.groups,
        epsilon=spec.epsilon,
        dropout=spec.dropout,
        modulation=spec.modulation,
        resampling=resampling,
    )


def halving(spec: DiffusionUNetSpec, width: int, time: int) -> nn.Module:
    """What halves the side between two levels."""
    if spec.resampling == "residual":
        return _residual(spec, width, width, time, "down")
    return Downsample(width, padding=spec.padding)


def _doubling(spec: DiffusionUNetSpec, width: int, time: int) -> nn.Module:
    return _residual(spec, width, width, time, "up") if spec.resampling == "residual" else Upsample(width)
