"""The generative adversarial network: a generator that learns from whoever tells its samples from the data.

B batch, C channels, S image side, P = C S S pixels, Z latent numbers, W width (the paper's number: 1,200 units).

    generator       z [B, Z], normal       W relu, W relu, P sigmoid           G(z), pixels in 0..1
    discriminator   x [B, P]               W/5 maxout of 5 pieces, twice, 1    the logit of D(x), "x is data"

    min over G, max over D of V = E[log D(x)] + E[log(1 - D(G(z)))]            equation 1
    the best D for a given G is p(x) / (p(x) + q(x))                           equation 2, proposition 1
    then V = -log 4 + 2 JSD(p, q), least where q = p                           equations 5 and 6, theorem 1

In each step the discriminator descends -V, then the generator descends -log D(G(z)), which has the same fixed point
and "much stronger gradients early in learning" (algorithm 1 with k = 1; section 3). A call returns -V of each
example in nats: 0 for a discriminator that is never wrong, log 4 = 1.386 for one that cannot tell; it measures the
players against each other, and says nothing about the samples by itself.

Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville & Bengio 2014, Generative Adversarial Nets. The
paper gives no sizes: those of its MNIST networks, their initialization, dropout and normal latents are those of the
authors' release (github.com/goodfeli/adversarial, mnist.yaml and __init__.py). The release starts the
generator's output at the data's marginals; here it starts at 0.5.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sevenfold.layers import Generative, Noise, OnStep, Played, Player, Sampling, require_images, untold
from sevenfold.layers.adversarial import (
    discriminator_cross_entropy,
    non_saturating,
    saturating,
)
from sevenfold.layers.generative import require_sampling
from sevenfold.layers.maxout import Maxout
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec


class GANSpec(Spec):
    """Settings of the 2014 networks."""

    image: int = Field(default=28, ge=1, description="pixels a side")
    channels: int = Field(default=1, ge=1, description="channels of the image")
    latent: int = Field(default=100, ge=1, description="normal numbers that a sample is made of")
    width: int = Field(default=1200, ge=5, multiple_of=5, description="units of the generator; a fifth are maxouts")
    pieces: int = Field(default=5, ge=1, description="linear pieces of a maxout")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="share of the discriminator's units left out")
    pixel_dropout: float = Field(
        default=0.2, ge=0, lt=1, description="share of the discriminator's pixels left out"
    )
    generator_spread: float = Field(default=0.05, gt=0, description="its weights start uniform within +- this")
    discriminator_spread: float = Field(default=0.005, gt=0, description="its weights start uniform within +- this")
    loss: Literal["non-saturating", "saturating"] = Field(
        default="non-saturating", description="what the generator descends: -log D(G(z)), or log(1 - D(G(z)))"
    )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image."""
        return self.channels, self.image, self.image


class GAN(Generative, Played):
    """[B, C, S, S] in 0..1 -> -V of each example in nats [B]; ``sample`` draws images in one pass.

    >>> from sevenfold.models import MODELS
    >>> MODELS["gan-digits"].build().sample(3, noise=Noise([0, 1, 2])).shape
    torch.Size([3, 1, 8, 8])
    """

    condition = "none"

    def __init__(self, spec: GANSpec) -> None:
        super().__init__()
        self.spec = spec
        pixels, units = math.prod(spec.shape), spec.width // 5
        self.generator = nn.Sequential(
            nn.Linear(spec.latent, spec.width),
            nn.ReLU(),
            nn.Linear(spec.width, spec.width),
            nn.ReLU(),
            nn.Linear(spec.width, pixels),
            nn.Sigmoid(),
            nn.Unflatten(1, spec.shape),
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(spec.pixel_dropout),
            Maxout(pixels, units=units, pieces=spec.pieces),
            nn.Dropout(spec.dropout),
            Maxout(units, units=units, pieces=spec.pieces),
            nn.Dropout(spec.dropout),
            nn.Linear(units, 1),
            nn.Flatten(0),
        )
        start_uniform(self.generator, spec.generator_spread)
        start_uniform(self.discriminator, spec.discriminator_spread)

    def forward(self, *inputs: Tensor) -> Tensor:
        (pixels,) = inputs
        require_images("the discriminator of GAN", pixels, self.spec.channels, self.spec.image)
        real = self.discriminator(pixels)
        return discriminator_cross_entropy(real, self.discriminator(self._generated(pixels)))

    def players(self) -> tuple[Player, ...]:
        """The discriminator first, as in algorithm 1."""
        return (
            Player("discriminator", tuple(self.discriminator.parameters()), self.discriminator_loss),
            Player("generator", tuple(self.generator.parameters()), self.generator_loss),
        )

    def discriminator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -log D(x) - log(1 - D(G(z))) []."""
        with torch.no_grad():
            fake = self._generated(pixels)
        return discriminator_cross_entropy(self.discriminator(pixels), self.discriminator(fake)).mean()

    def generator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -log D(G(z)), or of log(1 - D(G(z))) [], over as many samples as there are images."""
        fake = self.discriminator(self._generated(pixels))
        return (non_saturating(fake) if self.spec.loss == "non-saturating" else saturating(fake)).mean()

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("GAN", sampling)
        latents = noise.normal(self.spec.latent)
        with torch.no_grad():
            images: Tensor = self.generator(latents)
        on_step(1, 1)
        return images

    def _generated(self, like: Tensor) -> Tensor:
        """As many samples as there are images."""
        latents = torch.randn(len(like), self.spec.latent, device=like.device, dtype=like.dtype)
        images: Tensor = self.generator(latents)
        return images


def start_uniform(network: nn.Module, spread: float) -> None:
    """Weights uniform within +-spread, biases zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -spread, spread)
            nn.init.zeros_(layer.bias)


GAN_FAMILY = Family(
    landmark=Landmark(
        name="gan",
        title="Generative adversarial network",
        family="generative",
        year=2014,
        paper="Goodfellow et al. 2014, Generative Adversarial Nets",
        constraint="architecture",
        summary="a network learns to sample from the judgement of another, without a likelihood or a Markov chain",
        proof="the optimal discriminator, log 4 and the Jensen-Shannon divergence on discrete distributions; "
        "outputs and gradients of both networks equal a slow reference on loud weights (tests/models/test_gan.py)",
    ),
    task="generation",
    spec_type=GANSpec,
    module=GAN,
    fit=fit_generation,
    shape=lambda spec: spec.shape,
    dial="width",
    dial_multiple=lambda spec: 5,
)


@GAN_FAMILY.preset("paper", parameters=3_735_425)
def gan() -> GANSpec:
    """The MNIST networks of the authors' release: 2,503,984 parameters generate, 1,231,441 discriminate."""
    return GANSpec()


@GAN_FAMILY.preset("laptop")
def gan_digits() -> GANSpec:
    """For 8x8 digits: a quarter as wide, 32 latent numbers, less dropout."""
    return GANSpec(
        image=8,
        latent=32,
        width=300,
        dropout=0.3,
        pixel_dropout=0.0,
        generator_spread=0.1,
        discriminator_spread=0.05,
    )
