"""VQ-VAE-2: its count, its losses and gradients against a reference written out, its bound, its three players."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.models import MODELS
from sevenfold.models.generative.vqvae2 import VQVAE2, Grids, VQVAE2Spec


def tiny(loud, **settings):
    """4x4 pixels, 2x2 bottom places and one top place of three codes; in float64 and loud."""
    defaults = {
        "image": 4,
        "channels": 1,
        "width": 4,
        "inner": 3,
        "blocks": 1,
        "bottom_halvings": 1,
        "codes": 3,
        "code_width": 2,
        "output": "logistic",
        "levels": 2,
        "prior_width": 4,
        "prior_layers": 2,
        "prior_kernel": 3,
        "prior_attention_every": 1,
        "prior_heads": 2,
        "prior_context_blocks": 1,
        "dropout": 0.0,
    }
    torch.manual_seed(0)
    model = loud(VQVAE2(VQVAE2Spec(**defaults | settings)))
    with torch.no_grad():
        model.decoder[-1].weight.mul_(0.1)  # so that no one grid has all the probability
    return model


def pictures(num, *, levels=2, seed=1):
    return torch.randint(levels, (num, 1, 4, 4), generator=torch.Generator().manual_seed(seed)).double() / (
        levels - 1
    )


def test_the_count_is_its_layers_added_up():
    block = 128 * 64 * 9 + 64 + 64 * 128 + 128
    bottom_encoder = (3 * 16 * 128 + 128) + (128 * 16 * 128 + 128) + 2 * block
    top_encoder = (128 * 16 * 128 + 128) + 2 * block + (128 * 64 + 64)
    joined = (64 * 16 * 64 + 64) + (192 * 9 * 128 + 128) + 2 * block + (128 * 64 + 64)
    decoder = (128 * 9 * 128 + 128) + 2 * block + (128 * 16 * 128 + 128) + (128 * 16 * 3 + 3)
    model = MODELS["vqvae2"].build_meta()
    autoencoder, top, bottom = model.players()
    learned = bottom_encoder + top_encoder + joined + decoder + 1
    assert sum(weight.numel() for weight in autoencoder.parameters) == learned
    told = 1000 * 4 * 512
    first = (512 * 1024 * 2 * 5 + 1024) + (512 * 1024 * 2 + 1024) + (1024 * 1024 + 1024) + (512 * 512 + 512) + told
    layers = 20 * first + 19 * (512 * 1024 * 5 + 512 * 1024)
    ends = 512 * 512 + (512 * 512 + 512) + (512 * 512 + 512)
    attention = 4 * ((512 * 512 + 512) + 2 * 512 + (512 * 1536 + 1536) + (512 * 512 + 512))
    assert sum(weight.numel() for weight in top.parameters) == layers + ends + 2 * 32 * 512 + attention
    context = 20 * (512 * 2048 + 2048)
    stack = 512 * 512 + (512 * 16 * 512 + 512) + 20 * (512 * 512 * 10 + 1024)
    assert sum(weight.numel() for weight in bottom.parameters) == layers + ends + 2 * 64 * 512 + context + stack
    total = learned + 2 * (layers + ends) + 2 * 96 * 512 + attention + context + stack
    assert total == MODELS["vqvae2"].parameters
    top_grid, bottom_grid = model.encode(torch.zeros(1, 3, 256, 256, device="meta"))
    assert (top_grid.shape, bottom_grid.shape) == ((1, 32, 32), (1, 64, 64))


def reference(model, images):
    """Algorithm 1 from the weights alone: the autoencoder's loss [B], and both grids."""
    weights = dict(model.named_parameters())

    def conv(x, name, **settings):
        return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **settings)

    def up(x, name):
        return functional.conv_transpose2d(
            x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2, padding=1
        )

    def block(x, name):
        return (x + conv(conv(x.relu(), f"{name}.1", padding=1).relu(), f"{name}.3")).relu()

    def quantized(x, codes):
        indices = (x[:, None] - codes[None, :, :, None, None]).square().sum(2).argmin(1)
        chosen = codes[indices].permute(0, 3, 1, 2)
        return x + (chosen - x).detach(), (x - chosen).square().mean((1, 2, 3)), indices

    near = block(conv(images - 0.5, "bottom_encoder.0", stride=2, padding=1), "bottom_encoder.1.blocks.0")
    far = block(conv(near, "top_encoder.0", stride=2, padding=1), "top_encoder.1.blocks.0")
    top, top_loss, top_indices = quantized(conv(far, "to_top_code"), model.top_codebook.weight)
    joined = conv(torch.cat([up(top, "enlarge.0"), near], 1), "join.0", padding=1)
    joined = block(joined, "join.1.blocks.0")
    bottom, bottom_loss, bottom_indices = quantized(conv(joined, "to_bottom_code"), model.bottom_codebook.weight)
    maps = conv(torch.cat([up(top, "enlarge.0"), bottom], 1), "decoder.0", padding=1)
    maps = up(block(maps, "decoder.1.blocks.0"), "decoder.2")
    mean, scale = 0.5 + maps[:, :1], (maps[:, 1:] - 1.5).exp()
    log_likelihood = torch.where(
        images > 0.5, functional.logsigmoid((mean - 0.5) / scale), functional.logsigmoid((0.5 - mean) / scale)
    )
    return 0.25 * (top_loss + bottom_loss) - log_likelihood.mean((1, 2, 3)), top_indices, bottom_indices


def test_losses_and_gradients_equal_algorithm_1_written_out(loud):
    model = tiny(loud)
    images = pictures(8)
    autoencoder, top_prior, bottom_prior = model.players()
    expected, top, bottom = reference(model, images)
    grids = model.encode(images)
    assert torch.equal(grids.top, top)
    assert torch.equal(grids.bottom, bottom)
    assert len(top.unique()) > 1
    assert len(bottom.unique()) > 1
    assert torch.allclose(autoencoder.loss(images), expected.mean(), rtol=1e-11)
    for a, b in zip(
        torch.autograd.grad(autoencoder.loss(images), autoencoder.parameters),
        torch.autograd.grad(expected.mean(), autoencoder.parameters),
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)
    of_top = -model.top_prior.log_likelihood(top)
    of_bottom = -model.bottom_prior.log_likelihood(bottom, context=model.tell_top(top))
    assert torch.allclose(top_prior.loss(images), of_top.mean(), rtol=1e-12)
    assert torch.allclose(bottom_prior.loss(images), of_bottom.mean() / 4, rtol=1e-12)
    assert torch.allclose(model(images), expected + (of_top + of_bottom) / 16, rtol=1e-11)
    for name in ("to_top_code.bias", "enlarge.0.bias", "join.1.blocks.0.3.bias", "decoder.0.bias"):
        kept = model.get_parameter(name).detach().clone()
        with torch.no_grad():
            model.get_parameter(name).zero_()
            assert abs(float(autoencoder.loss(images) - expected.mean())) > 1e-6, f"dropping {name} is not seen"
            model.get_parameter(name).copy_(kept)


def test_the_bound_is_below_log_p_of_the_sum_over_all_grids(loud):
    """p(x) sums over 3 top grids times 81 bottom grids; the priors of all of them sum to one."""
    model = tiny(loud)
    bottoms = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 2, 2)
    grids = Grids(torch.arange(3).view(3, 1, 1).repeat_interleave(81, 0), bottoms.repeat(3, 1, 1))
    images = pictures(4)
    with torch.no_grad():
        prior = model.log_prior(grids)
        maps = model.decode(grids)
        joint = torch.stack(
            [prior + model.output.log_likelihood(maps, one.expand(243, -1, -1, -1)) for one in images]
        )
        mine = model.encode(images)
        bits = model.bits_per_dimension(images)
    assert abs(float(prior.exp().sum()) - 1) < 1e-12
    number = 81 * mine.top.flatten() + (mine.bottom.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1)
    assert torch.allclose(bits, -joint[range(4), number] / (16 * math.log(2)), rtol=1e-11)
    gap = bits + joint.logsumexp(1) / (16 * math.log(2))
    assert (gap > -1e-12).all()
    assert (gap > 1e-3).any()


def test_each_level_matters_to_the_decoder_and_the_top_to_the_bottom_prior(loud):
    model = tiny(loud)
    top, bottom = torch.tensor([[[0]]]), torch.tensor([[[0, 1], [2, 0]]])
    with torch.no_grad():
        base, told = (
            model.decode(Grids(top, bottom)),
            model.bottom_prior.log_likelihood(bottom, context=model.tell_top(top)),
        )
        assert not torch.allclose(model.decode(Grids(top + 1, bottom)), base, rtol=1e-3)
        assert not torch.allclose(model.decode(Grids(top, 2 - bottom)), base, rtol=1e-3)
        other = model.bottom_prior.log_likelihood(bottom, context=model.tell_top(top + 1))
    assert not torch.allclose(other, told, rtol=1e-3)


def test_players_move_their_own_parameters_alone(loud):
    model = tiny(loud)
    players, images = model.players(), pictures(4)
    assert [player.name for player in players] == ["autoencoder", "top_prior", "bottom_prior"]
    assert sum(len(player.parameters) for player in players) == len(list(model.parameters()))
    for mover, other in itertools.permutations(players, 2):
        gradients = torch.autograd.grad(mover.loss(images), other.parameters, allow_unused=True)
        assert set(gradients) == {None}, (mover.name, other.name)


def test_samples_are_by_class_and_by_seed(loud):
    model = tiny(loud, classes=3, levels=5, shown="draw")
    labels = torch.tensor([0, 2, 1, 1])
    steps = []
    with torch.no_grad():
        images = model.sample(
            4, noise=Noise(range(4)), condition=labels, on_step=lambda done, of: steps.append((done, of))
        )
        again = model.sample(2, noise=Noise([1, 2]), condition=labels[1:3])
    assert torch.equal(images[1:3], again)
    assert images.shape == (4, 1, 4, 4)
    assert steps == [(n, 5) for n in range(1, 6)]
    with torch.no_grad():
        assert torch.equal(
            model.reconstruct(images), model.output.mean(model.decode(model.encode(images))).clamp(0, 1)
        )


def test_what_it_cannot_do_is_told(loud):
    model = tiny(loud, output="shared-gaussian", classes=3)
    with pytest.raises(UsageError, match="sampling from VQ-VAE-2 has no guidance: got guidance 2"):
        model.sample(1, noise=Noise([0]), sampling=Sampling(guidance=2.0))
    with pytest.raises(UsageError, match="a class for each picture, or never: got no labels"):
        model.sample(1, noise=Noise([0]))
    with pytest.raises(UsageError, match="this output is a density"):
        model.bits_per_dimension(pictures(1), torch.tensor([0]))
    with pytest.raises(SpecError, match="image does not fit: got 12, expected a multiple of 8"):
        VQVAE2Spec(image=12)
