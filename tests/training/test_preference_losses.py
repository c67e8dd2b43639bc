"""Losses of learning from preferences, held to slow references and to what they are at known optima."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from sevenfold.errors import UsageError
from sevenfold.training.alignment.losses import (
    preference_loss,
    ranking_accuracy,
    ranking_loss,
    text_log_probability,
    token_rewards,
)


def test_a_ranking_is_the_mean_over_all_its_pairs():
    rewards = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = [(row[better], row[worse]) for row in rewards for better in range(4) for worse in range(better + 1, 4)]
    slow = [-math.log(1 / (1 + math.exp(-float(better - worse)))) for better, worse in pairs]
    assert ranking_loss(rewards).item() == pytest.approx(sum(slow) / len(slow), rel=1e-6)
    right = [float(better > worse) for better, worse in pairs]
    assert ranking_accuracy(rewards).item() == pytest.approx(sum(right) / len(right))
    assert ranking_loss(rewards + 100).item() == pytest.approx(ranking_loss(rewards).item(), abs=1e-4)
    ordered = rewards.sort(1, descending=True).values
    assert ranking_loss(ordered) < ranking_loss(rewards) < ranking_loss(ordered.flip(1))


def test_the_reward_model_recovers_bradley_terrys_scores():
    """Of answers compared as often as their strengths say, the minimum is at the strengths (up to a constant)."""
    strength = torch.tensor([1.0, 0.2, -0.9], dtype=torch.float64)
    scores = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure():
        optimizer.zero_grad()
        total = 0
        for a in range(3):
            for b in range(3):
                if a != b:
                    wins = torch.sigmoid(strength[a] - strength[b])
                    total = total + wins * ranking_loss(torch.stack([scores[a], scores[b]])[None])
        total.backward()
        return total

    optimizer.step(closure)
    found = scores.detach() - scores.detach().mean()
    torch.testing.assert_close(found, strength - strength.mean(), rtol=0, atol=1e-5)


def test_dpo_is_log_2_at_the_reference_and_its_gradient_is_the_papers():
    draw = torch.Generator().manual_seed(1)
    chosen, rejected, ref_c, ref_r = (torch.randn(6, generator=draw, dtype=torch.float64) for _ in range(4))
    assert preference_loss(ref_c, ref_r, ref_c, ref_r, beta=0.3).item() == pytest.approx(math.log(2))
    chosen.requires_grad_()
    (gradient,) = torch.autograd.grad(preference_loss(chosen, rejected, ref_c, ref_r, beta=0.3), chosen)
    reward = 0.3 * ((chosen - ref_c) - (rejected - ref_r))
    torch.testing.assert_close(gradient, -0.3 * torch.sigmoid(-reward.detach()) / 6)  # Rafailov 2023, section 4
    swapped = preference_loss(rejected, chosen.detach(), ref_c, ref_r, beta=0.3)
    assert swapped.item() != pytest.approx(
        preference_loss(chosen, rejected, ref_c, ref_r, beta=0.3).item(), abs=1e-2
    )


def test_the_best_policy_of_dpos_reward_is_the_tilted_reference():
    """With pi = ref exp(r / beta) / Z on three answers, DPO's implicit reward is r up to a constant."""
    reference = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    reward, beta = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64), 0.7
    policy = reference * (reward / beta).exp()
    policy = policy / policy.sum()
    implicit = beta * (policy.log() - reference.log())
    torch.testing.assert_close(implicit - implicit.mean(), reward - reward.mean())
    loss = preference_loss(policy.log()[2:], policy.log()[:1], reference.log()[2:], reference.log()[:1], beta=beta)
    torch.testing.assert_close(loss, -F.logsigmoid(reward[2] - reward[0]))


def test_only_the_answer_counts_in_its_probability():
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(2))
    tokens = torch.tensor([[1, 2, 3, 4, 0], [6, 5, 0, 0, 0]])
    answered = torch.tensor([[0, 0, 1, 1, 0], [0, 1, 0, 0, 0]])
    found = text_log_probability(logits, tokens, answered)
    slow = [
        sum(float(logits[b, t].log_softmax(0)[tokens[b, t]]) for t in range(5) if answered[b, t]) for b in range(2)
    ]
    torch.testing.assert_close(found, torch.tensor(slow))


def test_rewards_a_token_sum_to_the_reward_less_the_divergence():
    draw = torch.Generator().manual_seed(3)
    policy, reference = torch.randn(3, 6, generator=draw), torch.randn(3, 6, generator=draw)
    answered = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0]])
    reward = torch.tensor([2.0, -1.0, 0.5])
    found = token_rewards(reward, policy, reference, answered, beta=0.1)
    torch.testing.assert_close(found.sum(1), reward - 0.1 * ((policy - reference) * answered).sum(1))
    plain = token_rewards(reward, policy, reference, answered, beta=0.0)
    assert plain.nonzero().tolist() == [[0, 3], [1, 5], [2, 0]]
    with pytest.raises(UsageError, match="without a token"):
        token_rewards(reward, policy, reference, answered * torch.tensor([[1], [1], [0]]), beta=0.1)


def test_one_answer_is_no_ranking():
    with pytest.raises(UsageError, match="best first"):
        ranking_loss(torch.zeros(3, 1))
