"""Losses of learning from preferences; P prompts, K answers each, B texts, T tokens.

    reward model    -1 / (K choose 2) sum_{w > l} log sigmoid(r_w - r_l)                Ouyang 2022, eq. 1
    best of K       -log( exp r_best / sum_k exp r_k )                                  Ziegler 2019, eq. 1
    reward a token  r at the last token, - beta log(pi / pi_ref) at each                Ouyang 2022, eq. 2
    DPO             -log sigmoid(beta (log pi_w / ref_w - log pi_l / ref_l))            Rafailov 2023, eq. 7

Ouyang et al. 2022, arXiv 2203.02155; Ziegler et al. 2019, arXiv 1909.08593; Rafailov et al. 2023, arXiv 2305.18290.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = [
    "best_of_ranking_losses",
    "preference_loss",
    "ranked_gaps",
    "ranking_accuracy",
    "ranking_loss",
    "ranking_losses",
    "text_log_probability",
    "token_rewards",
]


def ranking_loss(rewards: Tensor) -> Tensor:
    """The mean over prompts [] of rewards [P, K] whose answers stand best first: all pairs of a prompt together.

    >>> round(float(ranking_loss(torch.zeros(3, 4))), 6) == round(float(torch.tensor(2.0).log()), 6)
    True
    """
    better, worse = _pairs(rewards)
    return -F.logsigmoid(better - worse).mean()


def ranking_accuracy(rewards: Tensor) -> Tensor:
    """The share [] of the pairs of rewards [P, K], best first, that the rewards order as the people did."""
    better, worse = _pairs(rewards)
    return (better > worse).float().mean()


def ranking_losses(rewards: Tensor, present: Tensor) -> Tensor:
    """Each prompt's mean over its pairs [P], of rewards [P, K], best first, where ``present`` [P, K].

    With all answers present the mean over prompts is `ranking_loss`; a prompt without a pair has 0.
    """
    gaps, known = ranked_gaps(rewards, present)
    return -(F.logsigmoid(gaps) * known).sum(-1) / known.sum(-1).clamp(min=1)


def best_of_ranking_losses(rewards: Tensor, present: Tensor) -> Tensor:
    """Each prompt's cross-entropy [P] of choosing the first of its answers: rewards [P, K] where ``present``."""
    return -rewards.masked_fill(~present, -torch.inf).log_softmax(-1)[:, 0]


def ranked_gaps(rewards: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Better less worse [P, K (K - 1) / 2] for every pair of rewards [P, K], and whether both are ``present``."""
    better, worse = _pairs(rewards)
    first, second = _pairs(present)
    return better - worse, first & second


def preference_loss(
    chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, *, beta: float
) -> Tensor:
    """DPO's mean loss [] from log-probabilities [B] of whole answers, under the policy and under the reference."""
    margin = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -F.logsigmoid(beta * margin).mean()


def text_log_probability(logits: Tensor, tokens: Tensor, answered: Tensor) -> Tensor:
    """The log-probability [B] of the answers in texts: logits [B, T, V] predict tokens [B, T] (already shifted).

    ``answered`` [B, T] marks the tokens of the answer; prompt and padding do not count.
    """
    each = logits.log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)
    return (each * answered).sum(-1)


def token_rewards(reward: Tensor, policy: Tensor, reference: Tensor, answered: Tensor, *, beta: float) -> Tensor:
    """Rewards a token [B, T]: the text's ``reward`` [B] at the last token of the answer, and at each the penalty.

    ``policy`` and ``reference`` are log-probabilities [B, T] of the tokens that were drawn. Their difference is the
    one-sample estimate of the divergence, whose sum over an answer is unbiased. Raises UsageError for an answer
    without a token.
    """
    if not answered.any(-1).all():
        raise UsageError("an answer without a token has no place for its reward", got="an empty answer")
    penalized = -beta * (policy - reference) * answered
    positions = torch.arange(answered.shape[-1], device=answered.device)
    last = (positions * answered).argmax(-1)
    return penalized + F.one_hot(last, answered.shape[-1]).to(reward.dtype) * reward[:, None]


def _pairs(rewards: Tensor) -> tuple[Tensor, Tensor]:
    if rewards.dim() != 2 or rewards.shape[1] < 2:
        raise UsageError(
            "rewards of answers, best first", got=f"shape {list(rewards.shape)}", expected="[prompts, 2 or more]"
        )
    first, second = torch.triu_indices(rewards.shape[1], rewards.shape[1], offset=1)
    return rewards[:, first], rewards[:, second]
