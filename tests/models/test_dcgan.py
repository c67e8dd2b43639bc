"""DCGAN: the strided networks against a slow reference, their maps' sizes, and their published counts."""

from __future__ import annotations

import pytest
import torch
from adversarial_reference import batch_norm, compared, draw, enlarge
from slow_layers import convolve

from sevenfold.errors import SpecError
from sevenfold.layers import Noise
from sevenfold.models import MODELS

TINY = {"image": 8, "channels": 2, "latent": 3, "width": 3, "first": 2}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS["dcgan-digits"].build(TINY)


def slow_generator(weights, latents, mutation=None):
    def norm(x, layer):
        return batch_norm(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"])

    x = enlarge(latents[:, :, None, None], weights["1.weight"], stride=1, padding=0)
    x = norm(x, "2")
    x = torch.maximum(x, 0.2 * x) if mutation == "leaky" else x * (x > 0)
    x = enlarge(x, weights["4.weight"], stride=2, padding=1, kernel_as_is=mutation == "filter not turned")
    x = norm(x, "5") if mutation != "no norm" else x
    x = enlarge(x * (x > 0), weights["7.weight"], stride=2, padding=1)
    return x.sigmoid() if mutation == "sigmoid" else (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


def slow_discriminator(weights, images, mutation=None):
    def leaky(x):
        return torch.where(x > 0, x, (0.01 if mutation == "slope" else 0.2) * x)

    x = convolve(images, weights["0.weight"], stride=2, padding=1)
    if mutation == "norm at the input":
        x = batch_norm(x, torch.ones(3), torch.zeros(3))
    x = convolve(leaky(x), weights["2.weight"], stride=2, padding=1)
    x = leaky(batch_norm(x, weights["3.weight"], weights["3.bias"]))
    return (x * weights["5.weight"][0]).sum((1, 2, 3))


def loud_in_training(loud):
    """Loud, and normalizing by the batch, as the reference does."""

    def redraw(network):
        network = loud(network).train()
        with torch.no_grad():
            for layer in network.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.weight.abs_().add_(0.5)
        return network

    return redraw


def test_both_networks_equal_the_reference(model, loud):
    redraw = loud_in_training(loud)
    assert max(compared(redraw, model.generator, slow_generator, draw(5, 3))) < 1e-10
    assert max(compared(redraw, model.discriminator, slow_discriminator, draw(5, 2, 8, 8))) < 1e-10


@pytest.mark.parametrize("mutation", ["leaky", "filter not turned", "no norm", "sigmoid"])
def test_a_mutated_generator_differs(model, loud, mutation):
    redraw = loud_in_training(loud)
    assert min(compared(redraw, model.generator, lambda w, z: slow_generator(w, z, mutation), draw(5, 3))) > 1e-3


@pytest.mark.parametrize("mutation", ["slope", "norm at the input"])
def test_a_mutated_discriminator_differs(model, loud, mutation):
    redraw, images = loud_in_training(loud), draw(5, 2, 8, 8)

    def mutated(weights, x):
        return slow_discriminator(weights, x, mutation)

    assert min(compared(redraw, model.discriminator, mutated, images)) > 1e-3


@pytest.mark.parametrize(
    ("name", "generator", "discriminator"),
    [("dcgan", 12_658_432, 11_036_160), ("dcgan-64", 3_576_704, 2_765_568), ("wgan", 3_576_704, 2_765_568)],
)
def test_each_networks_count(name, generator, discriminator):
    model = MODELS[name].build_meta()
    judge = model.critic if name == "wgan" else model.discriminator
    assert sum(weight.numel() for weight in model.generator.parameters()) == generator
    assert sum(weight.numel() for weight in judge.parameters()) == discriminator


def test_the_maps_of_figure_1():
    generator = MODELS["dcgan"].build_meta().generator
    seen = []
    for layer in generator:
        if isinstance(layer, torch.nn.ConvTranspose2d):
            layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    generator(torch.empty(2, 100, device="meta"))
    assert seen == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]


def test_data_and_samples_are_normalized_apart(model):
    model.train()
    images = torch.rand(6, 2, 8, 8)
    torch.manual_seed(4)
    got = model.discriminator_loss(images)
    torch.manual_seed(4)
    fake = model.generator(2 * torch.rand(6, 3) - 1).detach()
    real_logits, fake_logits = model.discriminator(2 * images - 1), model.discriminator(fake)
    expected = -real_logits.sigmoid().log() - (1 - fake_logits.sigmoid()).log()
    torch.testing.assert_close(got, expected.mean())
    together = model.discriminator(torch.cat([2 * images - 1, fake]))
    assert not torch.allclose(together[:6], real_logits, atol=1e-4)


def test_samples_depend_on_their_seed_alone(model):
    model.eval()
    many, one = model.sample(3, noise=Noise([5, 6, 7])), model.sample(1, noise=Noise([6]))
    torch.testing.assert_close(many[1], one[0])
    assert 0 <= float(many.min()) <= float(many.max()) <= 1


def test_an_image_that_no_doubling_reaches_is_told():
    with pytest.raises(SpecError, match="got 48 pixels a side with first=4, expected 4 times 2, 4, 8"):
        MODELS["dcgan"].spec({"image": 48})
