"""The first stage of latent diffusion: an autoencoder whose latents are small images, Gaussian or of a codebook.

B batch, C channels, H W pixels, Z channels of the latent, F = 2^(levels - 1) the factor in side, K codes.

    images in -1..1 -conv, levels of residual blocks, half the side between, middle with attention, norm, conv->
        AutoencoderKL   [B, 2 Z, H/F, W/F] = mean and log variance of a normal distribution
        VQAutoencoder   [B, Z', H/F, W/F], each pixel replaced by the nearest of K codes
    latents -conv, middle, levels of residual blocks, twice the side between, norm, conv-> images

The decoder of the VQ form quantizes what it gets, so that diffusion runs on latents before quantization (section
3.1: "the quantization layer is absorbed by the decoder").

Rombach, Blattmann, Lorenz, Esser & Ommer 2021, High-Resolution Image Synthesis with Latent Diffusion Models,
section 3.1, appendix G; the network is Esser, Rombach & Ommer 2020, Taming Transformers, table 7.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers.checking import require_images
from sevenfold.layers.quantizing import Codebook, Quantized
from sevenfold.layers.unet_blocks import Downsample, PixelAttention, ResidualBlock, Upsample
from sevenfold.spec import Spec

__all__ = ["AutoencoderKL", "AutoencoderSpec", "VQAutoencoder", "gaussian_divergence"]

EPSILON = 1e-6  # of every group norm in these networks


class AutoencoderSpec(Spec):
    """Settings of the autoencoders of latent diffusion."""

    image: int = Field(default=32, ge=1, description="side of the images, for an example; any that halves is taken")
    channels: int = Field(default=3, ge=1, description="channels of the images")
    widths: tuple[int, ...] = Field(min_length=1, description="channels of each level, from the finest")
    blocks: int = Field(
        default=2, ge=1, description="residual blocks a level of the encoder, one more in the decoder"
    )
    latent: int = Field(default=4, ge=1, description="channels of the latent")
    attends: tuple[bool, ...] | None = Field(
        default=None, description="levels with attention after each block; none is in the middle alone"
    )
    middle_attention: bool = Field(default=True, description="attention in the middle of encoder and decoder")
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    scale: float = Field(default=0.18215, gt=0, description="latents times this have a variance near 1")
    codes: int | None = Field(default=None, ge=1, description="codes in the codebook; none is the Gaussian latent")
    code_width: int | None = Field(default=None, ge=1, description="width of a code; none is that of the latent")
    projected: bool = Field(default=True, description="a 1x1 convolution before and after the latent")

    @property
    def factor(self) -> int:
        """How many pixels a side one pixel of the latent stands for."""
        return 1 << (len(self.widths) - 1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.attends is not None and len(self.attends) != len(self.widths):
            raise SpecError("attends does not fit", got=self.attends, expected=f"{len(self.widths)}, one a level")
        if any(width % self.groups for width in self.widths):
            raise SpecError("widths does not fit", got=self.widths, expected=f"multiples of groups={self.groups}")
        return self


class AutoencoderKL(nn.Module):
    """Images [B, C, H, W] in -1..1 -> reconstruction by the mean of the latent.

    >>> spec = AutoencoderSpec(channels=1, widths=(8, 16), blocks=1, latent=2, groups=4)
    >>> AutoencoderKL(spec).encode(torch.zeros(3, 1, 8, 8))[0].shape
    torch.Size([3, 2, 4, 4])
    """

    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__()
        if spec.codes is not None:
            raise SpecError("a Gaussian latent has no codes", got=f"codes={spec.codes}", expected="none")
        self.spec = spec
        self.encoder = _Encoder(spec, 2 * spec.latent)
        self.decoder = _Decoder(spec)
        self.after_encoder = nn.Conv2d(2 * spec.latent, 2 * spec.latent, 1) if spec.projected else nn.Identity()
        self.before_decoder = nn.Conv2d(spec.latent, spec.latent, 1) if spec.projected else nn.Identity()

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent, each [B, Z, H/F, W/F]; the log variance is held to -30..20."""
        _require_halving(self.spec, images)
        mean, log_variance = self.after_encoder(self.encoder(images)).chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, Z, H/F, W/F] (not scaled) -> images [B, C, H, W]."""
        out: Tensor = self.decoder(self.before_decoder(latents))
        return out

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images)[0])


class VQAutoencoder(nn.Module):
    """Images [B, C, H, W] in -1..1 -> reconstruction from the nearest codes.

    >>> spec = AutoencoderSpec(channels=1, widths=(8, 16), blocks=1, latent=2, groups=4, codes=5)
    >>> VQAutoencoder(spec)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 1, 8, 8])
    """

    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__()
        if spec.codes is None:
            raise SpecError("a codebook needs codes", got="none", expected="codes=8192, for example")
        self.spec = spec
        width = spec.code_width or spec.latent
        self.encoder = _Encoder(spec, spec.latent)
        self.after_encoder = nn.Conv2d(spec.latent, width, 1)
        self.codebook = Codebook(spec.codes, width)
        self.before_decoder = nn.Conv2d(width, spec.latent, 1)
        self.decoder = _Decoder(spec)

    def encode(self, images: Tensor) -> Tensor:
        """Latents before quantization [B, Z', H/F, W/F]."""
        _require_halving(self.spec, images)
        out: Tensor = self.after_encoder(self.encoder(images))
        return out

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, Z', H/F, W/F] -> nearest codes -> images [B, C, H, W]."""
        out: Tensor = self.decoder(self.before_decoder(self.codebook(latents).codes))
        return out

    def codebook_loss(self, latents: Tensor, commitment: float = 0.25) -> Tensor:
        """Codes to latents, and ``commitment`` times latents to codes, a mean over each example: [B].

        Source: van den Oord, Vinyals & Kavukcuoglu 2017, equation 3.
        """
        found: Quantized = self.codebook(latents)
        return found.codebook_loss + commitment * found.commitment_loss

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each example, in nats: [B, ...] -> [B].

    >>> gaussian_divergence(torch.ones(1, 3), torch.zeros(1, 3)).tolist()
    [1.5]
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1)


def _require_halving(spec: AutoencoderSpec, images: Tensor) -> None:
    require_images("the autoencoder's first convolution", images, spec.channels)
    if images.shape[2] % spec.factor or images.shape[3] % spec.factor:
        raise UsageError(
            "the autoencoder cannot halve these images at every level",
            got=f"{images.shape[2]}x{images.shape[3]} pixels",
            expected=f"multiples of {spec.factor} ({len(spec.widths)} levels)",
        )


class _Encoder(nn.Module):
    def __init__(self, spec: AutoencoderSpec, outputs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(spec.channels, spec.widths[0], 3, padding=1)
        self.levels = nn.ModuleList()
        inputs = spec.widths[0]
        for level, width in enumerate(spec.widths):
            resample = Downsample(width, padding="after") if level < len(spec.widths) - 1 else None
            self.levels.append(_Level(spec, inputs, width, spec.blocks, _attends(spec, level), resample))
            inputs = width
        self.middle = _Middle(spec)
        self.norm = nn.GroupNorm(spec.groups, spec.widths[-1], eps=EPSILON)
        self.leave = nn.Conv2d(spec.widths[-1], outputs, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.enter(images)
        for level in self.levels:
            x = level(x)
        out: Tensor = self.leave(functional.silu(self.norm(self.middle(x))))
        return out


class _Decoder(nn.Module):
    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__()
        self.enter = nn.Conv2d(spec.latent, spec.widths[-1], 3, padding=1)
        self.middle = _Middle(spec)
        self.levels = nn.ModuleList()
        inputs = spec.widths[-1]
        for level in reversed(range(len(spec.widths))):
            width = spec.widths[level]
            resample = Upsample(width) if level else None
            self.levels.append(_Level(spec, inputs, width, spec.blocks + 1, _attends(spec, level), resample))
            inputs = width
        self.norm = nn.GroupNorm(spec.groups, spec.widths[0], eps=EPSILON)
        self.leave = nn.Conv2d(spec.widths[0], spec.channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.middle(self.enter(latents))
        for level in self.levels:
            x = level(x)
        out: Tensor = self.leave(functional.silu(self.norm(x)))
        return out


class _Level(nn.Module):
    """Residual blocks of one size, attention after each where asked, then the change of size."""

    def __init__(
        self, spec: AutoencoderSpec, inputs: int, width: int, blocks: int, attends: bool, resample: nn.Module | None
    ) -> None:
        super().__init__()
        self.residuals = nn.ModuleList(_residual(spec, inputs if i == 0 else width, width) for i in range(blocks))
        self.attentions = nn.ModuleList(_attention(spec, width) for _ in range(blocks)) if attends else None
        self.resample = resample

    def forward(self, x: Tensor) -> Tensor:
        for index, residual in enumerate(self.residuals):
            x = residual(x)
            if self.attentions is not None:
                x = self.attentions[index](x)
        return x if self.resample is None else self.resample(x)


class _Middle(nn.Module):
    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__()
        width = spec.widths[-1]
        self.residuals = nn.ModuleList(_residual(spec, width, width) for _ in range(2))
        self.attention = _attention(spec, width) if spec.middle_attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.residuals[1](self.attention(self.residuals[0](x)))
        return out


def _residual(spec: AutoencoderSpec, inputs: int, width: int) -> ResidualBlock:
    return ResidualBlock(inputs, width, time=None, groups=spec.groups, epsilon=EPSILON)


def _attention(spec: AutoencoderSpec, width: int) -> PixelAttention:
    return PixelAttention(width, heads=1, groups=spec.groups, epsilon=EPSILON)


def _attends(spec: AutoencoderSpec, level: int) -> bool:
    return spec.attends is not None and spec.attends[level]
