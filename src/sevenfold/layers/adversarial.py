"""What two networks that are trained against each other minimize, and what holds a critic to its slope.

B examples; logits and scores are [B], the discriminator's before its sigmoid. All losses are in nats or in the
critic's own unit, one an example, except the penalties' means.

    cross-entropy      L_D = -log D(x) - log(1 - D(G(z)))              Goodfellow et al. 2014, equation 1
                       L_G = -log D(G(z)), or log(1 - D(G(z)))        the same, section 3 and equation 1
    Wasserstein        L_C = f(G(z)) - f(x), L_G = -f(G(z))            Arjovsky et al. 2017, equations 2 and 3
    gradient penalty   (|grad f(x')| - 1)^2, x' between x and G(z)     Gulrajani et al. 2017, equation 3
    R1                 |grad f(x)|^2 at real examples                  Mescheder et al. 2018, equation 9

At the discriminator's best, D(x) = p(x) / (p(x) + q(x)), the mean of L_D is log 4 - 2 JSD(p, q).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "clip_weights",
    "discriminator_cross_entropy",
    "gradient_penalty",
    "non_saturating",
    "r1_penalty",
    "saturating",
    "squared_slopes",
    "wasserstein",
]

Score = Callable[[Tensor], Tensor]  # a discriminator or critic: examples [B, ...] -> [B]


def discriminator_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))) from logits, [B]: minus the value that the two players fight over.

    >>> discriminator_cross_entropy(torch.zeros(1), torch.zeros(1)).item()  # undecided: log 4
    1.3862943649291992
    """
    return F.softplus(-real) + F.softplus(fake)


def saturating(fake: Tensor) -> Tensor:
    """log(1 - D(G(z))), [B]: what the generator minimizes in the game itself; flat where it loses."""
    return -F.softplus(fake)


def non_saturating(fake: Tensor) -> Tensor:
    """-log D(G(z)), [B]: the same fixed point with a steeper start."""
    return F.softplus(-fake)


def wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """f(G(z)) - f(x), [B]: minus the distance, where f is the best of slope at most 1."""
    return fake - real


def squared_slopes(score: Score, places: Tensor) -> Tensor:
    """|grad f|^2 at each of ``places`` [B, ...], [B]; itself differentiable, by the weights and by the places."""
    with torch.enable_grad():
        at = places if places.requires_grad else places.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(score(at).sum(), at, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def gradient_penalty(critic: Score, real: Tensor, fake: Tensor, shares: Tensor | None = None) -> Tensor:
    """(|grad f(x')| - 1)^2 at x' = real + share (fake - real), [B]; shares [B] are drawn anew where none are given.

    ``critic`` must judge each example by itself: with batch normalization the slope would be another's too.
    """
    if shares is None:
        shares = torch.rand(len(real), device=real.device, dtype=real.dtype)
    between = torch.lerp(real.detach(), fake.detach(), shares.reshape(-1, *[1] * (real.dim() - 1)))
    # A slope of exactly 0 has no direction: the root's derivative there would be infinite.
    slopes = squared_slopes(critic, between).clamp(min=torch.finfo(real.dtype).tiny).sqrt()
    return (slopes - 1).square()


def r1_penalty(discriminator: Score, real: Tensor) -> Tensor:
    """|grad f(x)|^2 at real examples, [B]; half of it times gamma is added to the loss."""
    return squared_slopes(discriminator, real)


def clip_weights(weights: Iterable[torch.nn.Parameter], limit: float) -> None:
    """Every weight set to the nearest value within [-limit, limit]."""
    with torch.no_grad():
        for weight in weights:
            weight.clamp_(-limit, limit)
