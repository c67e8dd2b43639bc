"""Guided diffusion: a diffusion model that is told the class, and a classifier of noisy images that pulls harder.

B images, C channels, S side, K classes, t timesteps; the process is DDPM's (layers/diffusion/process.py).

    network     eps, v = unet(x_t, t, y)       the noise, and where the variance lies between its bounds
    classifier  p(y | x_t) = classifier(x_t, t)
    learning    unet:        L_simple + 0.001 T L_vlb (improved DDPM, equation 16)
                classifier:  -log p(y | x_t), the same noise levels
    sampling    x_{t-1} ~ N(mean + s variance grad_x log p(y | x_t), variance)                       algorithm 1
                or DDIM:  eps - s sqrt(1 - alpha_bar_t) grad_x log p(y | x_t)                        algorithm 2

The network (ADM, section 3 and table 4): heads of 64 channels, attention at 32x32, 16x16 and 8x8 pixels, residual
blocks that halve and double, adaptive group norm. What is learned of the variance is improved DDPM's.

Dhariwal & Nichol 2021, Diffusion Models Beat GANs on Image Synthesis; settings as in the authors' code.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from sevenfold.errors import SpecError
from sevenfold.layers import AveragedWeights, Played, Player, Sampling
from sevenfold.layers.diffusion import (
    Denoiser,
    Network,
    Process,
    ScheduleName,
    betas,
    bits_per_dimension,
    mean_square,
    step_term,
)
from sevenfold.layers.diffusion.images import ImageDiffusion, Way
from sevenfold.layers.diffusion.initializing import zero_branches
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.layers.noisy_classifier import NoisyClassifier
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.spec import Spec

BOUND_WEIGHT = 0.001  # improved DDPM's lambda, section 3.2


class GuidedDiffusionSpec(Spec):
    """Settings of guided diffusion: the network, its classifier, the process and how it is walked."""

    image: int = Field(ge=1, description="pixels a side")
    channels: int = Field(default=3, ge=1, description="channels of the images")
    classes: int = Field(default=1000, ge=1, description="classes; the data setting condition=class gives them")
    width: int = Field(ge=1, description="channels that the multiples multiply; a multiple of groups")
    multiples: tuple[float, ...] = Field(min_length=1, description="channels of each level, in widths")
    blocks: int = Field(ge=1, description="residual blocks a level")
    attention: tuple[int, ...] = Field(default=(32, 16, 8), description="sides of the maps that attend")
    head_width: int = Field(default=64, ge=1, description="channels of an attention head")
    heads: int | None = Field(
        default=None, ge=1, description="attention heads, whatever the width; none: head_width"
    )
    classifier_width: int = Field(default=128, ge=1, description="width of the classifier")
    classifier_blocks: int = Field(default=2, ge=1, description="residual blocks a level of the classifier")
    classifier_rate: float = Field(
        default=3.0, gt=0, description="its learning rate, as a multiple of the network's"
    )
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="in training, in the network's residual blocks")
    steps: int = Field(default=1000, ge=1, description="steps from data to noise")
    schedule: ScheduleName = Field(default="linear", description="how fast data is forgotten")
    levels: int = Field(default=256, ge=2, description="values that a pixel of the data has")
    walked: int = Field(default=250, ge=1, description="steps of sampling, where none are asked for")
    guidance: float = Field(default=1.0, ge=0, description="scale of the classifier's gradient; 0 is no guidance")
    bound_at: int | None = Field(
        default=None, ge=2, description="steps whose terms make an image's bits per dimension; none is all"
    )
    average: float = Field(default=0.9999, ge=0, lt=1, description="decay of the moving average of the weights")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.walked > self.steps:
            raise SpecError("walked does not fit", got=self.walked, expected=f"at most steps={self.steps}")
        if self.image % (1 << (len(self.multiples) - 1)):
            expected = (
                f"a multiple of {1 << (len(self.multiples) - 1)}, to be halved between {len(self.multiples)} levels"
            )
            raise SpecError("image does not fit", got=self.image, expected=expected)
        self.unet()
        self.classifier()
        return self

    def unet(self) -> DiffusionUNetSpec:
        """The network: as many outputs again for the variance."""
        return self._trunk(self.width, self.blocks, self.heads, 2 * self.channels, self.classes, self.dropout)

    def classifier(self) -> DiffusionUNetSpec:
        """The classifier's trunk: the same levels, heads of 64 channels always, and no class."""
        return self._trunk(self.classifier_width, self.classifier_blocks, None, self.classes, None, 0.0)

    def _trunk(
        self, width: int, blocks: int, heads: int | None, outputs: int, classes: int | None, dropout: float
    ) -> DiffusionUNetSpec:
        widths = tuple(int(multiple * width) for multiple in self.multiples)
        of_each = tuple(heads or max(1, one // self.head_width) for one in widths)
        attends = tuple((self.image >> level) in self.attention for level in range(len(widths)))
        return DiffusionUNetSpec(
            image=self.image,
            channels=self.channels,
            outputs=outputs,
            widths=widths,
            blocks=blocks,
            heads=tuple(number if attend else 0 for number, attend in zip(of_each, attends, strict=True)),
            middle_heads=of_each[-1],
            waves=width,
            classes=classes,
            modulation="scale-shift",
            resampling="residual",
            groups=self.groups,
            dropout=dropout,
        )


class GuidedDiffusion(ImageDiffusion, Played):
    """Images [B, C, S, S] in 0..1 and labels [B] -> the hybrid loss of each at a step drawn for it, [B]."""

    asked = ("steps", "eta", "guidance")

    def __init__(self, spec: GuidedDiffusionSpec) -> None:
        super().__init__(
            "guided diffusion",
            Process(betas(spec.schedule, spec.steps)),
            shape=(spec.channels, spec.image, spec.image),
            levels=spec.levels,
            way=Way(spec.walked),
            classes=spec.classes,
            bound_at=spec.bound_at,
        )
        self.spec = spec
        self.unet = DiffusionUNet(spec.unet())
        self.classifier = NoisyClassifier(spec.classifier())
        zero_branches(self.unet)
        self.average = AveragedWeights(self.unet, spec.average)
        self.average.follows = "denoiser"

    def players(self) -> tuple[Player, ...]:
        """The network and the classifier, which learn beside each other."""
        return (
            Player("denoiser", tuple(self.unet.parameters()), lambda *inputs: self(*inputs).mean()),
            Player(
                "classifier",
                tuple(self.classifier.parameters()),
                lambda *inputs: self.classifier_loss(*inputs).mean(),
                rate=self.spec.classifier_rate,
            ),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        data, labels, noisy, t, noise = self._noised(inputs)
        denoiser = Denoiser(self.process, self._network(labels), variance="learned-range", clip=None)
        prediction, spoken = denoiser.said(noisy, t)
        # The bound moves the variance alone: improved DDPM, section 3.2.
        found = denoiser.reverse_of(prediction.detach(), spoken, noisy, t, t - 1)
        bits = step_term(self.process, found, data, noisy, t, levels=self.levels) / math.log(2)
        return mean_square(prediction, noise) + BOUND_WEIGHT * self.process.steps * bits

    def classifier_loss(self, *inputs: Tensor) -> Tensor:
        """-log p(y | x_t) of each example [B] in nats, at a step drawn for it."""
        _, labels, noisy, t, _ = self._noised(inputs)
        return functional.cross_entropy(self.class_logits(noisy, t), labels, reduction="none")

    def class_logits(self, noisy: Tensor, t: Tensor) -> Tensor:
        """log p(y | x_t) [B, K] up to a constant; t is told as if there were 1000 steps."""
        return self.classifier(noisy, t * (1000 / self.process.steps))  # type: ignore[no-any-return]

    def log_class_gradient(self, noisy: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """The gradient of log p(y | x_t) by x_t [B, C, S, S]: what guidance follows."""
        with torch.enable_grad():
            leaf = noisy.detach().requires_grad_(True)
            chosen = functional.log_softmax(self.class_logits(leaf, t), dim=1).gather(1, labels[:, None])
            return torch.autograd.grad(chosen.sum(), leaf)[0]

    def reverse_process(self, condition: Tensor | None, sampling: Sampling = Sampling()) -> Denoiser:
        assert condition is not None, "every caller has looked"
        labels = condition
        scale = self.spec.guidance if sampling.guidance is None else sampling.guidance

        def guide(noisy: Tensor, t: Tensor) -> Tensor:
            return scale * self.log_class_gradient(noisy, t, labels)

        return Denoiser(
            self.process, self._network(labels), variance="learned-range", guide=guide if scale else None
        )

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        """The bound without guidance: what guidance draws from is no distribution that the bound is of."""
        data, labels = self.read(inputs)
        with torch.no_grad(), self.best_weights():
            plain = self.reverse_process(labels, Sampling(guidance=0.0))
            return bits_per_dimension(plain, data, torch.randn_like, levels=self.levels, at=self.bound_at)

    def best_weights(self) -> AbstractContextManager[None]:
        return self.average.applied()

    def _noised(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        data, labels = self.read(inputs)
        assert labels is not None, "read has looked"
        t = torch.randint(self.process.steps, (len(data),), device=data.device)
        noise = torch.randn_like(data)
        return data, labels, self.process.noised(data, t, noise), t, noise

    def _network(self, labels: Tensor) -> Network:
        """(x_t, t) -> noise and share [B, 2 C, S, S] for these labels."""
        return lambda noisy, t: self.unet(noisy, t * (1000 / self.process.steps), labels)


GUIDED_DIFFUSION = Family(
    landmark=Landmark(
        name="guided-diffusion",
        title="Guided diffusion",
        family="generative",
        year=2021,
        paper="Dhariwal & Nichol 2021, Diffusion Models Beat GANs on Image Synthesis",
        constraint="architecture",
        summary="a better U-Net, and a classifier's gradient that trades variety for fidelity, surpass GANs",
        proof=(
            "the eight published counts; the network equals diffusers' UNet2DModel, outputs and gradients, the "
            "classifier a slow reference; guidance equals the exact posterior of a mixture of normals "
            "(tests/models/test_guided_diffusion.py, test_diffusers_unets.py)"
        ),
        preset="guided-diffusion-256",
    ),
    task="generation",
    spec_type=GuidedDiffusionSpec,
    module=GuidedDiffusion,
    fit=fit_generation,
    inputs=lambda spec: (Input((spec.channels, spec.image, spec.image)), Input((), vocabulary=spec.classes)),
    dial="width",
    dial_multiple=lambda spec: spec.groups,
)


@GUIDED_DIFFUSION.preset("paper", parameters=295_904_454 + 65_438_568)
def guided_diffusion_64() -> GuidedDiffusionSpec:
    """ADM and its classifier for ImageNet 64x64: FID 2.07 (table 5)."""
    return GuidedDiffusionSpec(
        image=64,
        width=192,
        multiples=(1, 2, 3, 4),
        blocks=3,
        classifier_blocks=4,
        schedule="cosine",
        dropout=0.1,
    )


@GUIDED_DIFFUSION.preset("paper", parameters=421_529_606 + 42_568_040)
def guided_diffusion_128() -> GuidedDiffusionSpec:
    """ADM and its classifier for ImageNet 128x128, with four heads at each size: FID 2.97 (table 5)."""
    return GuidedDiffusionSpec(image=128, width=256, multiples=(1, 1, 2, 3, 4), blocks=2, heads=4, guidance=0.5)


@GUIDED_DIFFUSION.preset("paper", parameters=553_838_086 + 54_096_360)
def guided_diffusion_256() -> GuidedDiffusionSpec:
    """ADM and its classifier for ImageNet 256x256: FID 4.59 (table 5)."""
    return GuidedDiffusionSpec(image=256, width=256, multiples=(1, 1, 2, 2, 4, 4), blocks=2)


@GUIDED_DIFFUSION.preset("paper", parameters=558_997_638 + 54_448_360)
def guided_diffusion_512() -> GuidedDiffusionSpec:
    """ADM and its classifier for ImageNet 512x512: FID 7.72 (table 5)."""
    return GuidedDiffusionSpec(image=512, width=256, multiples=(0.5, 1, 1, 2, 2, 4, 4), blocks=2, guidance=4.0)


@GUIDED_DIFFUSION.preset("laptop")
def guided_diffusion_small() -> GuidedDiffusionSpec:
    """Two levels of 16 and 32 channels for the digits, 100 steps, a classifier of the same size."""
    return GuidedDiffusionSpec(
        image=8,
        channels=1,
        classes=10,
        width=16,
        multiples=(1, 2),
        blocks=1,
        attention=(4,),
        head_width=16,
        classifier_width=16,
        classifier_blocks=1,
        groups=8,
        steps=100,
        walked=25,
        schedule="cosine",
        levels=17,
        bound_at=25,
        average=0.995,
    )
