"""A Gaussian diffusion: how data becomes noise, and what is known about the way back when the data is given.

B examples, t [B] int64 in 0 .. T-1 (the papers count from 1), s [B] an earlier step, -1 for the data itself;
beta_{t|s} = 1 - alpha_bar_t / alpha_bar_s, which for s = t-1 is beta_t. Numbers of the equations: Ho et al. 2020.

    q(x_t | x_0)       = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I)                                   (4)
    q(x_s | x_t, x_0)  = N(mu_tilde, beta_tilde I)                                                       (6)
    mu_tilde           = sqrt(alpha_bar_s) beta_{t|s} / (1 - alpha_bar_t) x_0
                         + sqrt(1 - beta_{t|s}) (1 - alpha_bar_s) / (1 - alpha_bar_t) x_t                (7)
    beta_tilde         = (1 - alpha_bar_s) / (1 - alpha_bar_t) beta_{t|s}                                (7)

Pairs (t, s) that skip steps are the same formulas: the process over the steps that are walked has alpha_bar where
the whole one has it (Song et al. 2020, section 4.2; Nichol & Dhariwal 2021, section 4). Coefficients are computed
in float64 and then rounded to the images' type. It must not know networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from sevenfold.errors import SpecError

__all__ = ["Gaussian", "Predicts", "Process"]

Predicts = Literal["noise", "data", "velocity"]


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions: ``mean`` [B, ...], ``log_variance`` of a shape that spreads over it."""

    mean: Tensor
    log_variance: Tensor

    @property
    def deviation(self) -> Tensor:
        """The standard deviation."""
        return torch.exp(0.5 * self.log_variance)


class Process(nn.Module):
    """The diffusion of a schedule ``betas`` [T]; a module only so that its table follows the model's device.

    The table stays float64 when the model is cast, and is no part of its state.

    >>> process = Process(torch.full((2,), 0.5, dtype=torch.float64))
    >>> process.alpha_bar.tolist()  # of the data, and after each step
    [1.0, 0.5, 0.25]
    >>> process.noised(torch.ones(1, 1), torch.tensor([1]), torch.zeros(1, 1)).item()
    0.5
    """

    alpha_bar: Tensor  # [T + 1] float64; of step t at t + 1, the data's 1 at 0

    def __init__(self, betas: Tensor) -> None:
        super().__init__()
        if betas.dim() != 1 or not bool(((betas > 0) & (betas < 1)).all()):
            raise SpecError(
                "a schedule is one share of noise a step",
                got=f"shape {list(betas.shape)}, from {float(betas.min()):g} to {float(betas.max()):g}",
                expected="[steps], each between 0 and 1",
            )
        left = torch.cumprod(1 - betas.to(torch.float64), dim=0)
        self._table = torch.cat([torch.ones(1, dtype=torch.float64, device=left.device), left])
        self.register_buffer("alpha_bar", self._table.to(torch.get_default_device()), persistent=False)

    @property
    def steps(self) -> int:
        """T."""
        return len(self._table) - 1

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # float(), half() and the like would round alpha_bar: only the device is followed.
        moved: Any = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.alpha_bar = self._table.to(self.alpha_bar.device)
        return moved  # type: ignore[no-any-return]

    def noised(self, data: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t of x_0 and standard normal noise (4)."""
        left = self.alpha_bar[t + 1]
        return spread(left.sqrt(), data) * data + spread((1 - left).sqrt(), data) * noise

    def noised_from(self, earlier: Tensor, s: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t of x_s, s < t."""
        left = self.alpha_bar[t + 1] / self.alpha_bar[s + 1]
        return spread(left.sqrt(), earlier) * earlier + spread((1 - left).sqrt(), earlier) * noise

    def beta(self, t: Tensor, s: Tensor) -> Tensor:
        """beta_{t|s} [B] float64."""
        return 1 - self.alpha_bar[t + 1] / self.alpha_bar[s + 1]

    def posterior_variance(self, t: Tensor, s: Tensor) -> Tensor:
        """beta_tilde [B] float64 (7); 0 where s is the data."""
        return (1 - self.alpha_bar[s + 1]) / (1 - self.alpha_bar[t + 1]) * self.beta(t, s)

    def smallest_log_variance(self, t: Tensor, s: Tensor) -> Tensor:
        """log beta_tilde [B] float64; where s is the data, that of the process' second step, which is not zero.

        So do the authors of DDPM, for the log-likelihood of the data's levels.
        """
        variance = self.posterior_variance(t, s)
        one, none = torch.ones_like(t), torch.zeros_like(t)
        floor = self.posterior_variance(one, none) if self.steps > 1 else self.beta(t, s)
        return torch.where(s < 0, floor, variance).log()

    def posterior(self, data: Tensor, noisy: Tensor, t: Tensor, s: Tensor) -> Gaussian:
        """q(x_s | x_t, x_0) (6, 7)."""
        left_t, left_s, beta = self.alpha_bar[t + 1], self.alpha_bar[s + 1], self.beta(t, s)
        of_data = left_s.sqrt() * beta / (1 - left_t)
        of_noisy = (1 - beta).sqrt() * (1 - left_s) / (1 - left_t)
        mean = spread(of_data, data) * data + spread(of_noisy, noisy) * noisy
        return Gaussian(mean, spread(self.smallest_log_variance(t, s), noisy))

    def target(self, predicts: Predicts, data: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What a network that predicts this should say: the noise, x_0, or the velocity.

        v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x_0: Salimans & Ho 2022, Progressive Distillation.
        """
        if predicts == "noise":
            return noise
        if predicts == "data":
            return data
        left = self.alpha_bar[t + 1]
        return spread(left.sqrt(), data) * noise - spread((1 - left).sqrt(), data) * data

    def data_from(self, predicts: Predicts, prediction: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """x_0 of x_t and what a network predicts (15 for noise)."""
        if predicts == "data":
            return prediction
        left = self.alpha_bar[t + 1]
        kept, lost = spread(left.sqrt(), noisy), spread((1 - left).sqrt(), noisy)
        if predicts == "noise":
            return (noisy - lost * prediction) / kept
        return kept * noisy - lost * prediction

    def noise_from_data(self, data: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """The noise that x_t holds if its data is x_0."""
        left = self.alpha_bar[t + 1]
        return (noisy - spread(left.sqrt(), noisy) * data) / spread((1 - left).sqrt(), noisy)


def spread(of_each: Tensor, images: Tensor) -> Tensor:
    """One number an example [B] as [B, 1, ...] of the images' type, to be multiplied with them."""
    return of_each.to(images.dtype).reshape(-1, *(1 for _ in images.shape[1:]))
