"""PPO on texts: one batch of answers, what it was worth a token, and the losses of a minibatch.

B texts, T tokens.

    reward       r(x, y) at the last token, - beta log(pi / pi_ref) at each              Ouyang 2022, eq. 2
    advantage    generalized, over the tokens of the answer; nothing follows the last    Schulman 2015, eq. 16
    policy       -min(rho A, clip(rho, 1 - eps, 1 + eps) A), mean over tokens            Schulman 2017, eq. 7
    values       (V - R)^2 / 2
    pre-training -gamma log pi(x) of texts of the pre-training, mean a token            Ouyang 2022, eq. 2 (PPO-ptx)

Ouyang et al. 2022, arXiv 2203.02155; Ziegler et al. 2019, arXiv 1909.08593.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sevenfold.training.alignment.answers import Answers, divergences, entropies, token_log_probabilities
from sevenfold.training.alignment.losses import token_rewards
from sevenfold.training.reinforcement.losses import clipped_objective
from sevenfold.training.reinforcement.returns import advantages

__all__ = [
    "AnswerExperience",
    "Forward",
    "PolicyFigures",
    "answer_advantages",
    "judged_answers",
    "policy_figures",
    "whitened",
]

Forward = Callable[[Tensor], Tensor]  # tokens [B, T] -> logits [B, T, V], or values [B, T]


@dataclass(frozen=True, eq=False)
class AnswerExperience:
    """Answers as they were drawn, and what PPO is to make of each of their tokens [B, T - 1]."""

    answers: Answers
    log_probabilities: Tensor  # under the policy that drew them
    advantages: Tensor
    returns: Tensor
    rewards: Tensor  # [B] of the whole answers, before the penalty
    divergences: Tensor  # [B] nats from the reference, summed over each answer
    entropies: Tensor  # [B] mean nats a token

    def take(self, rows: Tensor) -> AnswerExperience:
        """Some of the texts."""
        others = (getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "answers")
        return AnswerExperience(self.answers.take(rows), *others)


def judged_answers(
    answers: Answers,
    rewards: Tensor,
    *,
    policy: Forward,
    reference: Forward,
    values: Forward,
    beta: float,
    discount: float,
    trace: float,
) -> AnswerExperience:
    """What answers with rewards [B] were worth a token; no gradients are kept."""
    mask = answers.answered
    with torch.no_grad():
        logits, other, baseline = policy(answers.inputs), reference(answers.inputs), values(answers.inputs)
        drawn = token_log_probabilities(logits, answers.targets)
        held = token_log_probabilities(other, answers.targets)
        each = token_rewards(rewards, drawn, held, mask, beta=beta)
        found = answer_advantages(each, baseline, mask, discount=discount, trace=trace)
        return AnswerExperience(
            answers=answers,
            log_probabilities=drawn,
            advantages=whitened(found, mask),
            returns=(found + baseline) * mask,
            rewards=rewards,
            divergences=(divergences(logits, other) * mask).sum(1),
            entropies=(entropies(logits) * mask).sum(1) / mask.sum(1),
        )


def answer_advantages(
    rewards: Tensor, values: Tensor, answered: Tensor, *, discount: float, trace: float
) -> Tensor:
    """Advantages [B, T] of the tokens of answers, which lie together; zero elsewhere. All are [B, T]."""
    following = F.pad(values[:, 1:], (0, 1))
    last = answered & ~F.pad(answered[:, 1:], (0, 1))
    found = advantages(rewards.T, values.T, following.T, last.T, last.T, discount=discount, trace=trace)
    return found.T * answered


def whitened(values: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over what is marked, zero elsewhere."""
    kept = values[mask]
    return (values - kept.mean()) / (kept.std(correction=0) + 1e-8) * mask


@dataclass(frozen=True, eq=False)
class PolicyFigures:
    """The surrogate of a minibatch [], and how far the policy has moved from the one that drew the answers."""

    surrogate: Tensor
    ratio: Tensor  # mean of pi / pi_old; 1 where nothing was learned from the batch yet
    clipped: Tensor  # share of the tokens whose ratio was cut


def policy_figures(logits: Tensor, batch: AnswerExperience, *, clip: float) -> PolicyFigures:
    """PPO's clipped surrogate over the tokens of the answers; logits [B, T, V]."""
    mask = batch.answers.answered
    chosen, old = logits[mask], batch.log_probabilities[mask]
    surrogate = clipped_objective(chosen, batch.answers.targets[mask], old, batch.advantages[mask], clip=clip)
    with torch.no_grad():
        ratio = (token_log_probabilities(chosen, batch.answers.targets[mask]) - old).exp()
        return PolicyFigures(surrogate, ratio.mean(), ((ratio - 1).abs() > clip).float().mean())
