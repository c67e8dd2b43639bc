"""Diffusion of 2015: the first diffusion model, trained by its variational bound; its network is read over time.

B batch, C colours, S image side, T steps (t = 0 .. T-1; the paper counts from 1), J bumps in time, H maps.

    pixels [B, C, S, S] in 0..1 -> x_0 of mean 0 and variance 1, by the data's mean and deviation
    q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I), every step erasing the same share of x_0's variance

    lower     x_t -> layers of multi-scale convolutions, H maps of every pixel: at each scale the image is averaged
                     over 2^k x 2^k pixels, convolved (3x3) and rectified; the scales are added, each enlarged
                  -> beside it a dense network over all pixels, a few maps of every pixel
    upper     1x1 layers on both, which leave 2 J numbers a value
    readout   coefficients of mean and variance at t: the J numbers weighed by bumps g_j(t), which add up to 1
    p(x_{t-1} | x_t) = N(sqrt(1 - beta_t) x_t + sqrt(beta_t) m,  sigmoid(v / sqrt(T) + logit(beta_t)))

    loss = KL(q(x_{T-1} | x_0) || N(0, I)) + sum_{t > 0} KL(q(x_{t-1} | x_t, x_0) || p) - log p(x_0 | x_1)
         >= -log p(x_0), the sum estimated by one of its terms

The last step back, to the data, is not learned: it is that of white noise, m = v = 0. Data of L levels gets uniform
noise of a level's width, so that a density over it bounds the probability of a level.

Sohl-Dickstein, Weiss, Maheswaranathan & Ganguli 2015, Deep Unsupervised Learning using Nonequilibrium
Thermodynamics. Widths, the forms of mean and variance and initial values are those of the authors' released code;
its schedule is fixed, where the paper learns it, and each scale is rectified before the scales are added.
"""

from __future__ import annotations

import itertools
import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from sevenfold.errors import SpecError
from sevenfold.layers.diffusion import Gaussian, Process, ReverseProcess, prior_kl, spread, step_term
from sevenfold.layers.diffusion.images import ImageDiffusion, Way
from sevenfold.layers.diffusion.losses import bits_per_dimension
from sevenfold.layers.diffusion.schedules import erasing_betas
from sevenfold.layers.generative import Sampling
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec

_SLOPE = 0.05  # of the rectifiers, below zero


class Diffusion2015Spec(Spec):
    """Settings of the diffusion model of 2015."""

    image: int = Field(default=28, ge=1, description="pixels a side; has to halve scales - 1 times")
    channels: int = Field(default=1, ge=1, description="colours of the image")
    levels: int = Field(default=256, ge=2, description="values that a pixel can take")
    mean: float = Field(default=0.1307, description="mean of the data's pixels, which becomes 0")
    deviation: float = Field(default=0.3081, gt=0, description="deviation of the data's pixels, which becomes 1")
    steps: int = Field(default=1000, ge=2, description="steps from data to noise")
    bumps: int = Field(default=10, ge=2, description="functions of time that the network's outputs are read with")
    maps: int = Field(default=20, ge=1, description="maps of each convolution")
    convolutions: int = Field(default=4, ge=1, description="layers of convolutions")
    scales: int = Field(default=1, ge=1, description="scales of each layer, each half the side of the one before")
    dense: int = Field(
        default=500, ge=0, description="hidden units of each layer over all pixels; 0 leaves them out"
    )
    dense_layers: int = Field(default=4, ge=1, description="layers over all pixels")
    dense_maps: int = Field(default=2, ge=1, description="maps of a pixel that they end in")
    upper: int = Field(default=20, ge=1, description="units of a pixel in the layer after both")
    bound_at: int | None = Field(
        default=None, ge=2, description="steps whose terms make an image's bits per dimension; none is all"
    )


class MultiScale(nn.Module):
    """[B, in, S, S] -> [B, maps, S, S]: the mean over scales of a rectified convolution, coarse ones enlarged."""

    def __init__(self, inputs: int, maps: int, scales: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(nn.Conv2d(inputs, maps, 3, padding=1) for _ in range(scales))
        for convolution in self.scales:
            assert isinstance(convolution, nn.Conv2d)
            # Images are smooth: nine inputs add up, and not only their squares (the authors' code).
            nn.init.normal_(convolution.weight, std=maps**-0.5 / 9)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor | None = None
        for scale in reversed(range(len(self.scales))):
            smaller = functional.avg_pool2d(x, 2**scale) if scale else x
            found = functional.leaky_relu(self.scales[scale](smaller), _SLOPE)
            total = found if total is None else functional.interpolate(total, scale_factor=2.0) + found
        assert total is not None
        return total / len(self.scales)


class Network2015(nn.Module):
    """x_t [B, C, S, S] -> [B, C, 2, J, S, S], for mean and variance the numbers that bumps in time weigh."""

    def __init__(self, spec: Diffusion2015Spec) -> None:
        super().__init__()
        self.spec = spec
        sizes = [spec.channels] + [spec.maps] * spec.convolutions
        self.lower = nn.Sequential(
            *(MultiScale(inputs, maps, spec.scales) for inputs, maps in itertools.pairwise(sizes))
        )
        beside = spec.dense_maps if spec.dense else 0
        self.dense = _dense(spec) if spec.dense else None
        self.upper = nn.Linear(spec.maps + beside, spec.upper)
        self.readout = nn.Linear(spec.upper, spec.channels * 2 * spec.bumps)
        for layer in (self.upper, self.readout):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.lower(x).movedim(1, -1)
        if self.dense is not None:
            beside = self.dense(x.flatten(1)).unflatten(1, (*x.shape[2:], self.spec.dense_maps))
            maps = torch.cat([maps / self.spec.maps**0.5, beside / self.spec.dense_maps**0.5], dim=-1)
        found = self.readout(functional.leaky_relu(self.upper(maps), _SLOPE))
        spread: Tensor = found.unflatten(-1, (self.spec.channels, 2, self.spec.bumps)).permute(0, 3, 4, 5, 1, 2)
        return spread


def _dense(spec: Diffusion2015Spec) -> nn.Sequential:
    pixels = spec.image**2
    sizes = [spec.channels * pixels] + [spec.dense] * (spec.dense_layers - 1) + [spec.dense_maps * pixels]
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layer = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(layer.weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*layers)


def bumps_in_time(steps: int, bumps: int) -> Tensor:
    """g_j(t) [T, J]: normal curves whose centres lie evenly from the first step to the last, made to add up to 1.

    >>> bumps_in_time(5, 3).sum(dim=1).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    times = torch.linspace(-1, 1, steps, dtype=torch.float64, device="cpu")
    centres = torch.linspace(-1, 1, bumps, dtype=torch.float64, device="cpu")
    width = 1 / (bumps - 1)  # half of what lies between two centres
    curves = torch.exp(-((times[:, None] - centres) ** 2) / (2 * width**2))
    return curves / curves.sum(dim=1, keepdim=True)


class _Back(ReverseProcess):
    """p(x_{t-1} | x_t)."""

    def __init__(self, process: Process, network: Network2015, bumps: Tensor) -> None:
        self.process, self.network, self.bumps = process, network, bumps

    def reverse(self, noisy: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        weights = self.bumps[t].to(noisy.dtype)
        mean, variance = torch.einsum("bckjhw,bj->kbchw", self.network(noisy), weights)
        beta = spread(self.process.beta(t, s), noisy)
        learned = spread((t > 0).double(), noisy)
        share = learned * variance / math.sqrt(self.process.steps) + torch.logit(beta)
        moved = self.of_white_noise(noisy, t, s).mean + learned * beta.sqrt() * mean
        return Gaussian(moved, functional.logsigmoid(share))

    def of_white_noise(self, noisy: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """The step back if the data were white noise."""
        beta = spread(self.process.beta(t, s), noisy)
        return Gaussian((1 - beta).sqrt() * noisy, beta.log())


class Diffusion2015(ImageDiffusion):
    """[B, C, S, S] in 0..1 -> the bound on -log p(x_0) of each image from one step, in nats a dimension, [B]."""

    asked = ()
    bumps: Tensor

    def __init__(self, spec: Diffusion2015Spec) -> None:
        if spec.image % 2 ** (spec.scales - 1):
            raise SpecError(
                "image does not fit",
                got=f"{spec.image} pixels a side with scales={spec.scales}",
                expected=f"a multiple of {2 ** (spec.scales - 1)}",
            )
        super().__init__(
            "the diffusion of 2015",
            Process(erasing_betas(spec.steps)),
            shape=(spec.channels, spec.image, spec.image),
            levels=spec.levels,
            way=Way(),
            bound_at=spec.bound_at,
        )
        self.spec = spec
        self.network = Network2015(spec)
        table = bumps_in_time(spec.steps, spec.bumps)
        self.register_buffer("bumps", table.to(torch.get_default_device()), persistent=False)

    def scaled(self, images: Tensor) -> Tensor:
        return (images - self.spec.mean) / self.spec.deviation

    def unscaled(self, data: Tensor) -> Tensor:
        return (data * self.spec.deviation + self.spec.mean).clamp(0, 1)

    def reverse_process(self, condition: Tensor | None, sampling: Sampling = Sampling()) -> _Back:
        return _Back(self.process, self.network, self.bumps)

    def forward(self, *inputs: Tensor) -> Tensor:
        data = self._smoothed(self.read(inputs)[0])
        steps = self.process.steps
        t = torch.randint(1, steps, (len(data),), device=data.device)
        noisy = self.process.noised(data, t, torch.randn_like(data))
        found = self.reverse_process(None).reverse(noisy, t, t - 1)
        learned = step_term(self.process, found, data, noisy, t, levels=None)
        return (steps - 1) * learned + self._last_step(data) + prior_kl(self.process, data)

    def _last_step(self, data: Tensor) -> Tensor:
        """-log p(x_0 | x_1) [B], which asks nothing of the network."""
        t = torch.zeros(len(data), dtype=torch.int64, device=data.device)
        noisy = self.process.noised(data, t, torch.randn_like(data))
        found = self.reverse_process(None).of_white_noise(noisy, t, t - 1)
        return step_term(self.process, found, data, noisy, t, levels=None)

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        """The bound for a density over data with a level's uniform noise, and of a level's width."""
        data = self._smoothed(self.read(inputs)[0])
        with torch.no_grad():
            bits = bits_per_dimension(
                self.reverse_process(None), data, torch.randn_like, levels=None, at=self.bound_at
            )
        return bits - math.log2(self._width)

    @property
    def _width(self) -> float:
        """Of a level, in data."""
        return 1 / (self.levels - 1) / self.spec.deviation

    def _smoothed(self, data: Tensor) -> Tensor:
        return data + self._width * (torch.rand_like(data) - 0.5)


DIFFUSION_2015 = Family(
    landmark=Landmark(
        name="diffusion2015",
        title="Diffusion (2015)",
        family="generative",
        year=2015,
        paper="Sohl-Dickstein et al. 2015, Deep Unsupervised Learning using Nonequilibrium Thermodynamics",
        constraint="optimization",
        summary="data is destroyed by a thousand small steps of noise, each of which is easy to learn to undo",
        proof="outputs and gradients equal a slow reference that adds pixels up one by one; the bound is an "
        "equality for data that is white noise (tests/models/test_diffusion2015.py)",
        preset="diffusion2015",
    ),
    task="generation",
    spec_type=Diffusion2015Spec,
    module=Diffusion2015,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="maps",
)


@DIFFUSION_2015.preset("paper", parameters=1_691_008)
def diffusion2015() -> Diffusion2015Spec:
    """The network of the released code for MNIST, 28x28 pixels, in 1000 steps."""
    return Diffusion2015Spec()


@DIFFUSION_2015.preset("laptop")
def diffusion2015_small() -> Diffusion2015Spec:
    """The same with 200 units over all pixels and two scales, for 8x8 digits in 100 steps."""
    return Diffusion2015Spec(
        image=8, levels=17, mean=0.305, deviation=0.376, steps=100, scales=2, dense=200, dense_maps=4, upper=40,
        maps=32, bumps=10,
    )  # fmt: skip
