"""Improved DDPM: the U-Net of the authors' code, the hybrid loss by hand, learned variances against diffusers."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from diffusers_oracles import diffusers, made
from encoder_oracles import read_into

from sevenfold.errors import UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.layers.diffusion import Gaussian, level_nll, normal_kl
from sevenfold.models import MODELS
from sevenfold.models._published import published
from sevenfold.models.generative.improved_ddpm import unet_of

# The authors' network in the words of diffusers, small: two heads of 8 channels at 4x4 pixels.
TINY = {
    "sample_size": 8, "in_channels": 1, "out_channels": 2, "layers_per_block": 1, "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4, "attn_norm_num_groups": 4, "attention_head_dim": 8, "norm_eps": 1e-5,
    "resnet_time_scale_shift": "scale_shift", "flip_sin_to_cos": True, "freq_shift": 0, "num_class_embeds": 3,
}  # fmt: skip
OURS = {
    "image": 8, "channels": 1, "classes": 3, "width": 8, "multiples": [1, 2], "blocks": 1, "attention": [4],
    "heads": 2, "groups": 4, "steps": 10, "levels": 17, "dropout": 0.0, "average": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def pair():
    oracle = made("UNet2DModel", **TINY)
    with torch.no_grad():
        oracle.conv_out.weight *= 0.05
        oracle.conv_out.bias *= 0.1
    entry = published({**oracle.config, "_class_name": "UNet2DModel"})
    ours = MODELS["improved-ddpm-cifar10"].build(OURS).double().eval()
    assert unet_of(ours.spec) == entry.spec(oracle.config)
    read_into(ours.unet, entry.weights(ours.unet.spec, oracle.state_dict()))
    with torch.no_grad():
        ours.average.after_update()  # decay 0: the average is the weights
    return oracle, ours


def inputs():
    draw = torch.Generator().manual_seed(0)
    levels = torch.randint(17, (4, 1, 8, 8), generator=draw).double() / 16
    return levels, torch.tensor([0, 2, 1, 0])


def by_hand(oracle, process, images, labels, t, noise, *, mutation=None):
    """Both parts of the loss, pixel by pixel from their definitions; the mean's part of the bound is held."""
    data = 2 * images - 1
    schedule = 1 - process.alpha_bar[1:] / process.alpha_bar[:-1]
    left = torch.cumprod(1 - schedule, 0)[t].reshape(-1, 1, 1, 1)
    noisy = left.sqrt() * data + (1 - left).sqrt() * noise
    said, share = oracle(noisy, 100 * t if mutation != "steps as they are" else t, labels).sample.chunk(2, 1)
    simple = (said - noise).square().mean(dim=(1, 2, 3))
    held = said if mutation == "the mean follows the bound" else said.detach()
    guess = (noisy - (1 - left).sqrt() * held) / left.sqrt()
    if mutation == "clipped":
        guess = guess.clamp(-1, 1)
    bound = []
    for row, step in enumerate(t.tolist()):
        one = torch.tensor([step])
        true = process.posterior(data[row : row + 1], noisy[row : row + 1], one, one - 1)
        mean = process.posterior(guess[row : row + 1], noisy[row : row + 1], one, one - 1).mean
        least = process.posterior_variance(torch.tensor([max(step, 1)]), torch.tensor([max(step, 1) - 1])).log()
        part = (share[row : row + 1] + 1) / 2 if mutation != "share from 0" else share[row : row + 1]
        found = Gaussian(mean, part * schedule[step].log() + (1 - part) * least)
        nats = level_nll(data[row : row + 1], found, 17) if step == 0 else normal_kl(true, found)
        bound.append(nats.mean() / (1.0 if mutation == "nats" else math.log(2)))
    scale = 0.001 * (1 if mutation == "one step of the bound" else 10)
    return simple + scale * torch.stack(bound)


def losses_and_gradients(pair, **changes):
    oracle, ours = pair
    images, labels = inputs()
    t = torch.tensor([0, 1, 5, 9])
    noise = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    got = ours.losses(2 * images - 1, labels, t, noise)
    expected = by_hand(oracle, ours.process, images, labels, t, noise, **changes)
    pull = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    ours.zero_grad()
    oracle.zero_grad()
    (got * pull).sum().backward()
    (expected * pull).sum().backward()
    theirs = published({**oracle.config, "_class_name": "UNet2DModel"}).weights(
        ours.unet.spec, {name: weight.grad for name, weight in oracle.named_parameters()}
    )
    largest = max(float(theirs[name].abs().max()) for name in theirs)
    off = max(float((w.grad - theirs[name]).abs().max()) for name, w in ours.unet.named_parameters()) / largest
    return float((got - expected).detach().abs().max()), off


def test_the_hybrid_loss_is_what_is_written(pair):
    values, gradients = losses_and_gradients(pair)
    assert values < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize(
    "mutation", ["steps as they are", "the mean follows the bound", "clipped", "share from 0", "nats",
                 "one step of the bound"],
)  # fmt: skip
def test_a_mutated_loss_differs(pair, mutation):
    values, gradients = losses_and_gradients(pair, mutation=mutation)
    assert gradients > 1e-6
    assert values > 1e-6 or mutation == "the mean follows the bound"


class DoubleNoise(Noise):
    def normal(self, *shape):
        return super().normal(*shape).double()


@pytest.mark.parametrize("steps", [None, 4])
def test_a_whole_way_equals_theirs(pair, steps):
    from diffusers.schedulers import scheduling_unclip

    oracle, ours = pair
    labels = torch.tensor([2, 0])
    # Their scheduler that walks from the first step to the last with learned variances.
    scheduler = diffusers().UnCLIPScheduler(num_train_timesteps=10, variance_type="learned_range")
    scheduler.betas = 1 - ours.process.alpha_bar[1:] / ours.process.alpha_bar[:-1]
    scheduler.alphas, scheduler.one = 1 - scheduler.betas, torch.tensor(1.0, dtype=torch.float64)
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, 0)
    scheduler.set_timesteps(steps or 10)
    noise = DoubleNoise([3, 4])
    x = noise.normal(1, 8, 8)
    walked = [*scheduler.timesteps.tolist(), -1]
    for t, s in itertools.pairwise(walked):
        fresh = noise.normal(1, 8, 8) if t > 0 else None
        with pytest.MonkeyPatch.context() as patched, torch.no_grad():
            patched.setattr(scheduling_unclip, "randn_tensor", lambda *_, fresh=fresh, **__: fresh)
            said = oracle(x, torch.full((2,), 100.0 * t), labels).sample
            x = scheduler.step(said, t, x, prev_timestep=s).prev_sample
    got = ours.sample(2, noise=DoubleNoise([3, 4]), condition=labels, sampling=Sampling(steps=steps))
    assert (got - ((x + 1) / 2).clamp(0, 1)).abs().max() < 1e-7  # their waves of the time are float32
    other = ours.sample(2, noise=DoubleNoise([3, 4]), condition=labels.flip(0), sampling=Sampling(steps=steps))
    assert (got - other).abs().max() > 1e-3


def test_the_bound_alone_draws_its_steps_by_their_losses():
    torch.manual_seed(0)
    model = MODELS["improved-ddpm-small"].build({"objective": "vlb", "steps": 5, "width": 8, "walked": None})
    images = (16 * torch.rand(64, 1, 8, 8)).round() / 16
    for _ in range(6):
        losses = model.train()(images)
    probabilities = model.chooser.probabilities()
    assert losses.shape == (64,)
    assert probabilities is not None
    assert probabilities.sum().item() == pytest.approx(1)
    before = model.chooser.losses.clone()
    model.eval()(images)
    assert torch.equal(model.chooser.losses, before)  # evaluation remembers nothing
    # Weighted, the losses estimate the whole bound: the mean over all steps, each step's T times its bits.
    data = 2 * images - 1
    every = [model.losses(data, None, torch.full((64,), t), torch.randn_like(data)).mean() for t in range(5)]
    estimate = torch.cat([model(images) for _ in range(40)]).mean()
    assert estimate.item() == pytest.approx(torch.stack(every).mean().item(), rel=0.1)


def test_the_first_step_is_just_below_a_level():
    """As the paper chooses s: sqrt(beta_0) slightly smaller than what lies between two levels of -1..1."""
    for name, steps in (("improved-ddpm-cifar10", 1000), ("improved-ddpm-small", 100)):
        spec = MODELS[name].spec()
        process = MODELS[name].build({"steps": steps, "width": spec.groups, "walked": None}).process
        first = process.beta(torch.tensor([0]), torch.tensor([-1])).sqrt().item()
        assert 0.7 < first / (2 / (spec.levels - 1)) < 1.0


def test_hybrid_and_bound_pull_apart(pair):
    """In the hybrid loss the bound moves the variance's channel alone: the noise's follows L_simple."""
    _, ours = pair
    images, labels = inputs()
    t = torch.tensor([0, 1, 5, 9])
    noise = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours.zero_grad()
    ours.losses(2 * images - 1, labels, t, noise).sum().backward()
    of_noise, of_share = ours.unet.leave.bias.grad.tolist()
    noisy = ours.process.noised(2 * images - 1, t, noise)
    said = ours.network(labels)(noisy, t)[:, :1].detach()
    assert of_noise == pytest.approx((2 * (said - noise)).mean(dim=(1, 2, 3)).sum().item(), rel=1e-9)
    assert abs(of_share) > 1e-6


def test_what_does_not_fit_is_told(pair):
    _, ours = pair
    images, _ = inputs()
    with pytest.raises(
        UsageError, match=r"improved DDPM is told a class: got no condition, expected labels \[4\] below 3"
    ):
        ours(images)
    with pytest.raises(UsageError, match="improved DDPM has no row for a token: got tokens from 0 to 3"):
        ours.sample(2, noise=Noise([0, 1]), condition=torch.tensor([0, 3]))
    entry = MODELS["improved-ddpm-small"]
    assert entry.settings_for((1, 8, 8), 10) == {"image": 8, "channels": 1, "classes": 10}
    assert entry.settings_for((3, 16, 16), 0)["classes"] == 0


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("improved-ddpm-cifar10", 52_546_438),
        ("improved-ddpm-imagenet64", 121_063_942),
        ("improved-ddpm-imagenet64-classes", 273_049_350),
    ],
)
def test_counts_are_those_of_the_authors_code(name, parameters):
    model = MODELS[name].build_meta()
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert model.process.steps == 4000
