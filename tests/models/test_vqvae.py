"""VQ-VAE: its count, its losses and gradients against a reference written out, its bound, its two players."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.models import MODELS
from sevenfold.models.generative.vqvae import VQVAE, VQVAESpec


def tiny(loud, **settings):
    """4x4 pixels, 2x2 places of three codes; in float64 and loud."""
    defaults = {
        "image": 4,
        "channels": 1,
        "width": 4,
        "halvings": 1,
        "blocks": 2,
        "codes": 3,
        "code_width": 2,
        "codebook": "gradient",
        "output": "logistic",
        "levels": 2,
        "prior_width": 4,
        "prior_layers": 2,
        "prior_kernel": 3,
    }
    torch.manual_seed(0)
    return loud(VQVAE(VQVAESpec(**defaults | settings)))


def pictures(num, *, levels=2, seed=1):
    return torch.randint(levels, (num, 1, 4, 4), generator=torch.Generator().manual_seed(seed)).double() / (
        levels - 1
    )


def test_the_count_is_the_papers_layers_added_up():
    """Section 4.1: two strided 4x4, two residual blocks and back, all of 256; and the prior that we put on it."""
    block = 256 * 256 * 9 + 256 + 256 * 256 + 256
    encoder = (3 * 16 * 256 + 256) + (256 * 16 * 256 + 256) + 2 * block + (256 * 64 + 64)
    decoder = (64 * 9 * 256 + 256) + 2 * block + (256 * 16 * 256 + 256) + (256 * 16 * 3 + 3)
    first = (256 * 512 * 2 * 5 + 512) + (256 * 512 * 2 + 512) + (512 * 512 + 512) + (256 * 256 + 256)
    other = first + 256 * 512 * 5 + 256 * 512
    prior = 512 * 256 + 2 * 32 * 256 + first + 14 * other + (256 * 256 + 256) + (256 * 512 + 512)
    model = MODELS["vqvae"].build_meta()
    assert sum(weight.numel() for weight in model.prior.parameters()) == prior
    learned = encoder + decoder + 1  # and the log variance of a pixel
    moving = MODELS["vqvae"].build_meta({"codebook": "moving"})
    assert sum(weight.numel() for weight in moving.parameters()) == learned + prior
    total = learned + prior + 512 * 64
    assert sum(weight.numel() for weight in model.parameters()) == total == MODELS["vqvae"].parameters
    assert model.encode(torch.zeros(2, 3, 128, 128, device="meta")).shape == (2, 32, 32)


def residual(x, weights, name):
    for n in range(2):
        inner = functional.conv2d(
            x.relu(), weights[f"{name}.blocks.{n}.1.weight"], weights[f"{name}.blocks.{n}.1.bias"], padding=1
        )
        x = x + functional.conv2d(
            inner.relu(), weights[f"{name}.blocks.{n}.3.weight"], weights[f"{name}.blocks.{n}.3.bias"]
        )
    return x.relu()


def reference(model, images):
    """Equation 3 of the paper, from the weights alone; distances to every code by broadcasting."""
    weights = dict(model.named_parameters())
    x = functional.conv2d(images - 0.5, weights["encoder.0.weight"], weights["encoder.0.bias"], stride=2, padding=1)
    x = residual(x, weights, "encoder.1")
    z = functional.conv2d(x, weights["to_code.weight"], weights["to_code.bias"])
    codes = weights["codebook.weight"]
    indices = (z[:, None] - codes[None, :, :, None, None]).square().sum(2).argmin(1)
    chosen = codes[indices].permute(0, 3, 1, 2)
    passed = z + (chosen - z).detach()
    y = functional.conv2d(passed, weights["decoder.0.weight"], weights["decoder.0.bias"], padding=1)
    y = residual(y, weights, "decoder.1")
    y = functional.conv_transpose2d(y, weights["decoder.2.weight"], weights["decoder.2.bias"], stride=2, padding=1)
    mean, scale = 0.5 + y[:, :1], (y[:, 1:] - 1.5).exp()
    # Two levels: the border is at one half.
    log_likelihood = torch.where(
        images > 0.5, functional.logsigmoid((mean - 0.5) / scale), functional.logsigmoid((0.5 - mean) / scale)
    )
    codebook = (z.detach() - chosen).square().mean((1, 2, 3))
    commitment = (z - chosen.detach()).square().mean((1, 2, 3))
    return codebook + 0.25 * commitment - log_likelihood.mean((1, 2, 3)), indices


def test_losses_and_gradients_equal_equation_3_written_out(loud):
    model = tiny(loud)
    images = pictures(6)
    autoencoder, prior = model.players()
    expected, indices = reference(model, images)
    assert torch.equal(model.encode(images), indices)
    assert len(indices.unique()) > 1
    assert torch.allclose(autoencoder.loss(images), expected.mean(), rtol=1e-11)
    for a, b in zip(
        torch.autograd.grad(autoencoder.loss(images), autoencoder.parameters),
        torch.autograd.grad(expected.mean(), autoencoder.parameters),
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)
    in_nats = -model.prior.log_likelihood(indices)
    assert torch.allclose(prior.loss(images), in_nats.mean() / 4, rtol=1e-12)
    assert torch.allclose(model(images), expected + in_nats / 16, rtol=1e-11)
    for name in ("to_code.bias", "decoder.0.bias", "encoder.1.blocks.1.3.bias", "codebook.weight"):
        kept = model.get_parameter(name).detach().clone()
        with torch.no_grad():
            model.get_parameter(name).zero_()
            assert abs(float(autoencoder.loss(images) - expected.mean())) > 1e-5, f"dropping {name} is not seen"
            model.get_parameter(name).copy_(kept)


def test_no_player_moves_the_others_parameters(loud):
    model = tiny(loud)
    autoencoder, prior = model.players()
    assert {id(p) for p in autoencoder.parameters}.isdisjoint({id(p) for p in prior.parameters})
    assert len(autoencoder.parameters) + len(prior.parameters) == len(list(model.parameters()))
    images = pictures(4)
    assert set(torch.autograd.grad(prior.loss(images), autoencoder.parameters, allow_unused=True)) == {None}
    assert set(torch.autograd.grad(autoencoder.loss(images), prior.parameters, allow_unused=True)) == {None}
    assert autoencoder.ends == prior.begins == 0.5


def test_the_bound_is_below_log_p_of_the_sum_over_all_grids(loud):
    """p(x) = sum_z p(x | z) p(z) over all 81 grids: the bound takes the term of one of them."""
    model = tiny(loud)
    grids = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 2, 2)
    images = pictures(5)
    with torch.no_grad():
        prior = model.prior.log_likelihood(grids)
        maps = model.decode(grids)
        joint = torch.stack(
            [prior + model.output.log_likelihood(maps, one.expand(81, -1, -1, -1)) for one in images]
        )
        bits = model.bits_per_dimension(images)
        best = -joint.amax(1) / (16 * math.log(2))
        exact = -joint.logsumexp(1) / (16 * math.log(2))
        own = (grids.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1)
        mine = (model.encode(images).flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1)
    assert own.tolist() == list(range(81))
    assert torch.allclose(bits, -joint[range(5), mine] / (16 * math.log(2)), rtol=1e-11)
    assert (bits >= best - 1e-12).all()
    assert (best > exact).all()
    # And p is a distribution: over all pictures of 2x2 pixels that a smaller model knows it sums to one.
    small = tiny(loud, image=2)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4).reshape(16, 1, 2, 2)
    with torch.no_grad():
        prior = small.prior.log_likelihood(torch.arange(3).view(3, 1, 1))
        maps = small.decode(torch.arange(3).view(3, 1, 1))
        total = sum(
            (prior + small.output.log_likelihood(maps, one.expand(3, -1, -1, -1))).exp().sum() for one in every
        )
    assert abs(float(total) - 1) < 1e-12


def test_moving_codes_move_in_the_autoencoders_turn_only(loud):
    model = tiny(loud, codebook="moving").train()
    images = pictures(6)
    before = model.codebook.weight.clone()
    autoencoder, prior = model.players()
    prior.loss(images)
    model.codebook.after_update()
    assert torch.equal(model.codebook.weight, before)
    autoencoder.loss(images)
    model.codebook.after_update()
    assert not torch.equal(model.codebook.weight, before)


def test_samples_are_decoded_grids_of_the_prior(loud):
    model = tiny(loud, classes=3, levels=5, shown="draw")
    labels = torch.tensor([0, 2, 1, 1])
    with torch.no_grad():
        images = model.sample(4, noise=Noise(range(4)), condition=labels)
        again = model.sample(2, noise=Noise([1, 2]), condition=labels[1:3])
        greedy = model.sample(4, noise=Noise(range(4)), condition=labels, sampling=Sampling(temperature=1e-3))
    assert torch.equal(images[1:3], again)
    assert torch.allclose(4 * images, (4 * images).round(), atol=1e-6)
    assert not torch.equal(images, greedy)
    steps = []
    model.sample(1, noise=Noise([0]), condition=labels[:1], on_step=lambda done, of: steps.append((done, of)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_reconstructions_are_what_the_codes_say(loud):
    model = tiny(loud, output="shared-gaussian", levels=256)
    images = pictures(3)
    with torch.no_grad():
        expected = model.decode(model.encode(images)).clamp(0, 1)
        assert torch.equal(model.reconstruct(images), expected)


def test_what_it_cannot_do_is_told(loud):
    model = tiny(loud, output="shared-gaussian")
    with pytest.raises(UsageError, match="sampling from VQ-VAE has no steps: got steps 5, expected temperature"):
        model.sample(1, noise=Noise([0]), sampling=Sampling(steps=5))
    with pytest.raises(UsageError, match="this output is a density"):
        model.bits_per_dimension(pictures(1))
    with pytest.raises(UsageError, match="a class for each picture, or never: got labels"):
        model.sample(1, noise=Noise([0]), condition=torch.tensor([1]))
    with pytest.raises(SpecError, match="image does not fit: got 10, expected a multiple of 4"):
        VQVAESpec(image=10)
    with pytest.raises(SpecError, match="prior_kernel does not fit: got 4"):
        VQVAESpec(prior_kernel=4)
