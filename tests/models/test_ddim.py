"""DDIM: a whole way of every eta equals diffusers', and images come back from their noise."""

from __future__ import annotations

import pytest
import torch
from diffusers_oracles import diffusers, made
from encoder_oracles import read_into

from sevenfold.errors import UsageError
from sevenfold.layers import Noise, Reconstructs, Sampling
from sevenfold.models import MODELS
from sevenfold.models._published import published
from sevenfold.models.generative.ddim import unet_of

TINY = {
    "sample_size": 8, "in_channels": 1, "out_channels": 1, "layers_per_block": 1, "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4, "attention_head_dim": None, "norm_eps": 1e-6, "downsample_padding": 0,
    "flip_sin_to_cos": False, "freq_shift": 1,
}  # fmt: skip
OURS = {
    "image": 8, "channels": 1, "width": 8, "multiples": [1, 2], "blocks": 1, "attention": [4], "groups": 4,
    "steps": 100, "levels": 17, "dropout": 0.0, "average": 0.0, "walked": 20,
}  # fmt: skip


class DoubleNoise(Noise):
    def normal(self, *shape):
        return super().normal(*shape).double()


@pytest.fixture(scope="module")
def pair():
    oracle = made("UNet2DModel", **TINY)
    with torch.no_grad():
        oracle.conv_out.weight *= 0.05
        oracle.conv_out.bias *= 0.1
    entry = published({**oracle.config, "_class_name": "UNet2DModel"})
    ours = MODELS["ddim-cifar10"].build(OURS).double().eval()
    assert unet_of(ours.spec) == entry.spec(oracle.config)
    read_into(ours.unet, entry.weights(ours.unet.spec, oracle.state_dict()))
    ours.average.after_update()  # decay 0: the average is the weights
    return oracle, ours


def way_of_theirs(oracle, process, noise, eta, steps=20):
    """Their scheduler over the same betas in float64; clipped data and the noise that goes with it."""
    scheduler = diffusers().DDIMScheduler(num_train_timesteps=process.steps)
    scheduler.alphas_cumprod = process.alpha_bar[1:].clone()
    scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    scheduler.set_timesteps(steps)
    x = noise.normal(1, 8, 8)
    for t in scheduler.timesteps.tolist():
        # At eta 1 theirs draws for the last step too, whose deviation is 0.
        fresh = noise.normal(1, 8, 8) if eta and t > 0 else torch.zeros_like(x)
        with torch.no_grad():
            said = oracle(x, torch.full((2,), t * 1000 / process.steps)).sample
            step = scheduler.step(said, t, x, eta=eta, variance_noise=fresh, use_clipped_model_output=True)
        x = step.prev_sample
    return ((x + 1) / 2).clamp(0, 1)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_whole_way_equals_theirs(pair, eta):
    oracle, ours = pair
    theirs = way_of_theirs(oracle, ours.process, DoubleNoise([3, 4]), eta)
    got = ours.sample(2, noise=DoubleNoise([3, 4]), sampling=Sampling(eta=eta))
    assert ((got > 0) & (got < 1)).double().mean() > 0.05  # not black and white alone
    assert (got - theirs).abs().max() < 1e-9
    for other in (Sampling(eta=0.25), Sampling(eta=eta, steps=10)):
        assert (ours.sample(2, noise=DoubleNoise([3, 4]), sampling=other) - theirs).abs().max() > 1e-3


@pytest.fixture
def exact(monkeypatch):
    """A model that knows its data: independent pixels of N(0.6, 0.1^2), in -1..1 N(0.2, 0.2^2)."""
    model = MODELS["ddim-small"].build({"width": 4, "groups": 2, "steps": 250})

    def network(noisy, t):
        left = model.process.alpha_bar[t + 1].reshape(-1, 1, 1, 1).to(noisy.dtype)
        return (1 - left).sqrt() * (noisy - 0.2 * left.sqrt()) / (0.04 * left + 1 - left)

    monkeypatch.setattr(model, "network", network)
    return model.eval()


def test_images_come_back_from_their_noise(exact):
    assert isinstance(exact, Reconstructs)
    images = 0.6 + 0.1 * torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    latents = exact.encode(images)
    # A normal distribution flows to another in a straight line: the noise is the pixels' own, standardized.
    assert (latents - (images - 0.6) / 0.1).abs().max() < 0.15
    error = (exact.reconstruct(images) - images).abs()  # of 250 steps of first order, largest at the ends
    assert error.mean() < 0.005
    assert error.max() < 0.02
    torch.testing.assert_close(exact.decode(latents), exact.reconstruct(images))


def test_between_two_images_lie_the_images_of_the_noises_between(exact):
    first, second = 0.6 + 0.1 * torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    between = exact.interpolate(first, second, 3, noise=Noise([0]))
    assert between.shape == (3, 1, 8, 8)
    assert (between[0] - first).abs().max() < 0.02
    assert (between[2] - second).abs().max() < 0.02
    # On the great circle, and not on the line: the middle varies as much as the ends.
    assert between[1].std().item() == pytest.approx(0.1, rel=0.2)
    assert ((first + second) / 2).std().item() < 0.085
    with pytest.raises(UsageError, match="an interpolation has two ends: got 1"):
        exact.interpolate(first, second, 1, noise=Noise([0]))


def test_samples_without_noise_depend_on_their_start_alone(exact):
    first = exact.sample(2, noise=Noise([5, 6]))
    pairs, eta = exact.path_of(Sampling())
    assert (len(pairs), eta) == (10, 0.0)
    assert [t for t, _ in pairs] == list(range(225, -1, -25))  # every 25th from 0
    assert torch.equal(exact.sample(2, noise=Noise([5, 6])), first)
    assert not torch.equal(exact.sample(2, noise=Noise([5, 6]), sampling=Sampling(eta=1.0)), first)


def test_paper_size():
    model = MODELS["ddim-cifar10"].build_meta()
    assert sum(weight.numel() for weight in model.parameters()) == 35_746_307
    assert (model.process.steps, len(model.path_of(Sampling())[0])) == (1000, 50)
