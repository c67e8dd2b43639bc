"""StyleGAN: a latent code becomes styles, and a style sets what every map of one layer looks like.

B batch, C channels, S image side (4 times a power of two), L = log2(S) - 1 levels, Z latent numbers, W width (512).
Maps at side s: min(W, 32 W / s).

    mapping         z [B, Z] to unit length -> 8 layers of leaky relu -> w [B, W], at a hundredth of the rate
    synthesis       a learned constant 4x4 x W; two layers a level (the first: doubled, 3x3, blurred)
    a layer         3x3 -> + noise times a learned strength a map -> + bias -> leaky relu -> AdaIN by its own w
                    AdaIN(x, y) = y_s (x - mean) / deviation + y_b                                        equation 1
    to RGB          1x1 at each level; an image at level l fades in while it is grown:
                    share image_l + (1 - share) doubled image_(l-1)
    discriminator   mirrored: 1x1 from RGB; 3x3, blurred, 3x3, halved at each level; at 4x4 the batch's deviation as
                    one more map, 3x3, W units, 1

The discriminator descends -log D(x) - log(1 - D(G(z))) + gamma/2 |grad D(x)|^2, gamma = 10 (R1), the generator
-log D(G(z)). Style mixing: in 90% of training's batches the layers from a random one on have the styles of another
code (section 3.1). Samples are drawn with a moving average of the generator's weights. Truncation: with temperature
psi below 1 the first eight layers' w is moved to its mean, mean + psi (w - mean) (appendix B). A call returns
-log D(x) - log(1 - D(G(z))) of each example in nats.

Growth: `growth` images with a new level fading in, as many with it whole, from 8x8 on (Karras et al. 2018); the
level is a function of the images shown. The release forgets Adam's averages when a level begins; here they stay.

With S = 1024: 18 layers; mapping 2,101,248, synthesis 24,118,379, discriminator 23,087,249 parameters.

Karras, Laine & Aila 2019, A Style-Based Generator Architecture for Generative Adversarial Networks; order, scales
and widths as in the authors' release (github.com/NVlabs/stylegan).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError
from sevenfold.layers import (
    AveragedWeights,
    Generative,
    Noise,
    OnStep,
    Played,
    Player,
    Sampling,
    require_images,
    untold,
)
from sevenfold.layers.adversarial import discriminator_cross_entropy, non_saturating, r1_penalty
from sevenfold.layers.equalized import (
    AdaptiveInstanceNorm,
    EqualizedConvolution,
    EqualizedLinear,
    blurred,
    doubled,
    halved,
    leaky,
    unit_features,
    with_deviation,
)
from sevenfold.layers.generative import require_sampling
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec

Drawn = Callable[[int], Tensor]  # the side of a level -> noise [B, 1, side, side]

FIRST_SIDE = 4
_TRUNCATED = 8  # layers


class StyleGANSpec(Spec):
    """Settings of StyleGAN."""

    image: int = Field(default=1024, ge=8, description="pixels a side: 8, 16, 32, ...")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    latent: int = Field(default=512, ge=1, description="normal numbers that a sample is made of")
    width: int = Field(default=512, ge=1, description="numbers of a style, and maps up to 32x32, then halved")
    mapping: int = Field(default=8, ge=1, description="layers from a latent code to a style")
    mapping_rate: float = Field(default=0.01, gt=0, description="share of the learning rate that the mapping has")
    mixing: float = Field(default=0.9, ge=0, le=1, description="share of batches with the styles of two codes")
    penalty: float = Field(default=10.0, ge=0, description="gamma: weight of half the squared slope at real images")
    average: float = Field(default=0.999, ge=0, lt=1, description="decay of the average of the generator's weights")
    growth: int = Field(
        default=600_000, ge=0, description="images while a level fades in, and as many after; 0: all levels at once"
    )

    @property
    def levels(self) -> int:
        """Sides 4, 8, ..., image."""
        return int(math.log2(self.image)) - 1

    def maps(self, level: int) -> int:
        """Maps at side 4 x 2^level."""
        return min(self.width, max(1, 32 * self.width // (FIRST_SIDE << level)))

    @model_validator(mode="after")
    def _side_is_a_power_of_two(self) -> Self:
        if self.image & (self.image - 1):
            near = 2 ** round(math.log2(self.image))
            raise SpecError("image does not fit", got=self.image, expected="8, 16, 32, ...", hint=f"image={near}")
        return self


class Mapping(nn.Module):
    """z [B, Z] -> w [B, W]; `mean` follows the w of training, for truncation."""

    mean: Tensor

    def __init__(self, spec: StyleGANSpec) -> None:
        super().__init__()
        sizes = [spec.latent] + [spec.width] * spec.mapping
        self.layers = nn.ModuleList(
            EqualizedLinear(inputs, outputs, rate=spec.mapping_rate) for inputs, outputs in pairwise(sizes)
        )
        self.register_buffer("mean", torch.zeros(spec.width))

    def forward(self, latents: Tensor) -> Tensor:
        w = unit_features(latents)
        for layer in self.layers:
            w = leaky(layer(w))
        return w


class StyledLayer(nn.Module):
    """Maps [B, inputs, S, S] and a style [B, W] -> [B, maps, S, S], or of twice the side (``up``)."""

    def __init__(self, inputs: int | None, maps: int, width: int, *, up: bool = False) -> None:
        super().__init__()
        self.up = up
        self.convolution = None if inputs is None else EqualizedConvolution(inputs, maps, 3, bias=False)
        self.noise_strength = nn.Parameter(torch.zeros(maps))
        self.bias = nn.Parameter(torch.zeros(maps))
        self.norm = AdaptiveInstanceNorm(maps, width)

    def forward(self, x: Tensor, w: Tensor, drawn: Drawn) -> Tensor:
        if self.convolution is not None:
            x = self.convolution(doubled(x) if self.up else x)
            x = blurred(x) if self.up else x
        x = x + drawn(x.shape[-1]) * self.noise_strength[:, None, None] + self.bias[:, None, None]
        out: Tensor = self.norm(leaky(x), w)
        return out


class Generator(nn.Module):
    """Latents -> images [B, C, side, side] in about -1..1, up to a level with its share of the fading in."""

    def __init__(self, spec: StyleGANSpec) -> None:
        super().__init__()
        self.spec = spec
        self.mapping = Mapping(spec)
        self.constant = nn.Parameter(torch.ones(spec.maps(0), FIRST_SIDE, FIRST_SIDE))
        layers = [StyledLayer(None, spec.maps(0), spec.width), StyledLayer(spec.maps(0), spec.maps(0), spec.width)]
        for level in range(1, spec.levels):
            layers.append(StyledLayer(spec.maps(level - 1), spec.maps(level), spec.width, up=True))
            layers.append(StyledLayer(spec.maps(level), spec.maps(level), spec.width))
        self.layers = nn.ModuleList(layers)
        shown = range(spec.levels) if spec.growth else (spec.levels - 1,)
        self.to_rgb = nn.ModuleDict(
            {str(level): EqualizedConvolution(spec.maps(level), spec.channels, 1, gain=1.0) for level in shown}
        )

    def synthesize(self, styles: Tensor, drawn: Drawn, level: float) -> Tensor:
        """Styles [B, layers, W] -> images at the side of ``level``, rounded up."""
        top, share = math.ceil(level), level - math.floor(level)
        x = self.constant.expand(len(styles), -1, -1, -1)
        below: Tensor | None = None
        for at in range(top + 1):
            if at == top and share:
                below = doubled(self.to_rgb[str(at - 1)](x))
            for number in (2 * at, 2 * at + 1):
                x = self.layers[number](x, styles[:, number], drawn)
        image: Tensor = self.to_rgb[str(top)](x)
        return image if below is None else torch.lerp(below, image, share)

    def training_styles(self, latents: Tensor, others: Tensor, mixed_from: int | None) -> Tensor:
        """[B, layers, W]: of one code, or from layer ``mixed_from`` on of another."""
        w: Tensor = self.mapping(latents)
        if self.training:
            with torch.no_grad():
                self.mapping.mean.lerp_(w.detach().mean(0).to(self.mapping.mean), 0.005)
        styles = w[:, None].repeat(1, len(self.layers), 1)
        if mixed_from is not None:
            styles[:, mixed_from:] = self.mapping(others)[:, None]
        return styles

    def truncated_styles(self, latents: Tensor, psi: float) -> Tensor:
        """[B, layers, W]: the first eight layers' styles moved towards their mean."""
        w = self.mapping(latents)
        near = torch.lerp(self.mapping.mean.expand_as(w), w, psi)
        first = min(_TRUNCATED, len(self.layers))
        return torch.cat([near[:, None].repeat(1, first, 1), w[:, None].repeat(1, len(self.layers) - first, 1)], 1)


class DiscriminatorLevel(nn.Module):
    """Maps of one level to those of the level below: [B, C, S, S] -> [B, C', S / 2, S / 2]."""

    def __init__(self, spec: StyleGANSpec, level: int) -> None:
        super().__init__()
        self.first = EqualizedConvolution(spec.maps(level), spec.maps(level), 3)
        self.second = EqualizedConvolution(spec.maps(level), spec.maps(level - 1), 3, bias=False)
        self.bias = nn.Parameter(torch.zeros(spec.maps(level - 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = halved(self.second(blurred(leaky(self.first(x)))))
        return leaky(x + self.bias[:, None, None])


class Discriminator(nn.Module):
    """Images [B, C, side, side] of a level -> logits [B]; `fade` is the level and its share."""

    def __init__(self, spec: StyleGANSpec) -> None:
        super().__init__()
        shown = range(spec.levels) if spec.growth else (spec.levels - 1,)
        self.from_rgb = nn.ModuleDict(
            {str(level): EqualizedConvolution(spec.channels, spec.maps(level), 1) for level in shown}
        )
        self.levels = nn.ModuleList(DiscriminatorLevel(spec, level) for level in range(1, spec.levels))
        self.convolution = EqualizedConvolution(spec.maps(0) + 1, spec.maps(0), 3)
        self.hidden = EqualizedLinear(spec.maps(0) * FIRST_SIDE**2, spec.width)
        self.logit = EqualizedLinear(spec.width, 1, gain=1.0)

    def forward(self, images: Tensor, level: float) -> Tensor:
        top, share = math.ceil(level), level - math.floor(level)
        x = leaky(self.from_rgb[str(top)](images))
        for at in range(top, 0, -1):
            x = self.levels[at - 1](x)
            if at == top and share:
                x = torch.lerp(leaky(self.from_rgb[str(at - 1)](halved(images))), x, share)
        x = leaky(self.hidden(leaky(self.convolution(with_deviation(x))).flatten(1)))
        logits: Tensor = self.logit(x).flatten(0)
        return logits


class StyleGAN(Generative, Played):
    """[B, C, S, S] in 0..1 -> -log D(x) - log(1 - D(G(z))) of each example in nats [B].

    >>> from sevenfold.models import MODELS
    >>> MODELS["stylegan-digits"].build().sample(3, noise=Noise([0, 1, 2])).shape
    torch.Size([3, 1, 8, 8])
    """

    condition = "none"
    shown: Tensor  # images that the discriminator has learned from

    def __init__(self, spec: StyleGANSpec) -> None:
        super().__init__()
        self.spec = spec
        self.generator, self.discriminator = Generator(spec), Discriminator(spec)
        self.average = AveragedWeights(self.generator, spec.average)
        self.register_buffer("shown", torch.zeros((), dtype=torch.int64))

    def forward(self, *inputs: Tensor) -> Tensor:
        (pixels,) = inputs
        level = self.level()
        real = self.discriminator(self.real_images(pixels, level), level)
        return discriminator_cross_entropy(real, self.discriminator(self._generated(pixels, level), level))

    def level(self) -> float:
        """The level that is trained, 0 for 4x4; between two while the upper one fades in."""
        last = self.spec.levels - 1
        if not self.spec.growth or self.shown.device.type == "meta":
            return float(last)
        phase, within = divmod(int(self.shown), 2 * self.spec.growth)
        return min(1.0 + phase + max(0, within - self.spec.growth) / self.spec.growth, float(last))

    def players(self) -> tuple[Player, ...]:
        """The discriminator first."""
        return (
            Player("discriminator", tuple(self.discriminator.parameters()), self.discriminator_loss),
            Player("generator", tuple(self.generator.parameters()), self.generator_loss),
        )

    def discriminator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -log D(x) - log(1 - D(G(z))) + gamma/2 |grad D(x)|^2 []."""
        level = self.level()
        real = self.real_images(pixels, level)
        with torch.no_grad():
            fake = self._generated(pixels, level)
        loss = discriminator_cross_entropy(self.discriminator(real, level), self.discriminator(fake, level))
        if self.spec.penalty:
            slopes = r1_penalty(lambda images: self.discriminator(images, level), real)
            loss = loss + self.spec.penalty / 2 * slopes
        if self.training:
            self.shown += len(pixels)
        return loss.mean()

    def generator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -log D(G(z)) []."""
        level = self.level()
        return non_saturating(self.discriminator(self._generated(pixels, level), level)).mean()

    def real_images(self, pixels: Tensor, level: float) -> Tensor:
        """Images in -1..1 at the side of a level, as blurred as its fading in."""
        require_images("the discriminator of StyleGAN", pixels, self.spec.channels, self.spec.image)
        images = F.avg_pool2d(2 * pixels - 1, 1 << (self.spec.levels - 1 - math.ceil(level)))
        share = level - math.floor(level)
        return torch.lerp(doubled(halved(images)), images, share) if share else images

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("StyleGAN", sampling, "temperature")
        latents, level = noise.normal(self.spec.latent), self.level()
        with torch.no_grad(), self.average.applied():
            styles = self.generator.truncated_styles(latents, sampling.temperature)
            images = self.generator.synthesize(styles, lambda side: noise.normal(1, side, side), level)
        images = F.interpolate(images, scale_factor=self.spec.image // images.shape[-1], mode="nearest")
        on_step(1, 1)
        return ((images + 1) / 2).clamp(0, 1)

    def _generated(self, like: Tensor, level: float) -> Tensor:
        """As many samples as there are images, in about -1..1, some of mixed styles."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(len(like), *shape, device=like.device, dtype=like.dtype)

        layers = 2 * math.ceil(level) + 2
        mixes = self.training and float(torch.rand(())) < self.spec.mixing
        mixed_from = int(torch.randint(1, layers, ())) if mixes else None
        styles = self.generator.training_styles(normal(self.spec.latent), normal(self.spec.latent), mixed_from)
        return self.generator.synthesize(styles, lambda side: normal(1, side, side), level)


STYLEGAN = Family(
    landmark=Landmark(
        name="stylegan",
        title="StyleGAN",
        family="generative",
        year=2019,
        paper="Karras et al. 2019, A Style-Based Generator Architecture for Generative Adversarial Networks",
        constraint="architecture",
        summary="styles and noise enter at every layer, so that coarse and fine traits come apart",
        proof="the release's printed parameter counts at 1024x1024; outputs and gradients of generator and "
        "discriminator equal a slow reference on loud weights, also while growing (tests/models/test_stylegan.py)",
    ),
    task="generation",
    spec_type=StyleGANSpec,
    module=StyleGAN,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
)


@STYLEGAN.preset("paper", parameters=49_306_876)
def stylegan() -> StyleGANSpec:
    """FFHQ at 1024x1024: 26,219,627 parameters generate, 23,087,249 discriminate."""
    return StyleGANSpec()


@STYLEGAN.preset("laptop")
def stylegan_digits() -> StyleGANSpec:
    """For 8x8 digits: both levels at once, 24 maps, a mapping of two layers that learns at a tenth of the rate."""
    return StyleGANSpec(
        image=8,
        channels=1,
        latent=32,
        width=24,
        mapping=2,
        mapping_rate=0.1,
        mixing=0.5,
        penalty=0.01,
        average=0.99,
        growth=0,
    )
