"""The Wasserstein GAN with gradient penalty: residual networks against a slow reference, and the critic's loss."""

from __future__ import annotations

import pytest
import torch
from adversarial_reference import batch_norm, compared, draw
from slow_layers import convolve, pool

from sevenfold.layers import Noise
from sevenfold.models import MODELS

TINY = {"image": 8, "channels": 2, "latent": 3, "width": 6, "first": 2, "kept": 1}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS["wgan-gp-digits"].build(TINY)


def positive(x):
    return x * (x > 0)


def doubled(x):
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def halved(x):
    return pool(x, 2, 2, kind="mean")


def conv(weights, name, x):
    return convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"],
                    padding=weights[f"{name}.weight"].shape[-1] // 2)  # fmt: skip


def slow_generator(weights, latents, mutation=None):
    def norm(x, name):
        return batch_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = (latents @ weights["input.weight"].T + weights["input.bias"]).reshape(-1, 6, 2, 2)
    for block in ("blocks.0", "blocks.1"):
        hidden = positive(norm(x, f"{block}.norm1"))
        if mutation == "convolution before doubling":
            hidden = doubled(conv(weights, f"{block}.conv1", hidden))
        else:
            hidden = conv(weights, f"{block}.conv1", doubled(hidden))
        hidden = conv(weights, f"{block}.conv2", positive(norm(hidden, f"{block}.norm2")))
        x = hidden if mutation == "no shortcut" else hidden + conv(weights, f"{block}.shortcut", doubled(x))
    x = x if mutation == "no last norm" else norm(x, "norm")
    return conv(weights, "output", positive(x)).tanh()


def slow_critic(weights, images, mutation=None):
    x = conv(weights, "blocks.0.conv1", positive(images) if mutation == "relu on the image" else images)
    x = halved(conv(weights, "blocks.0.conv2", positive(x))) + conv(weights, "blocks.0.shortcut", halved(images))
    beside = halved(conv(weights, "blocks.1.shortcut", x))
    x = conv(weights, "blocks.1.conv2", positive(conv(weights, "blocks.1.conv1", positive(x))))
    x = halved(x) + beside
    x = x + conv(weights, "blocks.2.conv2", positive(conv(weights, "blocks.2.conv1", positive(x))))
    x = positive(x) if mutation != "no last relu" else x
    x = x.sum((2, 3)) if mutation == "sum over places" else x.mean((2, 3))
    return x @ weights["output.weight"][0] + weights["output.bias"]


def loud_in_training(loud):
    def redraw(network):
        network = loud(network).train()
        with torch.no_grad():
            for weight in network.parameters():
                if weight.dim() == 4:
                    weight.mul_(0.5)
        return network

    return redraw


def test_both_networks_equal_the_reference(model, loud):
    redraw = loud_in_training(loud)
    assert max(compared(redraw, model.generator, slow_generator, draw(5, 3))) < 1e-10
    assert max(compared(redraw, model.critic, slow_critic, draw(5, 2, 8, 8))) < 1e-10


@pytest.mark.parametrize("mutation", ["convolution before doubling", "no shortcut", "no last norm"])
def test_a_mutated_generator_differs(model, loud, mutation):
    redraw = loud_in_training(loud)
    assert min(compared(redraw, model.generator, lambda w, z: slow_generator(w, z, mutation), draw(5, 3))) > 1e-3


@pytest.mark.parametrize("mutation", ["relu on the image", "no last relu", "sum over places"])
def test_a_mutated_critic_differs(model, loud, mutation):
    redraw, images = loud_in_training(loud), draw(5, 2, 8, 8)
    assert min(compared(redraw, model.critic, lambda w, x: slow_critic(w, x, mutation), images)) > 1e-3


def test_each_networks_count():
    model = MODELS["wgan-gp"].build_meta()
    assert sum(weight.numel() for weight in model.generator.parameters()) == 1_204_483
    assert sum(weight.numel() for weight in model.critic.parameters()) == 1_053_825


def test_the_critic_judges_each_image_by_itself(model):
    """What the penalty needs: batch normalization would make one image's slope another's."""
    images = torch.rand(4, 2, 8, 8)
    torch.testing.assert_close(model.critic(images)[:1], model.critic(images[:1]))
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in model.critic.modules())


def test_the_critics_loss_has_the_penalty_in_it(model):
    images = torch.rand(4, 2, 8, 8)
    model.eval()
    torch.manual_seed(3)
    got = model.critic_loss(images)
    torch.manual_seed(3)
    fake = model.generator(torch.randn(4, 3)).detach()
    shares = torch.rand(4)[:, None, None, None]
    between = (shares * fake + (1 - shares) * (2 * images - 1)).requires_grad_()
    (slopes,) = torch.autograd.grad(model.critic(between).sum(), between)
    penalty = (slopes.flatten(1).norm(dim=1) - 1) ** 2
    expected = model.critic(fake) - model.critic(2 * images - 1) + 10 * penalty
    torch.testing.assert_close(got, expected.mean())
    assert float(penalty.mean()) > 0.01


def test_both_players_rounds_and_batches(model):
    critic, maker = model.players()
    assert (critic.rounds, maker.rounds) == (5, 1)
    drawn = []
    model.generator.register_forward_hook(lambda _, inputs, __: drawn.append(len(inputs[0])))
    model.generator_loss(torch.rand(20, 2, 8, 8))
    twice = MODELS["wgan-gp-digits"].build({**TINY, "generator_batch": 2})
    twice.generator.register_forward_hook(lambda _, inputs, __: drawn.append(len(inputs[0])))
    twice.generator_loss(torch.rand(20, 2, 8, 8))
    assert drawn == [4, 8]


def test_samples_depend_on_their_seed_alone(model):
    model.eval()
    many, one = model.sample(3, noise=Noise([5, 6, 7])), model.sample(1, noise=Noise([6]))
    torch.testing.assert_close(many[1], one[0])
    assert 0 <= float(many.min()) <= float(many.max()) <= 1
