"""DDIM: the network of DDPM, walked back without noise; few steps are enough, and every image has one noise.

B batch, C channels, S image side, T steps (t = 0 .. T-1), s the step that is walked to from t.

    trained as DDPM (its gamma = 1): loss = |e - U(x_t, t)|^2                                     equation 5
    x_0 as predicted = (x_t - sqrt(1 - alpha_bar_t) U) / sqrt(alpha_bar_t)                        equation 9
    x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s - sigma^2) U + sigma z                     equation 12
    sigma = eta sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t)) sqrt(1 - alpha_bar_t / alpha_bar_s)   equation 16

eta = 0 is DDIM, eta = 1 is DDPM's way with the small variance. Walked the other way, an image becomes its noise
(section 4.3), from which it is reconstructed; between two noises, on their great circle, lie images between
(appendix D.5). The paper writes alpha for what is called alpha_bar here, as in DDPM.

Song, Meng & Ermon 2020, Denoising Diffusion Implicit Models.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import AveragedWeights, Interpolates, Noise, Reconstructs, Sampling
from sevenfold.layers.diffusion import Denoiser, Process, ScheduleName, betas, encode, mean_square, slerp, walk
from sevenfold.layers.diffusion.images import ImageDiffusion, Way, to_pixels
from sevenfold.layers.diffusion.initializing import init_ddpm
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec


class DDIMSpec(Spec):
    """Settings of DDIM."""

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
    walked: int = Field(default=50, ge=1, description="steps that samples take")
    eta: float = Field(default=0.0, ge=0, le=1, description="share of noise a step: 0 none, 1 as DDPM")
    bound_at: int | None = Field(
        default=None, ge=2, description="steps whose terms make an image's bits per dimension; none is all"
    )
    average: float = Field(default=0.9999, ge=0, lt=1, description="decay of the moving average of the weights")

    @model_validator(mode="after")
    def _the_width_fits(self) -> Self:
        if self.width % self.groups:
            raise SpecError("width does not fit", got=self.width, expected=f"a multiple of groups={self.groups}")
        return self


def unet_of(spec: DDIMSpec) -> DiffusionUNetSpec:
    """DDPM's U-Net: section 5 and appendix D.1."""
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


class DDIM(ImageDiffusion, Interpolates, Reconstructs):
    """[B, C, S, S] in 0..1 -> the mean square error of the noise [B]."""

    def __init__(self, spec: DDIMSpec) -> None:
        super().__init__(
            "DDIM",
            Process(betas(spec.schedule, spec.steps)),
            shape=(spec.channels, spec.image, spec.image),
            levels=spec.levels,
            way=Way(spec.walked, "proportional", spec.eta),
            bound_at=spec.bound_at,
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
        return Denoiser(self.process, self.network)

    def best_weights(self) -> AbstractContextManager[None]:
        return self.average.applied()

    def encode(self, images: Tensor) -> Tensor:
        """The noise [B, C, S, S] of images in 0..1, by all steps backwards."""
        data, _ = self.read((images,))
        pairs, _ = self.path_of(Sampling(steps=self.process.steps))
        with self.best_weights():
            return encode(self._unclipped(), data, pairs)

    def decode(self, latents: Tensor) -> Tensor:
        """The images in 0..1 of noises [B, C, S, S], by all steps without noise."""
        pairs, _ = self.path_of(Sampling(steps=self.process.steps))
        with self.best_weights():
            return to_pixels(walk(self._unclipped(), latents, pairs, Noise([0]), eta=0.0))

    def _unclipped(self) -> Denoiser:
        """Where predicted data is clipped, the way back is another."""
        return Denoiser(self.process, self.network, clip=None)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images as noise and back: the less noise a step adds, the nearer."""
        return self.decode(self.encode(images))

    def interpolate(self, first: Tensor, second: Tensor, num: int, *, noise: Noise) -> Tensor:
        """Between the noises of both, on their great circle; no noise is drawn."""
        if num < 2:
            raise UsageError("an interpolation has two ends", got=num, expected="at least 2 images")
        latents = self.encode(torch.stack([first, second]))
        return self.decode(slerp(latents[0], latents[1], torch.linspace(0, 1, num)))


DDIM_FAMILY = Family(
    landmark=Landmark(
        name="ddim",
        title="DDIM",
        family="generative",
        year=2020,
        paper="Song et al. 2020, Denoising Diffusion Implicit Models",
        constraint="efficiency",
        summary="the same network walked without noise: ten to fifty times fewer steps, one noise for an image",
        proof="every step of every eta and a whole way equal diffusers' DDIMScheduler with UNet2DModel; encoded "
        "images come back (tests/models/test_ddim.py, tests/layers/test_diffusion_samplers.py)",
        preset="ddim-cifar10",
    ),
    task="generation",
    spec_type=DDIMSpec,
    module=DDIM,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
    dial_multiple=lambda spec: spec.groups,
)


@DDIM_FAMILY.preset("paper", parameters=35_746_307)
def ddim_cifar10() -> DDIMSpec:
    """DDPM's network for CIFAR-10, 32x32 pixels, walked in 50 steps: section 5.1."""
    return DDIMSpec()


@DDIM_FAMILY.preset("laptop")
def ddim_small() -> DDIMSpec:
    """Two levels of 16 and 32 channels for 8x8 digits; 200 steps, of which samples take 10."""
    return DDIMSpec(
        image=8, channels=1, levels=17, width=16, multiples=(1, 2), blocks=1, attention=(4,), groups=4,
        dropout=0.0, steps=200, walked=10, bound_at=20, average=0.995,
    )  # fmt: skip
