"""DCGAN: both players of a generative adversarial network as convolutions, in a form that trains stably.

B batch, C channels, S image side, Z latent numbers, W width, F side of the first maps. For S = 64, F = 4:

    generator       z [B, Z], uniform in -1..1 -> 4x4 x 8W -> 8x8 x 4W -> 16x16 x 2W -> 32x32 x W -> 64x64 x C, tanh
    discriminator   64x64 x C -> 32x32 x W -> 16x16 x 2W -> 8x8 x 4W -> 4x4 x 8W -> 1

No pooling and no hidden layer that is fully connected: strided convolutions down, transposed ones up; batch
normalization in both but at the generator's output and the discriminator's input; relu up, leaky relu down (the
guidelines of section 3). The players minimize what those of 2014 do; a call returns -V of each example in nats.

Radford, Metz & Chintala 2015, Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks. `sevenfold.layers.strided_networks` says where each size is from.
"""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sevenfold.layers import Generative, Noise, OnStep, Played, Player, Sampling, require_images, untold
from sevenfold.layers.adversarial import discriminator_cross_entropy, non_saturating
from sevenfold.layers.generative import require_sampling
from sevenfold.layers.strided_networks import StridedDiscriminator, StridedGenerator, require_doublings
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec


class DCGANSpec(Spec):
    """Settings of DCGAN."""

    image: int = Field(default=64, ge=4, description="pixels a side: the first maps' side, doubled at least once")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    latent: int = Field(default=100, ge=1, description="uniform numbers that a sample is made of")
    width: int = Field(default=128, ge=1, description="maps at half the image's side; twice as many a level below")
    first: int = Field(default=4, ge=1, description="side of the first maps, of which a latent vector is a point")

    @model_validator(mode="after")
    def _doublings_reach_the_image(self) -> Self:
        require_doublings(self.image, self.first)
        return self


class DCGAN(Generative, Played):
    """[B, C, S, S] in 0..1 -> -V of each example in nats [B]; ``sample`` draws images in one pass.

    >>> from sevenfold.models import MODELS
    >>> MODELS["dcgan-digits"].build().eval().sample(3, noise=Noise([0, 1, 2])).shape
    torch.Size([3, 1, 8, 8])
    """

    condition = "none"

    def __init__(self, spec: DCGANSpec) -> None:
        super().__init__()
        self.spec = spec
        self.generator = StridedGenerator(
            latent=spec.latent, channels=spec.channels, image=spec.image, width=spec.width, first=spec.first
        )
        self.discriminator = StridedDiscriminator(
            channels=spec.channels, image=spec.image, width=spec.width, first=spec.first
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        (pixels,) = inputs
        require_images("the discriminator of DCGAN", pixels, self.spec.channels, self.spec.image)
        return discriminator_cross_entropy(
            self.discriminator(2 * pixels - 1), self.discriminator(self._generated(pixels))
        )

    def players(self) -> tuple[Player, ...]:
        """The discriminator first, as for the GAN of 2014."""
        return (
            Player("discriminator", tuple(self.discriminator.parameters()), self.discriminator_loss),
            Player("generator", tuple(self.generator.parameters()), self.generator_loss),
        )

    def discriminator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -log D(x) - log(1 - D(G(z))) [], data and samples normalized as batches of their own."""
        with torch.no_grad():
            fake = self._generated(pixels)
        return discriminator_cross_entropy(self.discriminator(2 * pixels - 1), self.discriminator(fake)).mean()

    def generator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -log D(G(z)) []."""
        return non_saturating(self.discriminator(self._generated(pixels))).mean()

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("DCGAN", sampling)
        latents = 2 * noise.uniform(self.spec.latent) - 1
        with torch.no_grad():
            images: Tensor = (self.generator(latents) + 1) / 2
        on_step(1, 1)
        return images

    def _generated(self, like: Tensor) -> Tensor:
        """As many samples as there are images, in -1..1."""
        latents = torch.rand(len(like), self.spec.latent, device=like.device, dtype=like.dtype)
        images: Tensor = self.generator(2 * latents - 1)
        return images


DCGAN_FAMILY = Family(
    landmark=Landmark(
        name="dcgan",
        title="DCGAN",
        family="generative",
        year=2015,
        paper="Radford et al. 2015, Unsupervised Representation Learning with Deep Convolutional GANs",
        constraint="architecture",
        summary="convolutions in both players, and the few rules under which they train stably",
        proof="the count of the implementation that most use; outputs and gradients of both networks equal a slow "
        "reference on loud weights (tests/models/test_dcgan.py)",
    ),
    task="generation",
    spec_type=DCGANSpec,
    module=DCGAN,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
)


@DCGAN_FAMILY.preset("paper", parameters=23_694_592)
def dcgan() -> DCGANSpec:
    """The generator of figure 1: 64x64 pixels from 1,024 maps of 4x4, and the discriminator that mirrors it."""
    return DCGANSpec()


@DCGAN_FAMILY.preset("paper", parameters=6_342_272)
def dcgan_64() -> DCGANSpec:
    """Half as wide, as in the torch implementation: 3,576,704 parameters generate, 2,765,568 discriminate."""
    return DCGANSpec(width=64)


@DCGAN_FAMILY.preset("laptop")
def dcgan_digits() -> DCGANSpec:
    """For 8x8 digits: maps of 2x2, 4x4 and 8x8."""
    return DCGANSpec(image=8, channels=1, latent=32, width=32, first=2)
