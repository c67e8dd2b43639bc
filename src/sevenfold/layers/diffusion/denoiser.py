"""What a network's output means for a diffusion: the distribution p(x_s | x_t), and DDIM's step.

B examples [B, C, ...], t and s [B] int64 (`process`); the network is any function (x_t, t) -> prediction.

    ancestral  x_s = mean + sigma z, mean of q(x_s | x_t, x_0) at the predicted x_0     Ho et al. 2020, algorithm 2
    ddim       x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s - sigma^2) noise + sigma z,
               sigma = eta sqrt(beta_tilde)                                             Song et al. 2020, 12 and 16
    variance   small: beta_tilde; large: beta; learned-range: between their logarithms, at the share (v + 1) / 2
               that the network says in C further channels                              Nichol & Dhariwal 2021, 15
    guided     the mean moved by variance * gradient, or the noise by -sqrt(1 - alpha_bar_t) gradient
                                                                      Dhariwal & Nichol 2021, algorithms 1 and 2
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.layers.diffusion.process import Gaussian, Predicts, Process, spread

__all__ = ["Clip", "Denoiser", "Network", "ReverseProcess", "Variance", "clipped", "dynamically_clipped"]

Network = Callable[[Tensor, Tensor], Tensor]
Clip = Callable[[Tensor], Tensor]
Variance = Literal["small", "large", "learned-range"]


def clipped(data: Tensor) -> Tensor:
    """Predicted data cut to -1..1."""
    return data.clamp(-1, 1)


def dynamically_clipped(data: Tensor, *, share: float = 0.995, most: float = float("inf")) -> Tensor:
    """Cut to a bound and divided by it: the ``share`` quantile of an example's absolute values, in 1..``most``.

    Source: Saharia et al. 2022, Imagen, section 2.3.
    """
    bound = data.flatten(1).abs().quantile(share, dim=1).clamp(1, most)
    wide = spread(bound, data)
    return torch.minimum(torch.maximum(data, -wide), wide) / wide


class ReverseProcess(ABC):
    """The way back of a diffusion, one step at a time."""

    process: Process

    @abstractmethod
    def reverse(self, noisy: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """p(x_s | x_t)."""

    def step(self, noisy: Tensor, t: Tensor, s: Tensor, noise: Tensor, *, eta: float | None = None) -> Tensor:
        """x_s of x_t and standard normal noise, which is not added on the last step, to the data."""
        if eta is not None:
            raise UsageError("this diffusion has no steps of DDIM", got=f"eta {eta:g}", expected="none")
        found = self.reverse(noisy, t, s)
        return _with_noise(found.mean, found.deviation, s, noise)


@dataclass(frozen=True)
class Denoiser(ReverseProcess):
    """A network and what its output means; gives p(x_s | x_t).

    ``guide`` is the gradient of log p(y | x_t) with its scale; ``rederived``: DDIM's noise is computed from the
    clipped data (the authors of guided diffusion), and not as the network said it.
    """

    process: Process
    network: Network
    predicts: Predicts = "noise"
    variance: Variance = "small"
    clip: Clip | None = clipped
    guide: Network | None = None
    rederived: bool = True

    def said(self, noisy: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """The network's prediction [B, C, ...], and what it says of the variance, None where it says nothing."""
        out = self.network(noisy, t)
        channels = noisy.shape[1]
        if self.variance != "learned-range":
            return out, None
        if out.shape[1] != 2 * channels:
            raise UsageError(
                "the network of a diffusion with learned variances says two numbers a value",
                got=f"{out.shape[1]} channels",
                expected=2 * channels,
            )
        return out[:, :channels], out[:, channels:]

    def data(self, prediction: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """x_0 as predicted, clipped."""
        found = self.process.data_from(self.predicts, prediction, noisy, t)
        return found if self.clip is None else self.clip(found)

    def log_variance(self, spoken: Tensor | None, noisy: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """log sigma^2 of p(x_s | x_t), of a shape that spreads over x_t."""
        least = self.process.smallest_log_variance(t, s)
        # Towards the data "large" is the smallest of all, which the authors found to give a better likelihood.
        most = self.process.beta(t, s).log()
        if self.variance == "small":
            return spread(least, noisy)
        if self.variance == "large":
            return spread(torch.where(s < 0, least, most), noisy)
        assert spoken is not None
        share = (spoken + 1) / 2
        return share * spread(most, noisy) + (1 - share) * spread(least, noisy)

    def reverse(self, noisy: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """p(x_s | x_t), with the guide's pull."""
        prediction, spoken = self.said(noisy, t)
        return self.reverse_of(prediction, spoken, noisy, t, s)

    def reverse_of(
        self, prediction: Tensor, spoken: Tensor | None, noisy: Tensor, t: Tensor, s: Tensor
    ) -> Gaussian:
        """``reverse``, of what the network has already said."""
        mean = self.process.posterior(self.data(prediction, noisy, t), noisy, t, s).mean
        log_variance = self.log_variance(spoken, noisy, t, s)
        if self.guide is not None:
            mean = mean + log_variance.exp() * self.guide(noisy, t)
        return Gaussian(mean, log_variance)

    def ddim(self, noisy: Tensor, t: Tensor, s: Tensor, *, eta: float = 0.0) -> tuple[Tensor, Tensor]:
        """The mean [B, ...] of x_s and the deviation [B, 1, ...] of the noise that is added, eta's share."""
        data, noise = self._data_and_noise(noisy, t)
        sigma = eta * self.process.posterior_variance(t, s).sqrt()
        left = self.process.alpha_bar[s + 1]
        direction = (1 - left - sigma**2).clamp(min=0).sqrt()
        mean = spread(left.sqrt(), noisy) * data + spread(direction, noisy) * noise
        return mean, spread(sigma, noisy)

    def _data_and_noise(self, noisy: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        prediction, _ = self.said(noisy, t)
        if self.guide is not None:
            noise = self.noise(prediction, noisy, t)
            noise = noise - spread((1 - self.process.alpha_bar[t + 1]).sqrt(), noisy) * self.guide(noisy, t)
            unguided = replace(self, predicts="noise")
            data = unguided.data(noise, noisy, t)
        else:
            data, noise = self.data(prediction, noisy, t), self.noise(prediction, noisy, t)
        return data, self.process.noise_from_data(data, noisy, t) if self.rederived else noise

    def noise(self, prediction: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """The noise as predicted, nothing clipped."""
        if self.predicts == "noise":
            return prediction
        unclipped = self.process.data_from(self.predicts, prediction, noisy, t)
        return self.process.noise_from_data(unclipped, noisy, t)

    def step(self, noisy: Tensor, t: Tensor, s: Tensor, noise: Tensor, *, eta: float | None = None) -> Tensor:
        """x_s of x_t and standard normal noise: DDPM's step, or DDIM's where ``eta`` is given.

        No noise is added on the last step, to the data.
        """
        if eta is None:
            return super().step(noisy, t, s, noise)
        mean, deviation = self.ddim(noisy, t, s, eta=eta)
        return _with_noise(mean, deviation, s, noise)


def _with_noise(mean: Tensor, deviation: Tensor, s: Tensor, noise: Tensor) -> Tensor:
    return mean + deviation * noise * spread((s >= 0).to(mean.dtype), mean)
