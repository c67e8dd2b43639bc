"""REINFORCE: its network, its gradient where the gradient is known, and how evenly it begins."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sevenfold.models import MODELS
from sevenfold.training.reinforcement.losses import policy_gradient


def test_logits_and_values_are_those_of_two_plain_networks(loud):
    module = loud(MODELS["reinforce-small"].build())
    seen = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = dict(module.named_parameters())

    def plain(trunk, head):
        x = seen
        for layer in ("0", "2"):
            x = torch.tanh(
                F.linear(x, weights[f"{trunk}.layers.{layer}.weight"], weights[f"{trunk}.layers.{layer}.bias"])
            )
        return F.linear(x, weights[f"{head}.weight"], weights[f"{head}.bias"])

    logits, values = module.judge(seen)
    torch.testing.assert_close(logits, plain("trunk", "head"), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(values, plain("value_trunk", "value_head").squeeze(1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(module(seen), logits)
    assert (plain("trunk", "value_head").squeeze(1) - values).abs().max() > 1e-3  # two networks, not one


def test_at_first_every_action_is_about_as_likely():
    torch.manual_seed(0)
    module = MODELS["reinforce-small"].build({"actions": 5})
    assert (module(torch.randn(100, 4)).softmax(1) - 0.2).abs().max() < 0.01


def test_the_gradient_is_unbiased_on_a_bandit():
    """The gradient of E[r] = sum_a pi(a) r(a) over the logits is pi (r - E[r])."""
    logits = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    pay = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    policy = logits.softmax(0).detach()
    exact = policy * (pay - policy @ pay)
    torch.manual_seed(0)
    actions = torch.multinomial(policy, 200_000, replacement=True)
    for baseline in (0.0, 0.7):  # which changes the variance, not the mean
        loss = policy_gradient(logits.expand(len(actions), 3), actions, pay[actions] - baseline)
        (found,) = torch.autograd.grad(-loss, logits)
        torch.testing.assert_close(found, exact, rtol=0, atol=0.01)
    flipped = policy_gradient(logits.expand(len(actions), 3), actions, -pay[actions])
    (wrong,) = torch.autograd.grad(-flipped, logits)
    assert (wrong - exact).abs().max() > 0.1
