"""Losses and advantages of learning by acting, held to closed forms and to stable-baselines3."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from sevenfold.training.graves import GravesRMSprop
from sevenfold.training.reinforcement.losses import divergence, entropy_of, value_error
from sevenfold.training.reinforcement.returns import advantages, discounted

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sb3 = pytest.importorskip("stable_baselines3")


def rollout(steps=17, num=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(steps, num, generator=draw), torch.randn(steps, num, generator=draw)
    last, ended = torch.randn(num, generator=draw), torch.rand(steps, num, generator=draw) < 0.2
    return rewards, values, last, ended


@pytest.mark.parametrize("trace", [0.0, 0.95, 1.0])
def test_advantages_equal_stable_baselines(trace):
    from gymnasium import spaces
    from stable_baselines3.common.buffers import RolloutBuffer

    rewards, values, last, ended = rollout()
    steps, num = rewards.shape
    buffer = RolloutBuffer(
        steps, spaces.Box(-1, 1, (2,)), spaces.Discrete(2), device="cpu", gae_lambda=trace, gamma=0.9, n_envs=num
    )
    starts = np.ones(num, dtype=np.float32)
    for step in range(steps):
        buffer.add(
            np.zeros((num, 2), dtype=np.float32), np.zeros((num, 1)), rewards[step].numpy(), starts,
            values[step], torch.zeros(num),
        )  # fmt: skip
        starts = ended[step].numpy().astype(np.float32)
    buffer.compute_returns_and_advantage(last, ended[-1].numpy())
    following = torch.cat([values[1:], last[None]])
    ours = advantages(rewards, values, following, ended, ended, discount=0.9, trace=trace)
    np.testing.assert_allclose(ours.numpy(), buffer.advantages, rtol=1e-5, atol=1e-5)
    wrong = advantages(rewards, values, following, torch.zeros_like(ended), ended, discount=0.9, trace=trace)
    assert np.abs(wrong.numpy() - buffer.advantages).max() > 0.1


def test_without_a_value_the_advantage_is_the_return_and_with_no_trace_one_step():
    rewards, values, last, ended = rollout()
    whole = discounted(rewards, ended, discount=0.9)
    slow = torch.zeros_like(rewards)
    for environment in range(rewards.shape[1]):
        for step in range(rewards.shape[0]):
            factor = 1.0
            for later in range(step, rewards.shape[0]):
                slow[step, environment] += factor * rewards[later, environment]
                factor *= 0.9
                if ended[later, environment]:
                    break
    torch.testing.assert_close(whole, slow)
    following = torch.cat([values[1:], last[None]])
    one = advantages(rewards, values, following, ended, ended, discount=0.9, trace=0.0)
    torch.testing.assert_close(one, rewards + 0.9 * following * ~ended - values)


def test_a_cut_off_episode_keeps_the_value_of_what_follows():
    rewards, values = torch.ones(2, 1), torch.zeros(2, 1)
    following = torch.tensor([[7.0], [5.0]])
    never, cut = torch.zeros(2, 1, dtype=torch.bool), torch.tensor([[True], [False]])
    found = advantages(rewards, values, following, never, cut, discount=0.5, trace=1.0)
    assert found.flatten().tolist() == [1 + 0.5 * 7, 1 + 0.5 * 5]


def test_divergence_and_entropy_are_torchs():
    draw = torch.Generator().manual_seed(0)
    old, new = torch.randn(6, 4, generator=draw), torch.randn(6, 4, generator=draw)
    first, second = (torch.distributions.Categorical(logits=logits) for logits in (old, new))
    torch.testing.assert_close(divergence(old, new), torch.distributions.kl_divergence(first, second))
    torch.testing.assert_close(entropy_of(old), first.entropy())


def test_the_error_of_values_by_hand():
    values = torch.tensor([[1.0, 5.0], [0.0, 2.0]], requires_grad=True)
    ahead = torch.tensor([[3.0, 4.0], [9.0, 9.0]])
    arguments = (values, torch.tensor([1, 0]), torch.tensor([1.0, 0.5]), ahead, torch.tensor([False, True]))
    # targets 1 + 0.5 * 4 = 3 and 0.5; errors 2 and -0.5
    assert value_error(*arguments, discount=0.5, clipped=False).item() == pytest.approx((4 + 0.25) / 2)
    assert value_error(*arguments, discount=0.5, clipped=True).item() == pytest.approx((1.5 + 0.125) / 2)


def test_rmsprop_of_the_papers_is_stable_baselines_with_averages_that_start_at_zero():
    from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.randn(7, dtype=torch.float64)) for _ in range(2))
    theirs.data.copy_(ours.data)
    mine = GravesRMSprop([ours], 0.01, alpha=0.95, eps=0.01)
    oracle = RMSpropTFLike([theirs], lr=0.01, alpha=0.95, eps=0.01, centered=True)
    torchs = torch.nn.Parameter(ours.detach().clone())
    other = torch.optim.RMSprop([torchs], lr=0.01, alpha=0.95, eps=0.01, centered=True)
    for step in range(6):
        gradient = torch.randn(7, dtype=torch.float64)
        for parameter in (ours, theirs, torchs):
            parameter.grad = gradient.clone()
        if step == 0:
            oracle.state[theirs] = {
                "step": 0,
                "square_avg": torch.zeros_like(theirs),
                "grad_avg": torch.zeros_like(theirs),
            }
        for optimizer in (mine, oracle, other):
            optimizer.step()
    torch.testing.assert_close(ours.data, theirs.data, rtol=1e-12, atol=0)
    assert (ours - torchs).abs().max() > 1e-3
