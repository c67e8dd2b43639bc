"""Improved DDPM: variances are learned too, noise comes as a cosine, and fewer steps do.

B batch, C channels, S image side, T steps (t = 0 .. T-1), levels L values a pixel, K classes.

    pixels [B, C, S, S] in 0..1 -> x_0 in -1..1, x_t as in DDPM
    U(x_t, t) [B, 2 C, S, S]: the noise e, and v, the share of log beta_t beside log beta_tilde_t in the
                              logarithm of the variance                                             equation 15
    hybrid   L_simple + 0.001 T L_t, where L_t moves v alone (the mean is held fixed)               equation 16
    vlb      L_t / p_t, steps drawn in proportion to sqrt(E[L_t^2])                                 equation 18
    cosine   alpha_bar(u) = cos^2((u + s) / (1 + s) pi / 2), s = 0.008                              equation 17
    walked   a subset of steps, evenly from the first to the last, ends included                    section 4

L_t is in bits a dimension, as in the authors' code, of the term that is the step's KL, or the levels' own
likelihood at t = 0. The U-Net differs from DDPM's: the time scales and shifts the second norm of each block, and
attention of four heads lies at 16x16 and 8x8 (section 2.4 and the authors' code); a class is added to the time.

Nichol & Dhariwal 2021, Improved Denoising Diffusion Probabilistic Models.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sevenfold.errors import SpecError
from sevenfold.layers import AveragedWeights, Sampling
from sevenfold.layers.diffusion import (
    Denoiser,
    Network,
    Process,
    ScheduleName,
    StepChooser,
    betas,
    clipped,
    mean_square,
    step_term,
)
from sevenfold.layers.diffusion.images import ImageDiffusion, Way
from sevenfold.layers.diffusion.initializing import zero_branches
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.spec import Spec

_SHARE = 0.001  # lambda, of the bound in the hybrid loss


class ImprovedDDPMSpec(Spec):
    """Settings of improved DDPM."""

    image: int = Field(default=32, ge=1, description="pixels a side; has to halve between levels")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    classes: int = Field(default=0, ge=0, description="classes to be told; 0 is none")
    levels: int = Field(default=256, ge=2, description="values that a pixel can take, for the bound")
    width: int = Field(default=128, ge=1, description="channels of the first level")
    multiples: tuple[int, ...] = Field(
        default=(1, 2, 2, 2), min_length=1, description="channels of each level, in widths"
    )
    blocks: int = Field(default=3, ge=1, description="residual blocks a level on the way down, one more up")
    attention: tuple[int, ...] = Field(default=(16, 8), description="sides of the levels that have self-attention")
    heads: int = Field(default=4, ge=1, description="attention heads")
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="in training, in each residual block")
    steps: int = Field(default=4000, ge=2, description="steps from data to noise")
    schedule: ScheduleName = Field(default="cosine", description="share of noise a step: cosine or linear")
    offset: float = Field(
        default=0.008, gt=0, description="s of the cosine: the first step's noise just below a level's width"
    )
    objective: Literal["hybrid", "vlb"] = Field(
        default="hybrid", description="hybrid: the noise, and the bound for the variances; vlb: the bound alone"
    )
    walked: int | None = Field(default=None, ge=1, description="steps that samples take; none is all")
    bound_at: int | None = Field(
        default=None, ge=2, description="steps whose terms make an image's bits per dimension; none is all"
    )
    average: float = Field(default=0.9999, ge=0, lt=1, description="decay of the moving average of the weights")

    @model_validator(mode="after")
    def _the_width_fits(self) -> Self:
        if self.width % math.lcm(self.groups, self.heads):
            raise SpecError(
                "width does not fit",
                got=self.width,
                expected=f"a multiple of groups={self.groups} and heads={self.heads}",
            )
        return self


def unet_of(spec: ImprovedDDPMSpec) -> DiffusionUNetSpec:
    """The U-Net of the authors' code."""
    sides = [spec.image >> level for level in range(len(spec.multiples))]
    return DiffusionUNetSpec(
        image=spec.image,
        channels=spec.channels,
        outputs=2 * spec.channels,
        widths=tuple(spec.width * multiple for multiple in spec.multiples),
        blocks=spec.blocks,
        heads=tuple(spec.heads if side in spec.attention else 0 for side in sides),
        middle_heads=spec.heads,
        classes=spec.classes or None,
        modulation="scale-shift",
        groups=spec.groups,
        dropout=spec.dropout,
    )


class ImprovedDDPM(ImageDiffusion):
    """[B, C, S, S] in 0..1 (and labels [B]) -> the hybrid loss, or the bound in bits a dimension, [B]."""

    def __init__(self, spec: ImprovedDDPMSpec) -> None:
        super().__init__(
            "improved DDPM",
            Process(betas(spec.schedule, spec.steps, offset=spec.offset)),
            shape=(spec.channels, spec.image, spec.image),
            levels=spec.levels,
            way=Way(spec.walked),
            classes=spec.classes,
            bound_at=spec.bound_at,
        )
        self.spec = spec
        self.chooser = StepChooser(spec.steps, by_loss=spec.objective == "vlb")
        self.unet = DiffusionUNet(unet_of(spec))
        zero_branches(self.unet)
        self.average = AveragedWeights(self.unet, spec.average)

    def forward(self, *inputs: Tensor) -> Tensor:
        data, labels = self.read(inputs)
        t, weights = self.chooser.choose(len(data), data.device)
        losses = self.losses(data, labels, t, torch.randn_like(data))
        if self.training:
            self.chooser.remember(t, losses.detach())
        return weights * losses

    def losses(self, data: Tensor, labels: Tensor | None, t: Tensor, noise: Tensor) -> Tensor:
        """The loss [B] of data in -1..1 at steps t [B]; its mean over all steps is what is minimized."""
        noisy = self.process.noised(data, t, noise)
        denoiser = Denoiser(self.process, self.network(labels), variance="learned-range", clip=None)
        said, share = denoiser.said(noisy, t)
        held = said.detach() if self.spec.objective == "hybrid" else said
        found = denoiser.reverse_of(held, share, noisy, t, t - 1)
        bits = step_term(self.process, found, data, noisy, t, levels=self.levels) / math.log(2)
        bound = self.process.steps * bits
        return bound if self.spec.objective == "vlb" else mean_square(said, noise) + _SHARE * bound

    def network(self, labels: Tensor | None) -> Network:
        """(x_t, t) -> noise and share [B, 2 C, S, S] for these labels; t is told as if there were 1000 steps."""
        scale = 1000 / self.process.steps
        return lambda noisy, t: self.unet(noisy, t * scale, labels)

    def reverse_process(self, condition: Tensor | None, sampling: Sampling = Sampling()) -> Denoiser:
        return Denoiser(self.process, self.network(condition), variance="learned-range", clip=clipped)

    def best_weights(self) -> AbstractContextManager[None]:
        return self.average.applied()


def _inputs(spec: ImprovedDDPMSpec) -> tuple[Input, ...]:
    images = Input((spec.channels, spec.image, spec.image))
    return (images, Input((), vocabulary=spec.classes)) if spec.classes else (images,)


IMPROVED_DDPM = Family(
    landmark=Landmark(
        name="improved-ddpm",
        title="Improved DDPM",
        family="generative",
        year=2021,
        paper="Nichol & Dhariwal 2021, Improved Denoising Diffusion Probabilistic Models",
        constraint="efficiency",
        summary="learned variances and a gentler schedule: likelihoods as good as others', samples in fifty steps",
        proof="counts of the authors' code; U-Net, schedule and every learned-range step equal diffusers' on loud "
        "weights; the hybrid loss and the choice of steps by hand (tests/models/test_improved_ddpm.py)",
        preset="improved-ddpm-cifar10",
    ),
    task="generation",
    spec_type=ImprovedDDPMSpec,
    module=ImprovedDDPM,
    fit=fit_generation,
    inputs=_inputs,
    dial="width",
    dial_multiple=lambda spec: math.lcm(spec.groups, spec.heads),
)


@IMPROVED_DDPM.preset("paper", parameters=52_546_438)
def improved_ddpm_cifar10() -> ImprovedDDPMSpec:
    """The network of about 50 million parameters for CIFAR-10, 32x32 pixels."""
    return ImprovedDDPMSpec()


@IMPROVED_DDPM.preset("paper", parameters=121_063_942)
def improved_ddpm_imagenet64() -> ImprovedDDPMSpec:
    """The network of about 100 million parameters for ImageNet, 64x64 pixels, told nothing."""
    return ImprovedDDPMSpec(image=64, multiples=(1, 2, 3, 4), dropout=0.0)


@IMPROVED_DDPM.preset("paper", parameters=273_049_350)
def improved_ddpm_imagenet64_classes() -> ImprovedDDPMSpec:
    """The network of about 270 million parameters for ImageNet, 64x64 pixels, told one of 1000 classes."""
    return ImprovedDDPMSpec(image=64, classes=1000, width=192, multiples=(1, 2, 3, 4), dropout=0.0)


@IMPROVED_DDPM.preset("laptop")
def improved_ddpm_small() -> ImprovedDDPMSpec:
    """Two levels of 16 and 32 channels for 8x8 digits of 17 levels; 100 steps, of which samples take 25."""
    return ImprovedDDPMSpec(
        image=8, channels=1, levels=17, width=16, multiples=(1, 2), blocks=1, attention=(4,), heads=2, groups=4,
        dropout=0.0, steps=100, offset=0.3, walked=25, bound_at=20, average=0.995,
    )  # fmt: skip
