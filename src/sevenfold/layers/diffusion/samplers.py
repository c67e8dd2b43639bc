"""From noise to data: DDPM's random steps, DDIM's, and what can be done on the way.

B examples [B, C, ...], t and s [B] int64 (`process`); the network is any function (x_t, t) -> prediction.

    ancestral  x_s = mean + sigma z, mean of q(x_s | x_t, x_0) at the predicted x_0     Ho et al. 2020, algorithm 2
    ddim       x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s - sigma^2) noise + sigma z,
               sigma = eta sqrt(beta_tilde)                                             Song et al. 2020, 12 and 16
    variance   small: beta_tilde; large: beta; learned-range: between their logarithms, at the share (v + 1) / 2
               that the network says in C further channels                              Nichol & Dhariwal 2021, 15
    guided     the mean moved by variance * gradient, or the noise by -sqrt(1 - alpha_bar_t) gradient
                                                                      Dhariwal & Nichol 2021, algorithms 1 and 2
    encode     ddim walked backwards, from data to noise (eta 0)                        Song et al. 2020, 4.3
    inpaint    after every step the kept pixels are replaced by the picture's own, as noisy; with ``repeats`` > 1
               each step is undone and done again, so that both parts agree             Lugmayr et al. 2022, alg. 1
    translate  the picture made noisy up to a step, and walked from there               Meng et al. 2021 (SDEdit)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.layers.diffusion.process import Gaussian, Predicts, Process, spread
from sevenfold.layers.generative import OnStep, untold
from sevenfold.layers.noise import Noise

__all__ = [
    "Clip",
    "Denoiser",
    "Network",
    "Variance",
    "clipped",
    "dynamically_clipped",
    "encode",
    "inpaint",
    "slerp",
    "walk",
]

Network = Callable[[Tensor, Tensor], Tensor]
Clip = Callable[[Tensor], Tensor]
Variance = Literal["small", "large", "learned-range"]
Pairs = Sequence[tuple[int, int]]


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


@dataclass(frozen=True)
class Denoiser:
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
            noise = self._noise(prediction, noisy, t)
            noise = noise - spread((1 - self.process.alpha_bar[t + 1]).sqrt(), noisy) * self.guide(noisy, t)
            unguided = replace(self, predicts="noise")
            data = unguided.data(noise, noisy, t)
        else:
            data, noise = self.data(prediction, noisy, t), self._noise(prediction, noisy, t)
        return data, self.process.noise_from_data(data, noisy, t) if self.rederived else noise

    def _noise(self, prediction: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        if self.predicts == "noise":
            return prediction
        unclipped = self.process.data_from(self.predicts, prediction, noisy, t)
        return self.process.noise_from_data(unclipped, noisy, t)

    def step(self, noisy: Tensor, t: Tensor, s: Tensor, noise: Tensor, *, eta: float | None = None) -> Tensor:
        """x_s of x_t and standard normal noise: DDPM's step, or DDIM's where ``eta`` is given.

        No noise is added on the last step, to the data.
        """
        if eta is None:
            found = self.reverse(noisy, t, s)
            mean, deviation = found.mean, found.deviation
        else:
            mean, deviation = self.ddim(noisy, t, s, eta=eta)
        return mean + deviation * noise * spread((s >= 0).to(noisy.dtype), noisy)


@torch.no_grad()
def walk(
    denoiser: Denoiser,
    start: Tensor,
    pairs: Pairs,
    noise: Noise,
    *,
    eta: float | None = None,
    on_step: OnStep = untold,
) -> Tensor:
    """x_0 of x_t for the first t of ``pairs`` (`path`), as DDPM walks it, or DDIM with ``eta``."""
    x = start
    for done, (t, s) in enumerate(pairs, start=1):
        x = denoiser.step(x, _of(x, t), _of(x, s), _fresh(x, noise, needed=s >= 0 and eta != 0), eta=eta)
        on_step(done, len(pairs))
    return x


@torch.no_grad()
def encode(denoiser: Denoiser, data: Tensor, pairs: Pairs) -> Tensor:
    """The noise that DDIM without noise would walk to this data: its steps backwards, to the first t of ``pairs``.

    The prediction is taken where a step starts and not where it ends, so that the way back is nearly the same, the
    nearer the more steps there are.
    """
    unclipped = replace(denoiser, clip=None, rederived=False)
    process, x = denoiser.process, data
    for t, s in reversed(pairs):
        here = _of(x, max(s, 0))
        prediction, _ = unclipped.said(x, here)
        found = process.data_from(denoiser.predicts, prediction, x, here)
        found = denoiser.clip(found) if denoiser.clip is not None else found
        # At the data itself there is no noise to tell: the network's answer at the first step is all there is.
        noise = process.noise_from_data(found, x, here) if s >= 0 else unclipped._noise(prediction, x, here)
        left = process.alpha_bar[_of(x, t) + 1]
        origin = found if s >= 0 else x
        x = spread(left.sqrt(), x) * origin + spread((1 - left).sqrt(), x) * noise
    return x


@torch.no_grad()
def inpaint(
    denoiser: Denoiser,
    known: Tensor,
    kept: Tensor,
    pairs: Pairs,
    noise: Noise,
    *,
    repeats: int = 1,
    eta: float | None = None,
    on_step: OnStep = untold,
) -> Tensor:
    """Data that equals ``known`` [B, C, ...] where ``kept`` (bool, spreads over it), and is drawn elsewhere."""
    process = denoiser.process
    x = noise.normal(*known.shape[1:]).to(known)
    for done, (t, s) in enumerate(pairs, start=1):
        t_b, s_b = _of(x, t), _of(x, s)
        for again in range(repeats):
            x = denoiser.step(x, t_b, s_b, _fresh(x, noise), eta=eta)
            own = process.noised(known, s_b, _fresh(x, noise)) if s >= 0 else known
            x = torch.where(kept, own, x)
            if s < 0 or again == repeats - 1:
                break
            x = process.noised_from(x, s_b, t_b, _fresh(x, noise))
        on_step(done, len(pairs))
    return x


def slerp(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Between two noises on their great circle, [N, ...] for ``share`` [N]: Song et al. 2020, appendix D.5.

    >>> slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([0.5])).square().round().tolist()
    [[2.0, 2.0]]
    """
    cosine = torch.dot(first.flatten(), second.flatten()) / (first.norm() * second.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    wide = share.to(first).reshape(-1, *(1 for _ in first.shape))
    if float(torch.sin(angle)) < 1e-6:
        return (1 - wide) * first + wide * second
    return (torch.sin((1 - wide) * angle) * first + torch.sin(wide * angle) * second) / torch.sin(angle)


def _of(x: Tensor, t: int) -> Tensor:
    return torch.full((len(x),), t, dtype=torch.int64, device=x.device)


def _fresh(x: Tensor, noise: Noise, *, needed: bool = True) -> Tensor:
    return noise.normal(*x.shape[1:]).to(x) if needed else torch.zeros_like(x)
