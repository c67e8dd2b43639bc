"""Discounted returns and generalized advantages over T steps of N environments.

    delta_t = r_t + gamma V(s_{t+1}) (1 - ended_t) - V(s_t)
    A_t = delta_t + gamma lambda (1 - cut_t) A_{t+1}            Schulman et al. 2015, eq. 16
    lambda = 1: the return minus V; lambda = 0: delta

``ended`` is by the game: nothing follows. ``cut`` is the end of an episode for either reason: what comes next in
the tensors belongs to another one.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["advantages", "discounted"]


def advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    ended: Tensor,
    cut: Tensor,
    *,
    discount: float,
    trace: float,
) -> Tensor:
    """A [T, N] of rewards, V(s_t) and V(s_{t+1}) [T, N] and the flags [T, N]; ``trace`` is lambda.

    >>> one = torch.ones(3, 1)
    >>> never = torch.zeros(3, 1, dtype=torch.bool)
    >>> advantages(one, 0 * one, 0 * one, never, never, discount=0.5, trace=1.0).flatten().tolist()
    [1.75, 1.5, 1.0]
    """
    delta = rewards + discount * next_values * ~ended - values
    found = torch.zeros_like(delta)
    ahead = torch.zeros_like(delta[0])
    for step in reversed(range(len(delta))):
        ahead = delta[step] + discount * trace * ahead * ~cut[step]
        found[step] = ahead
    return found


def discounted(rewards: Tensor, cut: Tensor, *, discount: float) -> Tensor:
    """The discounted sum [T, N] of the rewards from each step to the end of its episode, or of the tensor."""
    zero = torch.zeros_like(rewards)
    return advantages(rewards, zero, zero, cut, cut, discount=discount, trace=1.0)
