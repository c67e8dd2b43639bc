"""The Wasserstein GAN with clipping: its losses, its rounds and its bound. Its networks: test_dcgan.py."""

from __future__ import annotations

import pytest
import torch

from sevenfold.layers import Noise
from sevenfold.models import MODELS
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe
from sevenfold.training.players import PlayersStep

TINY = {"image": 8, "channels": 1, "latent": 3, "width": 3, "first": 2}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS["wgan-digits"].build(TINY)


def recipe(**changes):
    return Recipe(
        name="test", task="generation", model=ModelChoice(name="wgan-digits"), data=DataChoice(name="digits"),
        optimizer=Optimizer(name="rmsprop", lr=1e-2, momentum=0.0, weight_decay=0.0, clip_norm=None),
        batch_size=20, steps=10, **changes,
    )  # fmt: skip


def test_the_critics_loss_is_minus_its_estimate(model):
    model.eval()
    images = torch.rand(4, 1, 8, 8)
    torch.manual_seed(3)
    got = model(images)
    torch.manual_seed(3)
    fake = model.generator(torch.randn(4, 3))
    torch.testing.assert_close(got, model.critic(fake) - model.critic(2 * images - 1))
    torch.manual_seed(3)
    torch.testing.assert_close(model.critic_loss(images), got.mean())
    torch.manual_seed(3)
    torch.testing.assert_close(model.generator_loss(torch.rand(20, 1, 8, 8)), -model.critic(fake).mean())


def test_a_step_moves_the_critic_five_times_and_clips_it_each_time(model):
    seen = []
    step = PlayersStep(recipe(), model, torch.device("cpu"))
    clip = model.after_update

    def noted():
        before = max(float(weight.detach().abs().max()) for weight in model.critic.parameters())
        clip()
        seen.append((before, max(float(weight.detach().abs().max()) for weight in model.critic.parameters())))

    model.after_update = noted
    maker = [weight.detach().clone() for weight in model.generator.parameters()]
    step(torch.rand(20, 1, 8, 8), torch.zeros(20), 5)
    assert len(seen) == 5
    assert all(before > 0.01 for before, _ in seen)
    assert all(after == pytest.approx(0.01) for _, after in seen)
    assert any(not torch.equal(a, b) for a, b in zip(maker, model.generator.parameters(), strict=True))


def test_samples_depend_on_their_seed_alone(model):
    model.eval()
    many, one = model.sample(3, noise=Noise([5, 6, 7])), model.sample(1, noise=Noise([6]))
    torch.testing.assert_close(many[1], one[0])
    assert 0 <= float(many.min()) <= float(many.max()) <= 1
