"""DDPM: a U-Net says which noise is in an image; taking it away step by step makes images of noise.

B batch, C channels, S image side, T steps (t = 0 .. T-1; the paper counts from 1), levels L values a pixel.

    pixels [B, C, S, S] in 0..1 -> x_0 in -1..1
    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) e,  e ~ N(0, I)                           equation 4
    loss = |e - U(x_t, t)|^2, t ~ uniform, the mean over dimensions                               equation 14
    sample: x_{t-1} = (x_t - beta_t / sqrt(1 - alpha_bar_t) U(x_t, t)) / sqrt(1 - beta_t) + sigma_t z  algorithm 2

    U        residual blocks with group norm on levels of S, S/2 .. pixels, self-attention at 16x16 (appendix B)
    beta_t   1e-4 to 0.02, linear, over T = 1000 steps; sigma_t^2 = beta_t ("large") or the posterior's ("small")
    weights  sampled with their moving average, decay 0.9999

The bound on -log p(x) is the sum of KLs of equation 5, the last decoder that of equation 13. ``interpolate`` is the
paper's section 4.3: both images made noisy, mixed, and walked back.

Ho, Jain & Abbeel 2020, Denoising Diffusion Probabilistic Models; initial values as in the authors' code.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sevenfold.errors import SpecError
from sevenfold.layers import AveragedWeights, Interpolates, Noise, Sampling
from sevenfold.layers.diffusion import Denoiser, Process, ScheduleName, betas, mean_square
from sevenfold.layers.diffusion.images import ImageDiffusion, Way, from_pixels, to_pixels
from sevenfold.layers.diffusion.initializing import init_ddpm
from sevenfold.layers.diffusion.samplers import walk
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec


class DDPMSpec(Spec):
    """Settings of DDPM."""

    image: int = Field(default=32, ge=1, description="pixels a side; has to halve between levels")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    levels: int = Field(default=256, ge=2, description="values that a pixel can take, for bits per dimension")
    width: int = Field(default=128, ge=1, description="channels of the first level")
    multiples: tuple[int, ...] = Field(
        default=(1, 2, 2, 2), min_length=1, description="channels of each level, in widths"
    )
    blocks: int = Field(default=2, ge=1, description="residual blocks a level on the way down, one more up")
    attention: tuple[int, ...] = Field(default=(16,), description="sides of the levels that have self-attention")
    groups: int = Field(default=32, ge=1, description="groups of each group norm")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="in training, in each residual block")
    steps: int = Field(default=1000, ge=2, description="steps from data to noise")
    schedule: ScheduleName = Field(default="linear", description="share of noise a step: linear or cosine")
    variance: Literal["small", "large"] = Field(default="large", description="of a step back: beta_tilde or beta")
    walked: int | None = Field(default=None, ge=1, description="steps that samples take; none is all")
    bound_at: int | None = Field(
        default=None, ge=2, description="steps whose terms make an image's bits per dimension; none is all"
    )
    average: float = Field(default=0.9999, ge=0, lt=1, description="decay of the moving average of the weights")

    @model_validator(mode="after")
    def _the_width_fits(self) -> Self:
        if self.width % self.groups:
            raise SpecError("width does not fit", got=self.width, expected=f"a multiple of groups={self.groups}")
        return self


def unet_of(spec: DDPMSpec) -> DiffusionUNetSpec:
    """The U-Net of appendix B: one attention head, sines before cosines, zeros right and below where it halves."""
    sides = [spec.image >> level for level in range(len(spec.multiples))]
    return DiffusionUNetSpec(
        image=spec.image,
        channels=spec.channels,
        outputs=spec.channels,
        widths=tuple(spec.width * multiple for multiple in spec.multiples),
        blocks=spec.blocks,
        heads=tuple(int(side in spec.attention) for side in sides),
        middle_heads=1,
        padding="after",
        groups=spec.groups,
        epsilon=1e-6,
        dropout=spec.dropout,
        cosines_first=False,
        shift=1.0,
    )


class DDPM(ImageDiffusion, Interpolates):
    """[B, C, S, S] in 0..1 -> the mean square error of the noise [B]."""

    def __init__(self, spec: DDPMSpec) -> None:
        process = Process(betas(spec.schedule, spec.steps))
        shape = (spec.channels, spec.image, spec.image)
        super().__init__(
            "DDPM", process, shape=shape, levels=spec.levels, way=Way(spec.walked), bound_at=spec.bound_at
        )
        self.spec = spec
        self.unet = DiffusionUNet(unet_of(spec))
        init_ddpm(self.unet)
        self.average = AveragedWeights(self.unet, spec.average)

    def forward(self, *inputs: Tensor) -> Tensor:
        data, _ = self.read(inputs)
        t = torch.randint(self.process.steps, (len(data),), device=data.device)
        noise = torch.randn_like(data)
        return mean_square(self.network(self.process.noised(data, t, noise), t), noise)

    def network(self, noisy: Tensor, t: Tensor) -> Tensor:
        """The noise in x_t [B, C, S, S]; with fewer than 1000 steps, t is told as if there were as many."""
        return self.unet(noisy, t * (1000 / self.process.steps))  # type: ignore[no-any-return]

    def reverse_process(self, condition: Tensor | None, sampling: Sampling = Sampling()) -> Denoiser:
        return Denoiser(self.process, self.network, variance=self.spec.variance)

    def best_weights(self) -> AbstractContextManager[None]:
        return self.average.applied()

    def interpolate(self, first: Tensor, second: Tensor, num: int, *, noise: Noise) -> Tensor:
        """Both images with half of the steps' noise, mixed by ``num`` shares, walked back with the same noise."""
        pairs, _ = self.path_of(Sampling())
        rest = pairs[len(pairs) // 2 :]
        ends = from_pixels(torch.stack([first, second]))
        drawn = torch.cat([noise.normal(*self.shape), noise.normal(*self.shape)]).to(ends)
        t = torch.full((2,), rest[0][0], device=ends.device)
        noisy = self.process.noised(ends, t, drawn)
        shares = torch.linspace(0, 1, num, device=ends.device).reshape(-1, 1, 1, 1)
        with self.best_weights():
            return to_pixels(
                walk(self.reverse_process(None), torch.lerp(noisy[:1], noisy[1:], shares), rest, noise)
            )


DDPM_FAMILY = Family(
    landmark=Landmark(
        name="ddpm",
        title="DDPM",
        family="generative",
        year=2020,
        paper="Ho et al. 2020, Denoising Diffusion Probabilistic Models",
        constraint="optimization",
        summary="images made of noise by a network that was only ever asked which noise it sees: a regression",
        proof="counts; U-Net, schedule and every step equal diffusers' on loud weights; "
        "the bound equals its KLs written out (tests/models/test_ddpm.py, tests/layers/test_diffusion_losses.py)",
        preset="ddpm-cifar10",
    ),
    task="generation",
    spec_type=DDPMSpec,
    module=DDPM,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
    dial_multiple=lambda spec: spec.groups,
)


@DDPM_FAMILY.preset("paper", parameters=35_746_307)
def ddpm_cifar10() -> DDPMSpec:
    """The 35.7-million-parameter network for CIFAR-10, 32x32 pixels: appendix B."""
    return DDPMSpec()


@DDPM_FAMILY.preset("paper", parameters=113_673_219)
def ddpm_256() -> DDPMSpec:
    """The 114-million-parameter network for LSUN and CelebA-HQ, 256x256 pixels: appendix B."""
    return DDPMSpec(image=256, multiples=(1, 1, 2, 2, 4, 4), dropout=0.0)


@DDPM_FAMILY.preset("laptop")
def ddpm_small() -> DDPMSpec:
    """Two levels of 16 and 32 channels for 8x8 digits; 200 steps, of which samples take 50."""
    return DDPMSpec(
        image=8, channels=1, levels=17, width=16, multiples=(1, 2), blocks=1, attention=(4,), groups=4,
        dropout=0.0, steps=200, variance="small", walked=50, bound_at=20, average=0.995,
    )  # fmt: skip


@DDPM_FAMILY.preset("laptop")
def ddpm_patches() -> DDPMSpec:
    """Three levels of 16, 32 and 32 channels for 16x16 patches of photographs; samples take 25 of 200 steps."""
    return DDPMSpec(
        image=16, channels=1, levels=256, width=16, multiples=(1, 2, 2), blocks=1, attention=(8,), groups=4,
        dropout=0.0, steps=200, variance="small", walked=25, bound_at=20, average=0.995,
    )  # fmt: skip
