"""What a decoder's maps say of pixels: p(x | maps), a sum over pixels of independent distributions.

B batch, C channels, H W pixels, L levels, n the maps a channel that a kind needs. Pixels x are in 0..1; where they
are discrete, level k of L is k / (L - 1).

    bernoulli        n = 1, logits a        log p = x log s(a) + (1 - x) log s(-a)             density none; L = 2
    gaussian         n = 2, mean s(a), log variance v       log N(x; s(a), exp v)              a density
    shared-gaussian  n = 1, mean a; one learned log variance v for all pixels: squared error, with the weight that
                     fits best                              log N(x; a, exp v)                 a density
    logistic         n = 2, mean m, log scale: mass of the logistic distribution on the interval of each level, the
                     intervals of the first and of the last level being open                   a probability
    categorical      n = L, logits: any distribution over levels                               a probability

s is the logistic function. Kingma & Welling 2013, appendix C (bernoulli, and gaussian with sigmoid means); Kingma
et al. 2016, Improved Variational Inference with Inverse Autoregressive Flow, and Salimans et al. 2017, PixelCNN++
(logistic).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sevenfold.errors import UsageError
from sevenfold.layers.noise import Noise

__all__ = ["PixelOutput", "PixelOutputName", "Shown", "pixel_output"]

PixelOutputName = Literal["bernoulli", "gaussian", "shared-gaussian", "logistic", "categorical"]

Shown = Literal["mean", "draw"]

_LEAST_LOG_VARIANCE = -10.0  # pixels that are always 0 would make a density infinite
_LEAST_LOG_SCALE = -7.0


class PixelOutput(nn.Module, ABC):
    """Maps [B, n C, H, W] and what they say of pixels [B, C, H, W]."""

    maps: int  # n, a channel
    levels: int | None  # of the pixels that it gives probabilities to; None: a density

    @abstractmethod
    def log_likelihood(self, maps: Tensor, pixels: Tensor) -> Tensor:
        """log p(pixels | maps) [B] in nats."""

    @abstractmethod
    def mean(self, maps: Tensor) -> Tensor:
        """The expected pixels [B, C, H, W]."""

    @abstractmethod
    def draw(self, maps: Tensor, noise: Noise) -> Tensor:
        """Pixels [B, C, H, W] drawn from the distribution, in 0..1."""

    def shown(self, maps: Tensor, how: Shown, noise: Noise) -> Tensor:
        """Pixels in 0..1 for a person: the expected ones, or drawn ones."""
        return (self.mean(maps) if how == "mean" else self.draw(maps, noise)).clamp(0, 1)

    def speaks_of(self, levels: int | None) -> bool:
        """Whether it gives a probability to pixels of so many levels; bytes, where their number is not known."""
        return self.levels == (levels or 256)

    def require_levels(self, pixels: Tensor) -> None:
        """UsageError where these pixels have a density instead of a probability, or other levels than it knows."""
        if self.levels is None:
            raise UsageError(
                "this output is a density: it gives discrete pixels no probability",
                got="bits per dimension",
                expected="a model with output logistic or categorical (bernoulli for two levels)",
                hint="--set model.output=logistic, with as many levels as the data has",
            )
        off = float((pixels * (self.levels - 1) - self._level(pixels)).abs().max())
        if off > 0.01:
            raise UsageError(
                "pixels are of other levels than the model's",
                got=f"a pixel {off:.2f} levels from the next",
                expected=f"{self.levels} levels from 0 to 1",
                hint="the model setting levels, as many as the data has",
            )

    def _split(self, maps: Tensor) -> tuple[Tensor, ...]:
        """n tensors [B, C, H, W]."""
        return maps.chunk(self.maps, dim=1)

    def _level(self, pixels: Tensor) -> Tensor:
        """The index of each pixel's level."""
        assert self.levels is not None
        return (pixels * (self.levels - 1)).round()


def pixel_output(name: PixelOutputName, levels: int) -> PixelOutput:
    """The output of that name; ``levels`` is for those that give discrete pixels a probability.

    >>> pixel_output("logistic", 17).log_likelihood(torch.zeros(5, 2, 8, 8), torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5])
    """
    if name == "logistic":
        return Logistic(levels)
    if name == "categorical":
        return Categorical(levels)
    return {"bernoulli": Bernoulli, "gaussian": Gaussian, "shared-gaussian": SharedGaussian}[name]()


class Bernoulli(PixelOutput):
    """Pixels 0 or 1; between them the same expression, which is then no probability."""

    maps, levels = 1, 2

    def log_likelihood(self, maps: Tensor, pixels: Tensor) -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(maps, pixels, reduction="none")
        return -loss.flatten(1).sum(1)

    def mean(self, maps: Tensor) -> Tensor:
        return maps.sigmoid()

    def draw(self, maps: Tensor, noise: Noise) -> Tensor:
        return (noise.uniform(*maps.shape[1:]) < maps.sigmoid()).to(maps.dtype)


class Gaussian(PixelOutput):
    """A normal density with a sigmoid mean and a variance for every pixel."""

    maps, levels = 2, None

    def log_likelihood(self, maps: Tensor, pixels: Tensor) -> Tensor:
        mean, log_variance = self._mean_and_log_variance(maps)
        return _log_normal(pixels, mean, log_variance)

    def mean(self, maps: Tensor) -> Tensor:
        return self._mean_and_log_variance(maps)[0]

    def draw(self, maps: Tensor, noise: Noise) -> Tensor:
        mean, log_variance = self._mean_and_log_variance(maps)
        return (mean + (log_variance / 2).exp() * noise.normal(*mean.shape[1:])).clamp(0, 1)

    def _mean_and_log_variance(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self._split(maps)
        return mean.sigmoid(), log_variance.clamp(min=_LEAST_LOG_VARIANCE)


class SharedGaussian(PixelOutput):
    """A normal density with any mean, and one variance that is learned."""

    maps, levels = 1, None

    def __init__(self) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(()))

    def log_likelihood(self, maps: Tensor, pixels: Tensor) -> Tensor:
        return _log_normal(pixels, maps, self.log_variance.clamp(min=_LEAST_LOG_VARIANCE))

    def mean(self, maps: Tensor) -> Tensor:
        return maps

    def draw(self, maps: Tensor, noise: Noise) -> Tensor:
        return (maps + (self.log_variance / 2).exp() * noise.normal(*maps.shape[1:])).clamp(0, 1)


class Logistic(PixelOutput):
    """The mass of a logistic distribution on each level's interval."""

    maps = 2

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels: int = levels

    def log_likelihood(self, maps: Tensor, pixels: Tensor) -> Tensor:
        mean, scale = self._mean_and_scale(maps)
        half = 0.5 / (self.levels - 1)
        above, below = (pixels + half - mean) / scale, (pixels - half - mean) / scale
        level = self._level(pixels)
        # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)): no difference of nearly equal numbers. Open at both ends.
        first, last = level == 0, level == self.levels - 1
        zero = torch.zeros((), dtype=maps.dtype, device=maps.device)
        between = torch.log(-torch.expm1(-2 * half / scale))
        log_mass = torch.where(last, zero, functional.logsigmoid(above))
        log_mass = log_mass + torch.where(first, zero, functional.logsigmoid(-below))
        log_mass = log_mass + torch.where(first | last, zero, between)
        return log_mass.flatten(1).sum(1)

    def mean(self, maps: Tensor) -> Tensor:
        mean, scale = self._mean_and_scale(maps)
        # The expectation of a number in 0, 1, ... is the sum of the probabilities to be at least 1, 2, ...
        total = torch.zeros_like(mean)
        for level in range(1, self.levels):
            total = total + ((mean - (level - 0.5) / (self.levels - 1)) / scale).sigmoid()
        return total / (self.levels - 1)

    def draw(self, maps: Tensor, noise: Noise) -> Tensor:
        mean, scale = self._mean_and_scale(maps)
        uniform = noise.uniform(*mean.shape[1:]).clamp(1e-6, 1 - 1e-6)
        return self._level((mean + scale * uniform.logit()).clamp(0, 1)) / (self.levels - 1)

    def _mean_and_scale(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of 0 are the middle of the range, and a scale that covers it."""
        mean, log_scale = self._split(maps)
        return 0.5 + mean, (log_scale - 1.5).clamp(min=_LEAST_LOG_SCALE).exp()


class Categorical(PixelOutput):
    """Any distribution over the levels."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels: int = levels
        self.maps = levels

    def log_likelihood(self, maps: Tensor, pixels: Tensor) -> Tensor:
        loss = functional.cross_entropy(self._logits(maps), self._level(pixels).long(), reduction="none")
        return -loss.flatten(1).sum(1)

    def mean(self, maps: Tensor) -> Tensor:
        levels = torch.arange(self.maps, dtype=maps.dtype, device=maps.device) / (self.maps - 1)
        return torch.einsum("blchw,l->bchw", self._logits(maps).softmax(1), levels)

    def draw(self, maps: Tensor, noise: Noise) -> Tensor:
        up_to = self._logits(maps).softmax(1).cumsum(1)
        uniform = noise.uniform(*up_to.shape[2:])[:, None]
        return (uniform > up_to[:, :-1]).sum(1).to(maps.dtype) / (self.maps - 1)

    def _logits(self, maps: Tensor) -> Tensor:
        """[B, L, C, H, W]."""
        return torch.stack(self._split(maps), dim=1)


def _log_normal(pixels: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    squares = (pixels - mean).square() / log_variance.exp()
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).flatten(1).sum(1)
