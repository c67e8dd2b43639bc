"""What a diffusion minimizes, and the bound on the log-likelihood that it stands for. Nats a dimension, [B].

    L_simple   the mean square of prediction - target                                    Ho et al. 2020, 14
    L_t        KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), the data's own levels at t = 0     5, 13
    L_T        KL(q(x_T | x_0) || N(0, I)), where nothing is learned                             5
    bound      L_T + sum_t L_t, an upper bound of -log p(x_0)
    hybrid     L_simple + lambda T L_t, lambda = 0.001, the mean held fixed in L_t       Nichol & Dhariwal 2021, 16

Data lies in -1..1 on ``levels`` evenly spaced values (None: it is continuous, and L_0 is a density's).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sevenfold.layers.diffusion.denoiser import ReverseProcess
from sevenfold.layers.diffusion.process import Gaussian, Process

__all__ = ["bits_per_dimension", "bound_terms", "level_nll", "mean_square", "normal_kl", "prior_kl", "step_term"]


def mean_square(prediction: Tensor, target: Tensor) -> Tensor:
    """L_simple of each example [B] (14)."""
    return (prediction - target).square().flatten(1).mean(dim=1)


def normal_kl(first: Gaussian, second: Gaussian) -> Tensor:
    """KL(first || second) of every dimension [B, ...] in nats.

    >>> unit = Gaussian(torch.zeros(1, 1), torch.zeros(1, 1))
    >>> normal_kl(Gaussian(torch.ones(1, 1), torch.zeros(1, 1)), unit).item()
    0.5
    """
    ratio = torch.exp(first.log_variance - second.log_variance)
    pull = (first.mean - second.mean).square() * torch.exp(-second.log_variance)
    return 0.5 * (second.log_variance - first.log_variance + ratio + pull - 1)


def level_nll(data: Tensor, found: Gaussian, levels: int) -> Tensor:
    """-log of the probability that the normal distribution gives to each value's interval [B, ...] (13).

    The intervals are 2 / (levels - 1) wide, the outermost reach to infinity. Nothing is below 1e-12 of probability.
    """
    half = 1 / (levels - 1)
    inverse = torch.exp(-0.5 * found.log_variance)
    above, below = inverse * (data - found.mean + half), inverse * (data - found.mean - half)
    # The difference of two numbers near 1 is rounding: mirrored, both are small.
    mirrored = above + below > 0
    low, high = torch.where(mirrored, -above, below), torch.where(mirrored, -below, above)
    inside = (torch.special.ndtr(high) - torch.special.ndtr(low)).clamp(min=1e-12).log()
    found_log = torch.where(data > 1 - half, torch.special.log_ndtr(-below), inside)
    return -torch.where(data < -1 + half, torch.special.log_ndtr(above), found_log).clamp(min=math.log(1e-12))


def density_nll(data: Tensor, found: Gaussian) -> Tensor:
    """-log of the normal density at each value [B, ...]."""
    pull = (data - found.mean).square() * torch.exp(-found.log_variance)
    return 0.5 * (math.log(2 * math.pi) + found.log_variance + pull)


def step_term(
    process: Process, found: Gaussian, data: Tensor, noisy: Tensor, t: Tensor, *, levels: int | None
) -> Tensor:
    """L_t of p(x_{t-1} | x_t) = ``found``, the mean over dimensions [B], in nats."""
    divergence = normal_kl(process.posterior(data, noisy, t, t - 1), found)
    last = density_nll(data, found) if levels is None else level_nll(data, found, levels)
    of_each = torch.where((t == 0).reshape(-1, *(1 for _ in data.shape[1:])), last, divergence)
    return of_each.flatten(1).mean(dim=1)


def prior_kl(process: Process, data: Tensor) -> Tensor:
    """L_T of each example [B], nats a dimension."""
    t = torch.full((len(data),), process.steps - 1, dtype=torch.int64, device=data.device)
    left = process.alpha_bar[-1]
    end = process.noised(data, t, torch.zeros_like(data))
    zero = torch.zeros_like(data)
    return normal_kl(Gaussian(end, (1 - left).log().to(data.dtype) + zero), Gaussian(zero, zero)).flatten(1).mean(1)


def bound_terms(
    denoiser: ReverseProcess, data: Tensor, draw: Callable[[Tensor], Tensor], *, levels: int | None
) -> Tensor:
    """The terms of the bound [B, T + 1] in nats a dimension: L_0 .. L_{T-1}, L_T; one draw of x_t for each.

    ``draw`` gives standard normal noise like its argument.
    """
    process = denoiser.process
    terms = []
    for step in range(process.steps):
        t = torch.full((len(data),), step, dtype=torch.int64, device=data.device)
        noisy = process.noised(data, t, draw(data))
        terms.append(step_term(process, denoiser.reverse(noisy, t, t - 1), data, noisy, t, levels=levels))
    return torch.stack([*terms, prior_kl(process, data)], dim=1)


def bits_per_dimension(
    denoiser: ReverseProcess,
    data: Tensor,
    draw: Callable[[Tensor], Tensor],
    *,
    levels: int | None,
    at: int | None = None,
) -> Tensor:
    """The bound in bits a dimension [B]: -log2 p(x_0) is at most this, in expectation over the draws.

    ``at`` K < T: L_0, and K - 1 of the other terms, one drawn at random from each of as many equal spans of steps,
    with the weight of its span: the same expectation, at K / T of the work.
    """
    if at is None or at >= denoiser.process.steps:
        return bound_terms(denoiser, data, draw, levels=levels).sum(dim=1) / math.log(2)
    total = prior_kl(denoiser.process, data)
    spans = torch.linspace(1, denoiser.process.steps, at).round().long().tolist()
    for first, end in zip([0, *spans[:-1]], [1, *spans[1:]], strict=True):
        t = torch.randint(first, end, (len(data),), device=data.device)
        noisy = denoiser.process.noised(data, t, draw(data))
        found = denoiser.reverse(noisy, t, t - 1)
        total = total + (end - first) * step_term(denoiser.process, found, data, noisy, t, levels=levels)
    return total / math.log(2)
