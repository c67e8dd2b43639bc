"""The losses of adversarial players against closed forms: optimal judges, divergences, distances, slopes."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from sevenfold.layers.adversarial import (
    clip_weights,
    discriminator_cross_entropy,
    gradient_penalty,
    non_saturating,
    r1_penalty,
    saturating,
    squared_slopes,
    wasserstein,
)
from sevenfold.layers.maxout import Maxout


def distributions(seed, size=7):
    drawn = torch.rand(2, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.02
    return drawn / drawn.sum(1, keepdim=True)


def value(logits, p, q):
    """Minus V(D, G) of a judge with these logits where the data is p and the samples are q."""
    real = discriminator_cross_entropy(logits, torch.full_like(logits, -math.inf))
    fake = discriminator_cross_entropy(torch.full_like(logits, math.inf), logits)
    return (p * real + q * fake).sum()


def jensen_shannon(p, q):
    middle = (p + q) / 2
    return ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2


@pytest.mark.parametrize("seed", range(4))
def test_the_best_discriminator_is_p_over_p_plus_q(seed):
    p, q = distributions(seed)
    logits = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-13, tolerance_change=1e-18)

    def closure():
        search.zero_grad()
        loss = value(logits, p, q)
        loss.backward()
        return loss

    search.step(closure)
    torch.testing.assert_close(logits.detach().sigmoid(), p / (p + q), rtol=0, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_its_loss_is_log_4_minus_twice_the_jensen_shannon_divergence(seed):
    p, q = distributions(seed)
    best = (p / q).log()  # the logit of p / (p + q)
    assert float(value(best, p, q)) == pytest.approx(math.log(4) - 2 * float(jensen_shannon(p, q)), rel=1e-12)
    assert float(value(best, p, q)) < math.log(4)
    for moved in (best + 0.1, best * 0.9):
        assert float(value(moved, p, q)) > float(value(best, p, q))


def test_equal_distributions_give_log_4_and_nothing_less():
    p, _ = distributions(0)
    assert float(value(torch.zeros(7, dtype=torch.float64), p, p)) == pytest.approx(math.log(4), rel=1e-14)


def test_the_generator_descends_to_the_data_where_the_judge_is_best():
    """Theorem 1 on five outcomes: gradient descent on q against the optimal judge ends at q = p."""
    p, start = distributions(1, size=5)
    logits = start.log().clone().requires_grad_()
    for _ in range(2000):
        q = logits.softmax(0)
        loss = (q * saturating((p / q).log().detach())).sum()
        (gradient,) = torch.autograd.grad(loss, logits)
        with torch.no_grad():
            logits -= 2.0 * gradient
    torch.testing.assert_close(logits.detach().softmax(0), p, rtol=0, atol=1e-6)


def test_the_two_losses_of_the_generator_pull_the_same_way_and_one_of_them_harder():
    fake = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    (gentle,) = torch.autograd.grad(saturating(fake).sum(), fake)
    (steep,) = torch.autograd.grad(non_saturating(fake).sum(), fake)
    judged = fake.detach().sigmoid()
    torch.testing.assert_close(gentle, -judged)
    torch.testing.assert_close(steep, judged - 1)
    lost = judged < 0.5
    assert (steep[lost].abs() > gentle[lost].abs()).all()


# ---- Wasserstein


@pytest.mark.parametrize("seed", range(4))
def test_the_best_critic_of_one_dimension_gives_scipys_distance(seed):
    """Of all slopes between -1 and 1 the best follows the sign of the difference of the distribution functions."""
    drawn = torch.Generator().manual_seed(seed)
    real = torch.randn(40, generator=drawn, dtype=torch.float64)
    fake = 0.5 * torch.randn(40, generator=drawn, dtype=torch.float64) + 1.0
    places = torch.cat([real, fake]).sort().values
    share_real = (real[None] <= places[:-1, None]).double().mean(1)
    share_fake = (fake[None] <= places[:-1, None]).double().mean(1)
    slopes = (share_fake - share_real).sign()
    heights = torch.cat([torch.zeros(1, dtype=torch.float64), (slopes * places.diff()).cumsum(0)])

    def critic(x):
        return heights[torch.searchsorted(places, x)]

    expected = stats.wasserstein_distance(real.numpy(), fake.numpy())
    assert float(-wasserstein(critic(real), critic(fake)).mean()) == pytest.approx(expected, rel=1e-12)
    for others in range(20):  # no other critic of slope at most 1 finds more
        other = torch.rand(len(places) - 1, generator=torch.Generator().manual_seed(others), dtype=torch.float64)
        heights = torch.cat([torch.zeros(1, dtype=torch.float64), ((2 * other - 1) * places.diff()).cumsum(0)])
        assert float(-wasserstein(critic(real), critic(fake)).mean()) < expected


def test_a_trained_critic_of_one_dimension_comes_near_scipys_distance():
    torch.manual_seed(0)
    real, fake = torch.randn(256, 1) * 0.5 - 1, torch.randn(256, 1) * 0.3 + 1
    hidden = (nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    critic = nn.Sequential(*hidden, nn.Linear(32, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
    for _ in range(400):
        loss = (wasserstein(critic(real), critic(fake)) + 100 * gradient_penalty(critic, real, fake)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = stats.wasserstein_distance(real[:, 0].numpy(), fake[:, 0].numpy())
    # The penalty alone lets the slope be 1 + W / (2 * 100), 1% too steep where W is 2.
    assert float(-wasserstein(critic(real), critic(fake)).detach().mean()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("weight", [1.0, 10.0])
def test_the_best_linear_critic_is_too_steep_by_the_distance_over_twice_the_penalty(weight):
    """Samples are the data moved by d: -|w| d + weight (|w| - 1)^2 is least at |w| = 1 + d / (2 weight)."""
    real = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shift = torch.tensor([0.6, -0.3, 0.2], dtype=torch.float64)
    w = torch.zeros(3, dtype=torch.float64).add_(0.1).requires_grad_()
    search = torch.optim.LBFGS([w], max_iter=300, tolerance_grad=1e-12, tolerance_change=1e-18)

    def closure():
        search.zero_grad()

        def critic(x):
            return x @ w

        shares = torch.linspace(0, 1, 50, dtype=torch.float64)
        loss = wasserstein(critic(real), critic(real + shift)).mean()
        loss = loss + weight * gradient_penalty(critic, real, real + shift, shares).mean()
        loss.backward()
        return loss

    search.step(closure)
    distance = float(shift.norm())
    assert float(w.detach().norm()) == pytest.approx(1 + distance / (2 * weight), rel=1e-7)
    torch.testing.assert_close(w.detach() / w.detach().norm(), -shift / distance, rtol=0, atol=1e-6)


def test_clipping_leaves_the_best_linear_critic_at_its_corners():
    """Within -c..c the best weights are -c sign(shift): the estimate is c times the shift's sum, not its length."""
    critic = nn.Linear(3, 1, bias=False)
    shift = torch.tensor([0.6, -0.3, 0.2])
    real = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.RMSprop(critic.parameters(), lr=1e-2)
    for _ in range(100):
        loss = wasserstein(critic(real), critic(real + shift)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        clip_weights(critic.parameters(), 0.01)
    torch.testing.assert_close(critic.weight.detach()[0], -0.01 * shift.sign())
    loss = wasserstein(critic(real), critic(real + shift)).mean()
    assert float(-loss.detach()) == pytest.approx(0.01 * float(shift.abs().sum()), rel=1e-4)


# ---- slopes


def curved():
    torch.manual_seed(1)
    layers = (nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Softplus(), nn.Linear(5, 1), nn.Flatten(0))
    critic = nn.Sequential(*layers).double()
    with torch.no_grad():
        for weight in critic.parameters():
            weight.mul_(2)
    return critic


def differences(loss, weights, step=1e-5):
    """Central differences of a loss by every weight."""
    found = []
    for weight in weights:
        gradient = torch.zeros_like(weight)
        for place in range(weight.numel()):
            flat = weight.data.view(-1)
            before = flat[place].item()
            flat[place] = before + step
            above = loss().item()
            flat[place] = before - step
            below = loss().item()
            flat[place] = before
            gradient.view(-1)[place] = (above - below) / (2 * step)
        found.append(gradient)
    return found


def penalties():
    draw = torch.Generator().manual_seed(2)
    real, fake = (torch.randn(5, 4, generator=draw, dtype=torch.float64) for _ in range(2))
    shares = torch.rand(5, generator=draw, dtype=torch.float64)
    return {
        "gradient penalty": lambda critic: gradient_penalty(critic, real, fake, shares).mean(),
        "R1": lambda critic: r1_penalty(critic, real).mean(),
    }


@pytest.mark.parametrize("name", ["gradient penalty", "R1"])
def test_a_penaltys_gradient_equals_finite_differences(name):
    critic, penalty = curved(), penalties()[name]
    weights = list(critic.parameters())
    loss = penalty(critic)
    got = torch.autograd.grad(loss, weights, allow_unused=True)
    expected = differences(lambda: penalty(critic).detach(), weights)
    assert max(float(one.abs().max()) for one in expected) > 0.05
    for weight, mine, theirs in zip(weights, got, expected, strict=True):
        if mine is None:  # what is added to the score at the end moves no slope
            assert weight is weights[-1]
            assert not theirs.any()
        else:
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)


def test_slopes_equal_finite_differences():
    critic = curved()
    places = torch.randn(3, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    step = 1e-6 * torch.eye(4, dtype=torch.float64)
    rises = torch.stack([(critic(places + one) - critic(places - one)) / 2e-6 for one in step], dim=1)
    torch.testing.assert_close(squared_slopes(critic, places), rises.square().sum(1), rtol=1e-7, atol=1e-10)


def test_the_penalty_lies_on_the_line_between_data_and_samples():
    """A critic whose slope is its place tells where it was asked."""
    real, fake = torch.zeros(3, 2, dtype=torch.float64), torch.tensor([[3.0, 4.0]] * 3, dtype=torch.float64)
    shares = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    found = gradient_penalty(lambda x: x.square().sum(1) / 2, real, fake, shares)
    torch.testing.assert_close(found, (5 * shares - 1) ** 2)


def test_a_flat_critic_has_a_finite_gradient():
    critic = nn.Linear(2, 1)
    nn.init.zeros_(critic.weight)
    penalty = gradient_penalty(lambda x: critic(x)[:, 0], torch.ones(3, 2), torch.zeros(3, 2)).mean()
    penalty.backward()
    assert float(penalty.detach()) == pytest.approx(1)
    assert torch.isfinite(critic.weight.grad).all()


def test_maxout_is_the_largest_piece():
    layer = Maxout(3, units=2, pieces=2)
    x = torch.randn(4, 3)
    pieces = x @ layer.linear.weight.T + layer.linear.bias
    expected = torch.stack([pieces[:, 0:2].max(1).values, pieces[:, 2:4].max(1).values], dim=1)
    torch.testing.assert_close(layer(x), expected)
