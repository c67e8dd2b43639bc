"""The conditional generative adversarial network: both players are told which class is asked for.

B batch, C channels, S image side, P = CSS pixels, Z latent numbers, K classes, one-hot y, W width (paper: 1,200).

    generator       z [B, Z], uniform in 0..1 -> W/6 relu (200) --+
                    y [B, K] -> 5W/6 relu (1,000) ----------------+--> W relu -> P sigmoid       G(z | y)
    discriminator   x [B, P] -> W/5 maxout of 5 pieces (240) --+
                    y [B, K] -> W/24 maxout of 5 (50) ---------+--> W/5 maxout of 4 (240) -> 1   logit of D(x | y)

    min over G, max over D of V = E[log D(x | y)] + E[log(1 - D(G(z | y) | y))]                  equation 2

The generator is asked for the classes of the batch's own images. A call returns -V of each example in nats, as for
the GAN of 2014; the generator descends -log D, as there.

Mirza & Osindero 2014, Conditional Generative Adversarial Nets, section 4.1 (the sizes and pieces above; dropout of
0.5 on both players). Where exactly the dropout lies is not said: here it is on every hidden layer's output.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sevenfold.errors import UsageError
from sevenfold.layers import (
    Generative,
    Noise,
    OnStep,
    Played,
    Player,
    Sampling,
    require_images,
    require_rows,
    untold,
)
from sevenfold.layers.adversarial import discriminator_cross_entropy, non_saturating
from sevenfold.layers.generative import require_sampling
from sevenfold.layers.maxout import Maxout
from sevenfold.models._entry import Family, Input, Landmark, ModelEntry, fit_generation
from sevenfold.runs.recipe import Scalar
from sevenfold.spec import Spec


class CGANSpec(Spec):
    """Settings of the conditional networks."""

    image: int = Field(default=28, ge=1, description="pixels a side")
    channels: int = Field(default=1, ge=1, description="channels of the image")
    classes: int = Field(default=10, ge=1, description="classes that can be asked for")
    latent: int = Field(default=100, ge=1, description="uniform numbers that a sample is made of")
    width: int = Field(
        default=1200, ge=120, multiple_of=120, description="units of the generator's last hidden layer"
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="share of hidden units left out, in both players")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image."""
        return self.channels, self.image, self.image


class ConditionalGenerator(nn.Module):
    """z [B, Z] and y [B, K] -> images [B, C, S, S] in 0..1."""

    def __init__(self, spec: CGANSpec) -> None:
        super().__init__()
        self.shape = spec.shape
        from_latent = spec.width // 6
        self.latent = nn.Linear(spec.latent, from_latent)
        self.label = nn.Linear(spec.classes, spec.width - from_latent)
        self.joint = nn.Linear(spec.width, spec.width)
        self.pixels = nn.Linear(spec.width, math.prod(spec.shape))
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        hidden = self.dropout(torch.cat([self.latent(latents), self.label(labels)], 1).relu())
        hidden = self.dropout(self.joint(hidden).relu())
        images: Tensor = self.pixels(hidden).sigmoid().unflatten(1, self.shape)
        return images


class ConditionalDiscriminator(nn.Module):
    """Images [B, C, S, S] and y [B, K] -> logits of D(x | y) [B]."""

    def __init__(self, spec: CGANSpec) -> None:
        super().__init__()
        units, from_label = spec.width // 5, spec.width // 24
        self.pixels = Maxout(math.prod(spec.shape), units=units, pieces=5)
        self.label = Maxout(spec.classes, units=from_label, pieces=5)
        self.joint = Maxout(units + from_label, units=units, pieces=4)
        self.logit = nn.Linear(units, 1)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        hidden = self.dropout(torch.cat([self.pixels(images.flatten(1)), self.label(labels)], 1))
        logits: Tensor = self.logit(self.dropout(self.joint(hidden))).flatten(0)
        return logits


class CGAN(Generative, Played):
    """Images [B, C, S, S] in 0..1 and labels [B] -> -V of each example in nats [B]; ``sample`` needs labels.

    >>> from sevenfold.models import MODELS
    >>> model = MODELS["cgan-digits"].build()
    >>> model.sample(3, noise=Noise([0, 1, 2]), condition=torch.tensor([7, 7, 1])).shape
    torch.Size([3, 1, 8, 8])
    """

    condition = "class"

    def __init__(self, spec: CGANSpec) -> None:
        super().__init__()
        self.spec = spec
        self.generator = ConditionalGenerator(spec)
        self.discriminator = ConditionalDiscriminator(spec)

    def forward(self, *inputs: Tensor) -> Tensor:
        pixels, labels = inputs
        require_images("the discriminator of CGAN", pixels, self.spec.channels, self.spec.image)
        require_rows("the label layer of CGAN", labels, self.spec.classes)
        asked = self._one_hot(labels, pixels)
        real = self.discriminator(pixels, asked)
        return discriminator_cross_entropy(real, self.discriminator(self._generated(asked), asked))

    def players(self) -> tuple[Player, ...]:
        """The discriminator first, as for the GAN of 2014."""
        return (
            Player("discriminator", tuple(self.discriminator.parameters()), self.discriminator_loss),
            Player("generator", tuple(self.generator.parameters()), self.generator_loss),
        )

    def discriminator_loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Mean of -log D(x | y) - log(1 - D(G(z | y) | y)) []."""
        asked = self._one_hot(labels, pixels)
        with torch.no_grad():
            fake = self._generated(asked)
        real_logits, fake_logits = self.discriminator(pixels, asked), self.discriminator(fake, asked)
        return discriminator_cross_entropy(real_logits, fake_logits).mean()

    def generator_loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Mean of -log D(G(z | y) | y) []."""
        asked = self._one_hot(labels, pixels)
        return non_saturating(self.discriminator(self._generated(asked), asked)).mean()

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("CGAN", sampling)
        if condition is None:
            raise UsageError("CGAN is asked for classes", got="none", expected=f"{num} labels")
        require_rows("the label layer of CGAN", condition, self.spec.classes, values=True)
        latents = noise.uniform(self.spec.latent)
        with torch.no_grad():
            images: Tensor = self.generator(latents, self._one_hot(condition.to(latents.device), latents))
        on_step(1, 1)
        return images

    def _one_hot(self, labels: Tensor, like: Tensor) -> Tensor:
        return F.one_hot(labels, self.spec.classes).to(like)

    def _generated(self, asked: Tensor) -> Tensor:
        """A sample of each class asked for."""
        latents = torch.rand(len(asked), self.spec.latent, device=asked.device, dtype=asked.dtype)
        images: Tensor = self.generator(latents, asked)
        return images


def fit_cgan(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of models that are always told a class."""
    settings = fit_generation(entry, input_shape, num_outputs)
    if not num_outputs:
        raise UsageError(
            f"{entry.name} is told a class",
            got="images alone",
            expected="images with classes",
            hint="the data setting condition=class",
        )
    return settings


CGAN_FAMILY = Family(
    landmark=Landmark(
        name="cgan",
        title="Conditional GAN",
        family="generative",
        year=2014,
        paper="Mirza and Osindero 2014, Conditional Generative Adversarial Nets",
        constraint="data",
        summary="both players are told the class, and the generator draws the one that is asked for",
        proof="the sizes that section 4.1 prints; outputs and gradients of both networks equal a slow reference on "
        "loud weights (tests/models/test_cgan.py)",
    ),
    task="generation",
    spec_type=CGANSpec,
    module=CGAN,
    fit=fit_cgan,
    inputs=lambda spec: (Input(spec.shape), Input((), vocabulary=spec.classes)),
    dial="width",
    dial_multiple=lambda spec: 120,
)


@CGAN_FAMILY.preset("paper", parameters=3_638_335)
def cgan() -> CGANSpec:
    """The MNIST networks of section 4.1."""
    return CGANSpec()


@CGAN_FAMILY.preset("laptop")
def cgan_digits() -> CGANSpec:
    """For 8x8 digits: a fifth as wide, 32 latent numbers, less dropout."""
    return CGANSpec(image=8, latent=32, width=240, dropout=0.3)
