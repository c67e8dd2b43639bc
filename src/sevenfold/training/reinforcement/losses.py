"""What the learners minimize; every function takes tensors and returns the mean loss [].

DQN         (y - Q(s, a))^2, y = r + gamma max_a' Q_target(s', a')     Mnih 2013, eq. 2; 2015 clips the error to
                                                                        -1..1, which is Huber's loss
double DQN  y = r + gamma Q_target(s', argmax_a' Q(s', a'))             van Hasselt 2015, arXiv 1509.06461
REINFORCE   -log pi(a | s) A                                            Williams 1992
PPO, clip   -min(rho A, clip(rho, 1 - eps, 1 + eps) A), rho = pi / pi_old      Schulman 2017, eq. 7
PPO, KL     -(rho A - beta KL(pi_old, pi))                              Schulman 2017, eq. 8
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["clipped_objective", "divergence", "entropy_of", "penalized_objective", "policy_gradient", "value_error"]


def value_error(
    values: Tensor,
    actions: Tensor,
    rewards: Tensor,
    next_values: Tensor,
    ended: Tensor,
    *,
    discount: float,
    clipped: bool,
    choosing: Tensor | None = None,
) -> Tensor:
    """The temporal-difference error of Q [B, A] on actions [B]; ``next_values`` [B, A] are the target network's.

    ``choosing`` [B, A], where given, are the values that choose the next action (double Q-learning).
    """
    best = (next_values if choosing is None else choosing).argmax(1, keepdim=True)
    targets = rewards + discount * next_values.gather(1, best).squeeze(1) * ~ended
    chosen = values.gather(1, actions[:, None]).squeeze(1)
    return F.smooth_l1_loss(chosen, targets.detach()) if clipped else F.mse_loss(chosen, targets.detach())


def policy_gradient(logits: Tensor, actions: Tensor, advantages: Tensor) -> Tensor:
    """REINFORCE: logits [B, A], actions [B], advantages [B]."""
    return -(_chosen(logits, actions) * advantages).mean()


def clipped_objective(
    logits: Tensor, actions: Tensor, old_log_probability: Tensor, advantages: Tensor, *, clip: float
) -> Tensor:
    """PPO's clipped surrogate, negated; ``old_log_probability`` [B] of the actions when they were taken.

    >>> half = torch.log(torch.tensor([[0.5, 0.5]]))
    >>> old = torch.log(torch.tensor([0.25]))        # the ratio is 2, which counts as 1.2
    >>> round(float(clipped_objective(half, torch.tensor([0]), old, torch.tensor([1.0]), clip=0.2)), 4)
    -1.2
    """
    ratio = (_chosen(logits, actions) - old_log_probability).exp()
    return -torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages).mean()


def penalized_objective(
    logits: Tensor, actions: Tensor, old_logits: Tensor, advantages: Tensor, *, penalty: float
) -> Tensor:
    """PPO's surrogate with a penalty on the divergence from the old policy, negated."""
    ratio = (_chosen(logits, actions) - _chosen(old_logits, actions)).exp()
    return -(ratio * advantages).mean() + penalty * divergence(old_logits, logits).mean()


def divergence(old_logits: Tensor, logits: Tensor) -> Tensor:
    """KL(old, new) [B] in nats, exact over the actions."""
    old, new = old_logits.log_softmax(1), logits.log_softmax(1)
    return (old.exp() * (old - new)).sum(1)


def entropy_of(logits: Tensor) -> Tensor:
    """The entropy [B] of the policy in nats."""
    log = logits.log_softmax(1)
    return -(log.exp() * log).sum(1)


def _chosen(logits: Tensor, actions: Tensor) -> Tensor:
    return logits.log_softmax(1).gather(1, actions[:, None]).squeeze(1)
