"""The GAN of 2014: both networks against a slow reference, and who moves in a step."""

from __future__ import annotations

import math

import pytest
import torch
from adversarial_reference import compared, draw, maxout

from sevenfold.errors import UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.models import MODELS

TINY = {"image": 4, "channels": 2, "latent": 3, "width": 15, "pieces": 3}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS["gan-digits"].build(TINY)


def slow_generator(weights, latents, mutation=None):
    x = latents
    for layer in ("0", "2"):
        x = torch.stack([x @ row for row in weights[f"{layer}.weight"]], dim=1) + weights[f"{layer}.bias"]
        x = x * (x > 0) if mutation != "leaky" else torch.maximum(x, 0.01 * x)
    x = torch.stack([x @ row for row in weights["4.weight"]], dim=1) + weights["4.bias"]
    x = torch.tanh(x) if mutation == "tanh" else 1 / (1 + (-x).exp())
    return (
        x.reshape(len(latents), 2, 4, 4)
        if mutation != "channels last"
        else x.reshape(-1, 4, 4, 2).permute(0, 3, 1, 2)
    )


def slow_discriminator(weights, images, mutation=None):
    x = images.reshape(len(images), -1)
    for layer in ("2", "4"):
        weight, bias = weights[f"{layer}.linear.weight"], weights[f"{layer}.linear.bias"]
        if mutation == "pieces apart":  # unit u's pieces are rows u, u + units, ... instead of neighbours
            order = torch.arange(len(bias)).reshape(3, -1).T.flatten()
            weight, bias = weight[order], bias[order]
        x = maxout(x, weight, bias, 3)
    logits = x @ weights["6.weight"][0] + weights["6.bias"]
    return logits.sigmoid() if mutation == "a sigmoid too many" else logits


def test_both_networks_equal_the_reference(model, loud):
    assert max(compared(loud, model.generator, slow_generator, draw(6, 3))) < 1e-10
    assert max(compared(loud, model.discriminator, slow_discriminator, draw(6, 2, 4, 4))) < 1e-10


@pytest.mark.parametrize("mutation", ["leaky", "tanh", "channels last"])
def test_a_mutated_generator_differs(model, loud, mutation):
    outputs, gradients = compared(loud, model.generator, lambda w, z: slow_generator(w, z, mutation), draw(6, 3))
    assert min(outputs, gradients) > 1e-4


@pytest.mark.parametrize("mutation", ["pieces apart", "a sigmoid too many"])
def test_a_mutated_discriminator_differs(model, loud, mutation):
    images = draw(6, 2, 4, 4)
    outputs, gradients = compared(
        loud, model.discriminator, lambda w, x: slow_discriminator(w, x, mutation), images
    )
    assert min(outputs, gradients) > 1e-3


def test_the_loss_is_minus_the_value_of_the_game(model):
    model.eval()
    images = torch.rand(5, 2, 4, 4)
    torch.manual_seed(7)
    got = model(images)
    torch.manual_seed(7)
    fake = model.generator(torch.randn(5, 3))
    real_share, fake_share = model.discriminator(images).sigmoid(), model.discriminator(fake).sigmoid()
    torch.testing.assert_close(got, -real_share.log() - (1 - fake_share).log())
    assert got.shape == (5,)
    # Untrained, it cannot tell: log 4.
    assert float(got.mean().detach()) == pytest.approx(math.log(4), abs=0.2)


def test_each_players_loss_is_its_own(model):
    model.eval()
    images = torch.rand(5, 2, 4, 4)
    judge, maker = model.players()
    assert (judge.name, maker.name) == ("discriminator", "generator")
    assert set(judge.parameters) | set(maker.parameters) == set(model.parameters())
    assert not set(judge.parameters) & set(maker.parameters)
    torch.manual_seed(7)
    loss = judge.loss(images)
    torch.manual_seed(7)
    torch.testing.assert_close(loss, model(images).mean())
    for loss_name, expected in (
        ("non-saturating", lambda share: -share.log()),
        ("saturating", lambda share: (1 - share).log()),
    ):
        one = MODELS["gan-digits"].build({**TINY, "loss": loss_name}).eval()
        torch.manual_seed(8)
        got = one.generator_loss(images)
        torch.manual_seed(8)
        share = one.discriminator(one.generator(torch.randn(5, 3))).sigmoid()
        torch.testing.assert_close(got, expected(share).mean())


def test_samples_depend_on_their_seed_alone(model):
    many, one = model.sample(3, noise=Noise([5, 6, 7])), model.sample(1, noise=Noise([6]))
    torch.testing.assert_close(many[1], one[0])
    assert not torch.allclose(many[0], many[1])
    assert many.shape == (3, 2, 4, 4)
    assert 0 <= float(many.min()) <= float(many.max()) <= 1


def test_what_does_not_fit_is_told(model):
    with pytest.raises(UsageError, match="sampling from GAN has no steps"):
        model.sample(1, noise=Noise([0]), sampling=Sampling(steps=4))
    with pytest.raises(UsageError, match="the discriminator of GAN cannot take this input"):
        model(torch.zeros(2, 1, 4, 4))
    with pytest.raises(UsageError, match="cannot be told what to sample"):
        MODELS["gan-digits"].settings_for((1, 8, 8), 10)
    with pytest.raises(UsageError, match="multiple of 5"):
        MODELS["gan"].spec({"width": 1201})
