"""Classifier-free guidance: one network with and without the class; what sets the two apart is followed further.

B images, C channels, S side, K classes, t timesteps, w the paper's guidance strength; ``guidance`` here is 1 + w.

    learning    the class y is replaced by "no class" (row K) with probability 0.1; L = |eps(x_t, t, y) - noise|^2
                                                                                                   algorithm 1
    sampling    eps = (1 + w) eps(x_t, t, y) - w eps(x_t, t, none)                        equation 6, algorithm 2
                w = 0 (guidance 1): the class as it was learned; w = -1 (guidance 0): no class
    noise       log(alpha_bar / (1 - alpha_bar)) = -2 log tan(a u + b), from 20 to -20 over u in 0..1   section 2
    variance    beta_tilde^(1 - v) beta^v, v = 0.3                                                     section 2

No classifier is trained, and no gradient is taken while sampling: two evaluations of the network a step instead.
Not the paper's: u takes ``steps`` values and the network is told which, where the paper draws any u and tells the
logarithm.

Ho & Salimans 2022, Classifier-Free Diffusion Guidance; the network is that of Dhariwal & Nichol 2021.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sevenfold.errors import SpecError
from sevenfold.layers import AveragedWeights, Sampling
from sevenfold.layers.diffusion import Denoiser, Network, Process, bits_per_dimension, mean_square
from sevenfold.layers.diffusion.images import ImageDiffusion, Way
from sevenfold.layers.diffusion.initializing import zero_branches
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.spec import Spec


class ClassifierFreeSpec(Spec):
    """Settings of classifier-free guidance."""

    image: int = Field(ge=1, description="pixels a side; has to halve between levels")
    channels: int = Field(default=3, ge=1, description="channels of the images")
    classes: int = Field(default=1000, ge=1, description="classes; the data setting condition=class gives them")
    levels: int = Field(default=256, ge=2, description="values that a pixel can take, for bits per dimension")
    width: int = Field(ge=1, description="channels that the multiples multiply; a multiple of groups")
    multiples: tuple[int, ...] = Field(min_length=1, description="channels of each level, in widths")
    blocks: int = Field(ge=1, description="residual blocks a level on the way down, one more up")
    attention: tuple[int, ...] = Field(default=(32, 16, 8), description="sides of the levels that have attention")
    head_width: int = Field(default=64, ge=1, description="channels of an attention head")
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="in training, in each residual block")
    unconditional: float = Field(default=0.1, ge=0, lt=1, description="probability that a class is not told")
    steps: int = Field(default=1000, ge=2, description="steps from data to noise")
    log_ratio: float = Field(default=20.0, gt=0, description="log of signal to noise goes from this to minus this")
    share: float = Field(default=0.3, ge=0, le=1, description="where the variance lies between its bounds, v")
    guidance: float = Field(default=1.3, ge=0, description="1 + w of the paper; 1 is no guidance, 0 no class")
    walked: int = Field(default=256, ge=1, description="steps that samples take, where none are asked for")
    bound_at: int | None = Field(
        default=None, ge=2, description="steps whose terms make an image's bits per dimension; none is all"
    )
    average: float = Field(default=0.9999, ge=0, lt=1, description="decay of the moving average of the weights")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        factor = 1 << (len(self.multiples) - 1)
        if self.image % factor:
            expected = f"a multiple of {factor}, for {len(self.multiples)} levels"
            raise SpecError("image does not fit", got=self.image, expected=expected)
        if self.walked > self.steps:
            raise SpecError("walked does not fit", got=self.walked, expected=f"at most steps={self.steps}")
        self.unet()
        return self

    def unet(self) -> DiffusionUNetSpec:
        """The network of guided diffusion, with a row for "no class" and without learned variances."""
        widths = tuple(multiple * self.width for multiple in self.multiples)
        heads = tuple(max(1, width // self.head_width) for width in widths)
        attends = tuple((self.image >> level) in self.attention for level in range(len(widths)))
        return DiffusionUNetSpec(
            image=self.image,
            channels=self.channels,
            outputs=self.channels,
            widths=widths,
            blocks=self.blocks,
            heads=tuple(number if attend else 0 for number, attend in zip(heads, attends, strict=True)),
            middle_heads=heads[-1],
            classes=self.classes + 1,
            modulation="scale-shift",
            resampling="residual",
            groups=self.groups,
            dropout=self.dropout,
        )


class ClassifierFree(ImageDiffusion):
    """Images [B, C, S, S] in 0..1 and labels [B] -> the mean square error of the noise [B]."""

    asked = ("steps", "eta", "guidance")

    def __init__(self, spec: ClassifierFreeSpec) -> None:
        super().__init__(
            "classifier-free guidance",
            Process(tangent_betas(spec.steps, spec.log_ratio)),
            shape=(spec.channels, spec.image, spec.image),
            levels=spec.levels,
            way=Way(spec.walked),
            classes=spec.classes,
            bound_at=spec.bound_at,
        )
        self.spec = spec
        self.unet = DiffusionUNet(spec.unet())
        zero_branches(self.unet)
        self.average = AveragedWeights(self.unet, spec.average)

    def forward(self, *inputs: Tensor) -> Tensor:
        data, labels = self.read(inputs)
        assert labels is not None, "read has looked"
        t = torch.randint(self.process.steps, (len(data),), device=data.device)
        noise = torch.randn_like(data)
        if self.training:
            untold = torch.rand(len(data), device=data.device) < self.spec.unconditional
            labels = torch.where(untold, self.spec.classes, labels)
        return mean_square(self.noise_in(self.process.noised(data, t, noise), t, labels), noise)

    def noise_in(self, noisy: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """eps(x_t, t, y) [B, C, S, S]; the label K is "no class". t is told as if there were 1000 steps."""
        return self.unet(noisy, t * (1000 / self.process.steps), labels)  # type: ignore[no-any-return]

    def guided_noise(self, noisy: Tensor, t: Tensor, labels: Tensor, guidance: float) -> Tensor:
        """(1 + w) eps(x_t, t, y) - w eps(x_t, t, none), w = guidance - 1 (equation 6); one evaluation for both."""
        if guidance == 1:
            return self.noise_in(noisy, t, labels)
        both = torch.cat([labels, torch.full_like(labels, self.spec.classes)])
        told, free = self.noise_in(noisy.repeat(2, 1, 1, 1), t.repeat(2), both).chunk(2)
        return free + guidance * (told - free)

    def reverse_process(self, condition: Tensor | None, sampling: Sampling = Sampling()) -> Denoiser:
        assert condition is not None, "every caller has looked"
        guidance = self.spec.guidance if sampling.guidance is None else sampling.guidance
        return Denoiser(self.process, self._network(condition, guidance), variance="learned-range")

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        """The bound without guidance: what guidance draws from is no distribution that the bound is of."""
        data, labels = self.read(inputs)
        with torch.no_grad(), self.best_weights():
            plain = self.reverse_process(labels, Sampling(guidance=1.0))
            return bits_per_dimension(plain, data, torch.randn_like, levels=self.levels, at=self.bound_at)

    def best_weights(self) -> AbstractContextManager[None]:
        return self.average.applied()

    def _network(self, labels: Tensor, guidance: float) -> Network:
        """The variance is not learned: the share v stands where the network would say it, as 2 v - 1."""

        def network(noisy: Tensor, t: Tensor) -> Tensor:
            said = self.guided_noise(noisy, t, labels.to(noisy.device), guidance)
            return torch.cat([said, torch.full_like(said, 2 * self.spec.share - 1)], dim=1)

        return network


def tangent_betas(steps: int, log_ratio: float) -> Tensor:
    """The paper's cosine schedule [T] float64: log(alpha_bar / (1 - alpha_bar)) = -2 log tan(a u + b), section 2.

    b = arctan(exp(-log_ratio / 2)), a = arctan(exp(log_ratio / 2)) - b, and u = t / T with t counted from 1: the
    last step ends at -log_ratio.

    >>> left = torch.cumprod(1 - tangent_betas(4, 20.0), 0)
    >>> torch.logit(left).round(decimals=3).tolist()
    [1.762, 0.0, -1.762, -20.0]
    """
    b = math.atan(math.exp(-log_ratio / 2))
    a = math.atan(math.exp(log_ratio / 2)) - b
    u = torch.arange(steps + 1, dtype=torch.float64, device="cpu") / steps
    left = torch.sigmoid(-2 * torch.log(torch.tan(a * u + b)))
    left[0] = 1.0  # the data itself
    return 1 - left[1:] / left[:-1]


CLASSIFIER_FREE = Family(
    landmark=Landmark(
        name="classifier-free",
        title="Classifier-free guidance",
        family="generative",
        year=2022,
        paper="Ho & Salimans 2022, Classifier-Free Diffusion Guidance",
        constraint="compute",
        summary="the class followed further than it was learned, with no classifier: one network told it or not",
        proof=(
            "the network equals diffusers' UNet2DModel; guidance equals a mixture of normals with its class raised "
            "to a power; the schedule and the variance by hand (tests/models/test_classifier_free.py)"
        ),
    ),
    task="generation",
    spec_type=ClassifierFreeSpec,
    module=ClassifierFree,
    fit=fit_generation,
    inputs=lambda spec: (Input((spec.channels, spec.image, spec.image)), Input((), vocabulary=spec.classes)),
    dial="width",
    dial_multiple=lambda spec: math.lcm(spec.groups, spec.head_width),
)


@CLASSIFIER_FREE.preset("paper", parameters=295_900_035)
def classifier_free_64() -> ClassifierFreeSpec:
    """The network of guided diffusion for ImageNet 64x64, its variance fixed and a row for no class."""
    return ClassifierFreeSpec(image=64, width=192, multiples=(1, 2, 3, 4), blocks=3, dropout=0.1)


@CLASSIFIER_FREE.preset("laptop")
def classifier_free_small() -> ClassifierFreeSpec:
    """Two levels of 16 and 32 channels for the digits, 100 steps."""
    return ClassifierFreeSpec(
        image=8, channels=1, classes=10, levels=17, width=16, multiples=(1, 2), blocks=1, attention=(4,),
        head_width=16, groups=8, steps=100, walked=25, bound_at=25, guidance=2.0, average=0.995,
    )  # fmt: skip
