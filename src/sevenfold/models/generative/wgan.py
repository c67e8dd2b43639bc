"""The Wasserstein GAN: a critic of bounded slope measures how far samples are from the data, and never saturates.

B batch, C channels, S image side, Z latent numbers, W width, c the bound on the critic's weights.

    W(p, q) = sup over |f|_L <= 1 of E[f(x)] - E[f(x')]                      equation 2 (Kantorovich-Rubinstein)
    critic       descends f(G(z)) - f(x), n_critic = 5 times a step; after   algorithm 1, lines 2 to 8
                 each its weights are clipped to -c..c, c = 0.01
    generator    descends -f(G(z)), once                                     lines 9 to 11

Clipping keeps f within some slope K that nobody knows, so that minus the critic's loss is the distance times K: its
course means something (it falls as samples get better, section 4.2), its size does not. A call returns
f(G(z)) - f(x) of each example. The step's batch is cut into one part for each of the critic's updates; the
generator draws as many samples as are in one.

Networks: those of DCGAN, the critic without a sigmoid (section 4.1). RMSProp, since training with
momentum was unstable. Latents are normal, as in the authors' release.

Arjovsky, Chintala & Bottou 2017, Wasserstein GAN.
"""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sevenfold.layers import (
    AfterUpdate,
    Generative,
    Noise,
    OnStep,
    Played,
    Player,
    Sampling,
    require_images,
    untold,
)
from sevenfold.layers.adversarial import clip_weights, wasserstein
from sevenfold.layers.generative import require_sampling
from sevenfold.layers.strided_networks import StridedDiscriminator, StridedGenerator, require_doublings
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec


class WGANSpec(Spec):
    """Settings of the Wasserstein GAN with clipped weights."""

    image: int = Field(default=64, ge=4, description="pixels a side: the first maps' side, doubled at least once")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    latent: int = Field(default=100, ge=1, description="normal numbers that a sample is made of")
    width: int = Field(default=64, ge=1, description="maps at half the image's side; twice as many a level below")
    first: int = Field(default=4, ge=1, description="side of the first maps, of which a latent vector is a point")
    clip: float = Field(default=0.01, gt=0, description="bound on each of the critic's weights")
    rounds: int = Field(default=5, ge=1, description="updates of the critic for one of the generator")

    @model_validator(mode="after")
    def _doublings_reach_the_image(self) -> Self:
        require_doublings(self.image, self.first)
        return self


class WGAN(Generative, Played, AfterUpdate):
    """[B, C, S, S] in 0..1 -> f(G(z)) - f(x) of each example [B]; ``sample`` draws images in one pass.

    >>> from sevenfold.models import MODELS
    >>> MODELS["wgan-digits"].build().eval().sample(3, noise=Noise([0, 1, 2])).shape
    torch.Size([3, 1, 8, 8])
    """

    condition = "none"
    follows = "critic"

    def __init__(self, spec: WGANSpec) -> None:
        super().__init__()
        self.spec = spec
        self.generator = StridedGenerator(
            latent=spec.latent, channels=spec.channels, image=spec.image, width=spec.width, first=spec.first
        )
        self.critic = StridedDiscriminator(
            channels=spec.channels, image=spec.image, width=spec.width, first=spec.first
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        (pixels,) = inputs
        require_images("the critic of WGAN", pixels, self.spec.channels, self.spec.image)
        return wasserstein(self.critic(2 * pixels - 1), self.critic(self._generated(len(pixels), pixels)))

    def players(self) -> tuple[Player, ...]:
        """The critic first, several times, as in algorithm 1."""
        return (
            Player("critic", tuple(self.critic.parameters()), self.critic_loss, rounds=self.spec.rounds),
            Player("generator", tuple(self.generator.parameters()), self.generator_loss),
        )

    def critic_loss(self, pixels: Tensor) -> Tensor:
        """Mean of f(G(z)) - f(x) []."""
        with torch.no_grad():
            fake = self._generated(len(pixels), pixels)
        return wasserstein(self.critic(2 * pixels - 1), self.critic(fake)).mean()

    def generator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -f(G(z)) [], over as many samples as the critic sees in one update."""
        scores: Tensor = self.critic(self._generated(max(1, len(pixels) // self.spec.rounds), pixels))
        return -scores.mean()

    def after_update(self) -> None:
        """The critic's weights back within the bound, after each of its updates (algorithm 1, line 7)."""
        clip_weights(self.critic.parameters(), self.spec.clip)

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("WGAN", sampling)
        latents = noise.normal(self.spec.latent)
        with torch.no_grad():
            images: Tensor = (self.generator(latents) + 1) / 2
        on_step(1, 1)
        return images

    def _generated(self, num: int, like: Tensor) -> Tensor:
        """Samples in -1..1."""
        images: Tensor = self.generator(torch.randn(num, self.spec.latent, device=like.device, dtype=like.dtype))
        return images


WGAN_FAMILY = Family(
    landmark=Landmark(
        name="wgan",
        title="Wasserstein GAN",
        family="generative",
        year=2017,
        paper="Arjovsky et al. 2017, Wasserstein GAN",
        constraint="optimization",
        summary="a critic that estimates a distance gives gradients wherever samples are, however wrong they look",
        proof="the estimate equals SciPy's Wasserstein distance in one dimension where the best critic is known; "
        "the networks are those that test_dcgan.py holds; weights stay clipped (tests/models/test_wgan.py)",
    ),
    task="generation",
    spec_type=WGANSpec,
    module=WGAN,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
)


@WGAN_FAMILY.preset("paper", parameters=6_342_272)
def wgan() -> WGANSpec:
    """The DCGAN of section 4 at 64x64: 3,576,704 parameters generate, 2,765,568 criticize."""
    return WGANSpec()


@WGAN_FAMILY.preset("laptop")
def wgan_digits() -> WGANSpec:
    """For 8x8 digits: maps of 2x2, 4x4 and 8x8."""
    return WGANSpec(image=8, channels=1, latent=32, width=32, first=2)
