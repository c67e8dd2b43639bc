"""The conditional GAN: both networks against a slow reference, and samples that follow their label."""

from __future__ import annotations

import pytest
import torch
from adversarial_reference import compared, draw, maxout

from sevenfold.errors import UsageError
from sevenfold.layers import Noise
from sevenfold.models import MODELS

TINY = {"image": 4, "channels": 2, "latent": 3, "width": 120, "classes": 4}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS["cgan-digits"].build(TINY)


def one_hot():
    return torch.eye(4, dtype=torch.float64)[torch.tensor([0, 3, 1, 1, 2])]


def linear(weights, name, x):
    return torch.stack([x @ row for row in weights[f"{name}.weight"]], dim=1) + weights[f"{name}.bias"]


def slow_generator(weights, latents, labels, mutation=None):
    from_latent, from_label = linear(weights, "latent", latents), linear(weights, "label", labels)
    assert (from_latent.shape[1], from_label.shape[1]) == (20, 100)  # 200 and 1,000 of the paper's 1,200
    x = torch.cat([from_label, from_latent] if mutation == "label first" else [from_latent, from_label], dim=1)
    x = x if mutation == "no relu before the joint layer" else x * (x > 0)
    x = linear(weights, "joint", x)
    x = 1 / (1 + (-linear(weights, "pixels", x * (x > 0))).exp())
    return x.reshape(-1, 2, 4, 4)


def slow_discriminator(weights, images, labels, mutation=None):
    def layer(name, x, pieces):
        return maxout(x, weights[f"{name}.linear.weight"], weights[f"{name}.linear.bias"], pieces)

    labels = torch.zeros_like(labels) if mutation == "label unread" else labels
    from_pixels, from_label = layer("pixels", images.reshape(len(images), -1), 5), layer("label", labels, 5)
    assert (from_pixels.shape[1], from_label.shape[1]) == (24, 5)  # 240 and 50
    x = layer("joint", torch.cat([from_pixels, from_label], dim=1), 5 if mutation == "five pieces" else 4)
    if mutation == "five pieces":  # 96 linear units are 24 of 4 pieces; of 5 there would be 19
        x = torch.cat([x, x[:, :5]], dim=1)
    return x @ weights["logit.weight"][0] + weights["logit.bias"]


def test_both_networks_equal_the_reference(model, loud):
    assert max(compared(loud, model.generator, slow_generator, draw(5, 3), one_hot())) < 1e-10
    assert max(compared(loud, model.discriminator, slow_discriminator, draw(5, 2, 4, 4), one_hot())) < 1e-10


@pytest.mark.parametrize("mutation", ["label first", "no relu before the joint layer"])
def test_a_mutated_generator_differs(model, loud, mutation):
    def mutated(weights, latents, labels):
        return slow_generator(weights, latents, labels, mutation)

    assert min(compared(loud, model.generator, mutated, draw(5, 3), one_hot())) > 1e-3


@pytest.mark.parametrize("mutation", ["label unread", "five pieces"])
def test_a_mutated_discriminator_differs(model, loud, mutation):
    def mutated(weights, images, labels):
        return slow_discriminator(weights, images, labels, mutation)

    assert min(compared(loud, model.discriminator, mutated, draw(5, 2, 4, 4), one_hot())) > 1e-3


def test_the_loss_asks_for_the_classes_of_the_batch(model):
    model.eval()
    images, labels = torch.rand(4, 2, 4, 4), torch.tensor([0, 1, 2, 3])
    torch.manual_seed(7)
    got = model(images, labels)
    torch.manual_seed(7)
    asked = torch.eye(4)
    fake = model.generator(torch.rand(4, 3), asked)
    shares = model.discriminator(images, asked).sigmoid(), model.discriminator(fake, asked).sigmoid()
    torch.testing.assert_close(got, -shares[0].log() - (1 - shares[1]).log())


def test_samples_follow_seed_and_label(model):
    noise = [5, 5, 6]
    images = model.eval().sample(3, noise=Noise(noise), condition=torch.tensor([1, 2, 2]))
    assert not torch.allclose(images[0], images[1])
    assert not torch.allclose(images[1], images[2])
    alone = model.sample(1, noise=Noise([6]), condition=torch.tensor([2]))
    torch.testing.assert_close(images[2], alone[0])


def test_what_does_not_fit_is_told(model):
    with pytest.raises(UsageError, match="CGAN is asked for classes: got none, expected 3 labels"):
        model.sample(3, noise=Noise([0, 1, 2]))
    with pytest.raises(UsageError, match="got tokens from 4 to 4, expected 0 to 3"):
        model.sample(1, noise=Noise([0]), condition=torch.tensor([4]))
    with pytest.raises(UsageError, match="is told a class: got images alone"):
        MODELS["cgan-digits"].settings_for((1, 8, 8), 0)
    assert MODELS["cgan-digits"].settings_for((1, 8, 8), 10) == {"image": 8, "channels": 1, "classes": 10}
