"""The Wasserstein GAN with gradient penalty: the critic's slope is held near 1 where it matters, not its weights.

B batch, C channels, S image side, F side of the first maps, Z latent numbers, W width (128), f the critic.

    critic       descends f(G(z)) - f(x) + lambda (|grad f(x')| - 1)^2, lambda 10, x' drawn evenly     equation 3
                 from the line between x and G(z); n_critic = 5 updates a step                        algorithm 1
    generator    descends -f(G(z)), once

    generator    z [B, Z] -> linear -> F x F x W -> residual blocks that double the side until S -> relu, conv, tanh
    critic       S x S x C -> a block that halves, a block that halves, two that keep -> relu, mean over places -> 1

    block        x + conv(relu(norm(conv(relu(norm(x)))))), its shortcut a 1x1 convolution where the side changes;
                 the generator normalizes by the batch, the critic not at all: the penalty is on each example's own
                 slope, which batch normalization would mix (section 4, "No critic batch normalization")

The first block of the critic starts with the convolution: its input is the image. A call returns f(G(z)) - f(x) of
each example: minus an estimate of the Wasserstein distance, since f's slope is near 1. The step's batch is cut into
one part for each of the critic's updates; the generator draws as many samples as are in one, or twice as many.

Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville 2017, Improved Training of Wasserstein GANs. The residual
networks are those of CIFAR-10 in the authors' release (github.com/igul222/improved_wgan_training,
gan_cifar_resnet.py), biases and shortcuts included, in their unconditional form.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.layers import Generative, Noise, OnStep, Played, Player, Sampling, require_images, untold
from sevenfold.layers.adversarial import gradient_penalty, wasserstein
from sevenfold.layers.generative import require_sampling
from sevenfold.layers.strided_networks import require_doublings
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec


class WGANGPSpec(Spec):
    """Settings of the Wasserstein GAN with gradient penalty."""

    image: int = Field(default=32, ge=4, description="pixels a side: the first maps' side, doubled at least once")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    latent: int = Field(default=128, ge=1, description="normal numbers that a sample is made of")
    width: int = Field(default=128, ge=1, description="maps of every layer, in both players")
    first: int = Field(default=4, ge=1, description="side of the generator's first maps")
    kept: int = Field(
        default=2, ge=0, description="blocks of the critic that keep the side, after two that halve it"
    )
    penalty: float = Field(
        default=10.0, ge=0, description="lambda: weight of the squared distance of slopes from 1"
    )
    rounds: int = Field(default=5, ge=1, description="updates of the critic for one of the generator")
    generator_batch: int = Field(default=2, ge=1, description="the generator's batch, in batches of the critic")

    @model_validator(mode="after")
    def _doublings_reach_the_image(self) -> Self:
        require_doublings(self.image, self.first)
        return self


Change = Literal["up", "down", "none"]


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: [B, in, S, S] -> [B, out, 2 S or S / 2 or S, the same].

    ``first`` is the critic's first block: no relu before its first convolution, and its shortcut is pooled before
    it is convolved, which gives the same with less work.
    """

    def __init__(self, inputs: int, maps: int, change: Change, *, normalized: bool, first: bool = False) -> None:
        super().__init__()
        self.change, self.first = change, first
        between = inputs if change == "down" and not first else maps
        self.norm1 = nn.BatchNorm2d(inputs) if normalized else nn.Identity()
        self.conv1 = nn.Conv2d(inputs, between, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(between) if normalized else nn.Identity()
        self.conv2 = nn.Conv2d(between, maps, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, maps, 1) if change != "none" or inputs != maps else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        beside = self.shortcut(halved(x)) if self.first else self._resized(x, self.shortcut)
        hidden = x if self.first else self.norm1(x).relu()
        hidden = self.conv1(doubled(hidden) if self.change == "up" else hidden)
        out: Tensor = self.conv2(self.norm2(hidden).relu())
        return beside + (halved(out) if self.change == "down" else out)

    def _resized(self, x: Tensor, shortcut: nn.Module) -> Tensor:
        out: Tensor = shortcut(doubled(x) if self.change == "up" else x)
        return halved(out) if self.change == "down" else out


class ResidualGenerator(nn.Module):
    """Latents [B, Z] -> images [B, C, S, S] in -1..1."""

    def __init__(self, spec: WGANGPSpec) -> None:
        super().__init__()
        self.maps = (spec.width, spec.first, spec.first)
        self.input = nn.Linear(spec.latent, spec.width * spec.first**2)
        doublings = (spec.image // spec.first).bit_length() - 1
        self.blocks = nn.Sequential(
            *(Block(spec.width, spec.width, "up", normalized=True) for _ in range(doublings))
        )
        self.norm = nn.BatchNorm2d(spec.width)
        self.output = nn.Conv2d(spec.width, spec.channels, 3, padding=1)
        start(self)

    def forward(self, latents: Tensor) -> Tensor:
        hidden = self.blocks(self.input(latents).unflatten(1, self.maps))
        return torch.tanh(self.output(self.norm(hidden).relu()))


class ResidualCritic(nn.Module):
    """Images [B, C, S, S] in -1..1 -> scores [B]."""

    def __init__(self, spec: WGANGPSpec) -> None:
        super().__init__()
        width = spec.width
        self.blocks = nn.Sequential(
            Block(spec.channels, width, "down", normalized=False, first=True),
            Block(width, width, "down", normalized=False),
            *(Block(width, width, "none", normalized=False) for _ in range(spec.kept)),
        )
        self.output = nn.Linear(width, 1)
        start(self)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.output(self.blocks(images).relu().mean((2, 3))).flatten(0)
        return scores


class WGANGP(Generative, Played):
    """[B, C, S, S] in 0..1 -> f(G(z)) - f(x) of each example [B]; ``sample`` draws images in one pass.

    >>> from sevenfold.models import MODELS
    >>> MODELS["wgan-gp-digits"].build().eval().sample(3, noise=Noise([0, 1, 2])).shape
    torch.Size([3, 1, 8, 8])
    """

    condition = "none"

    def __init__(self, spec: WGANGPSpec) -> None:
        super().__init__()
        self.spec = spec
        self.generator = ResidualGenerator(spec)
        self.critic = ResidualCritic(spec)

    def forward(self, *inputs: Tensor) -> Tensor:
        (pixels,) = inputs
        require_images("the critic of WGAN-GP", pixels, self.spec.channels, self.spec.image)
        return wasserstein(self.critic(2 * pixels - 1), self.critic(self._generated(len(pixels), pixels)))

    def players(self) -> tuple[Player, ...]:
        """The critic first, several times, as in algorithm 1."""
        return (
            Player("critic", tuple(self.critic.parameters()), self.critic_loss, rounds=self.spec.rounds),
            Player("generator", tuple(self.generator.parameters()), self.generator_loss),
        )

    def critic_loss(self, pixels: Tensor) -> Tensor:
        """Mean of f(G(z)) - f(x) + lambda (|grad f(x')| - 1)^2 []."""
        real = 2 * pixels - 1
        with torch.no_grad():
            fake = self._generated(len(pixels), pixels)
        penalty = gradient_penalty(self.critic, real, fake)
        return (wasserstein(self.critic(real), self.critic(fake)) + self.spec.penalty * penalty).mean()

    def generator_loss(self, pixels: Tensor) -> Tensor:
        """Mean of -f(G(z)) []."""
        num = max(1, len(pixels) * self.spec.generator_batch // self.spec.rounds)
        scores: Tensor = self.critic(self._generated(num, pixels))
        return -scores.mean()

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("WGAN-GP", sampling)
        latents = noise.normal(self.spec.latent)
        with torch.no_grad():
            images: Tensor = (self.generator(latents) + 1) / 2
        on_step(1, 1)
        return images

    def _generated(self, num: int, like: Tensor) -> Tensor:
        """Samples in -1..1."""
        images: Tensor = self.generator(torch.randn(num, self.spec.latent, device=like.device, dtype=like.dtype))
        return images


def doubled(x: Tensor) -> Tensor:
    """Each place four times: [B, C, S, S] -> [B, C, 2 S, 2 S]."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def halved(x: Tensor) -> Tensor:
    """The mean of each 2x2: [B, C, S, S] -> [B, C, S / 2, S / 2]."""
    return F.avg_pool2d(x, 2)


def start(network: nn.Module) -> None:
    """Uniform with the deviation sqrt(4 / (in + out)) of the release for 3x3 filters, else sqrt(2 / (in + out))."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = 2**0.5 if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) else 1.0
            nn.init.xavier_uniform_(layer.weight, gain)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


WGAN_GP = Family(
    landmark=Landmark(
        name="wgan-gp",
        title="Wasserstein GAN with gradient penalty",
        family="generative",
        year=2017,
        paper="Gulrajani et al. 2017, Improved Training of Wasserstein GANs",
        constraint="optimization",
        summary="the critic's slope is penalized instead of its weights clipped, and deep networks train unchanged",
        proof="the penalty's own gradient equals finite differences; a linear critic's optimum in closed form; "
        "outputs and gradients of both players equal a slow reference (tests/models/test_wgan_gp.py)",
    ),
    task="generation",
    spec_type=WGANGPSpec,
    module=WGANGP,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
)


@WGAN_GP.preset("paper", parameters=2_258_308)
def wgan_gp() -> WGANGPSpec:
    """The residual networks of CIFAR-10, without classes: 1,204,483 parameters generate, 1,053,825 criticize."""
    return WGANGPSpec()


@WGAN_GP.preset("laptop")
def wgan_gp_digits() -> WGANGPSpec:
    """For 8x8 digits: 24 maps, two doublings, a critic of three blocks."""
    return WGANGPSpec(image=8, channels=1, latent=32, width=24, first=2, kept=1, generator_batch=1)
