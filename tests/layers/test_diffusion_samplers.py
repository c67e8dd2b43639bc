"""Every sampler step against diffusers' schedulers, from the same noise; walking and inpainting by closed forms.

Their tables are float32, and 1 - alpha_bar_t / alpha_bar_s of them is wrong by up to 1e-3 for small t. Made anew
from the same betas in float64, every step agrees to 1e-10, and ours in float32 to 1e-6. As they ship, they are off
by up to 1e-4, which one test states.
"""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.layers.diffusion import (
    Denoiser,
    Process,
    betas,
    clipped,
    dynamically_clipped,
    encode,
    inpaint,
    path,
    slerp,
    walk,
)
from sevenfold.layers.noise import Noise

STEPS = 1000


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers")


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def twin(scheduler):
    """Our process with their betas; their tables made anew in float64."""
    scheduler.betas = scheduler.betas.double()
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, 0)
    scheduler.one = torch.tensor(1.0, dtype=torch.float64)
    scheduler.final_alpha_cumprod = scheduler.one
    return Process(scheduler.betas)


def says(output):
    """The network that says this, whatever it is given."""
    return lambda x, t: output


def ours_stepped(denoiser, noisy, t, s, noise, **eta):
    t_b, s_b = (torch.full((len(noisy),), step) for step in (t, s))
    return denoiser.step(noisy, t_b, s_b, noise, **eta)


def noise_of(monkeypatch, module, noise):
    """Their scheduler draws this noise."""
    monkeypatch.setattr(module, "randn_tensor", lambda shape, **_: noise)


BOUND = {torch.float64: 1e-10, torch.float32: 1e-6}


def relative(ours, theirs):
    return float((ours.double() - theirs).abs().max() / theirs.abs().max())


def worst(monkeypatch, scheduler, dtype, *, walked=None, variance="small", mutate=lambda one: one, **settings):
    """The largest relative difference over the steps of DDPM that are walked."""
    from diffusers.schedulers import scheduling_ddpm

    process = twin(scheduler)
    if walked is not None:
        scheduler.set_timesteps(walked)
    pairs = path(STEPS, walked, spacing="leading")
    channels = 4 if variance == "learned-range" else 2
    largest = 0.0
    for t, s in [pairs[0], pairs[1], pairs[len(pairs) // 2], pairs[-2], pairs[-1]]:
        output, noisy, noise = drawn(2, channels, 3, 3, seed=t), drawn(2, 2, 3, 3, seed=t + 1), drawn(2, 2, 3, 3)
        noise_of(monkeypatch, scheduling_ddpm, noise)
        theirs = scheduler.step(output, t, noisy).prev_sample
        denoiser = mutate(Denoiser(process, says(output.to(dtype)), variance=variance, **settings))
        ours = ours_stepped(denoiser, noisy.to(dtype), t, s, noise.to(dtype))
        assert ours.dtype == dtype
        largest = max(largest, relative(ours, theirs))
    return largest


DDPM = {
    "fixed small": ({"variance_type": "fixed_small"}, {"variance": "small"}),
    "fixed large": ({"variance_type": "fixed_large"}, {"variance": "large"}),
    "learned range": ({"variance_type": "learned_range"}, {"variance": "learned-range"}),
    "cosine": ({"beta_schedule": "squaredcos_cap_v2"}, {}),
    "cosine, learned range": (
        {"beta_schedule": "squaredcos_cap_v2", "variance_type": "learned_range"}, {"variance": "learned-range"},
    ),
    "data": ({"prediction_type": "sample"}, {"predicts": "data"}),
    "velocity": ({"prediction_type": "v_prediction"}, {"predicts": "velocity"}),
    "unclipped": ({"clip_sample": False}, {"clip": None}),
    "dynamically clipped": (
        {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 3.0},
        {"clip": partial(dynamically_clipped, share=0.9, most=3.0)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("walked", [None, 50])
@pytest.mark.parametrize("kind", DDPM)
def test_ancestral_steps_equal_diffusers(diffusers, monkeypatch, kind, walked, dtype):
    theirs, ours = DDPM[kind]
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=STEPS, **theirs)
    assert worst(monkeypatch, scheduler, dtype, walked=walked, **ours) < BOUND[dtype]


def test_the_step_as_they_ship_it_is_off_by_its_float32_table(diffusers, monkeypatch):
    from diffusers.schedulers import scheduling_ddpm

    shipped, exact = diffusers.DDPMScheduler(), diffusers.DDPMScheduler()
    process = twin(exact)
    largest = 0.0
    for t in (1, 10, 500, 999):
        output, noisy, noise = (drawn(2, 2, 3, 3, seed=t + i).float() for i in range(3))
        noise_of(monkeypatch, scheduling_ddpm, noise)
        theirs = shipped.step(output, t, noisy).prev_sample
        denoiser = Denoiser(process, says(output))
        largest = max(largest, relative(ours_stepped(denoiser, noisy, t, t - 1, noise), theirs.double()))
    assert 1e-6 < largest < 2e-4


MUTATIONS = {
    "the other variance": lambda d: Denoiser(d.process, d.network, variance="large"),
    "not clipped": lambda d: Denoiser(d.process, d.network, clip=None),
    "clipped at 0.99": lambda d: Denoiser(d.process, d.network, clip=lambda data: data.clamp(-0.99, 0.99)),
    "it predicts the data": lambda d: Denoiser(d.process, d.network, predicts="data"),
    "another schedule": lambda d: Denoiser(Process(betas("cosine", STEPS)), d.network),
    "ddim": lambda d: Ddim(d.process, d.network),
}


class Ddim(Denoiser):
    def step(self, noisy, t, s, noise):
        return super().step(noisy, t, s, noise, eta=0.0)


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_mutated_step_differs(diffusers, monkeypatch, kind):
    assert worst(monkeypatch, diffusers.DDPMScheduler(), torch.float64, mutate=MUTATIONS[kind]) > 1e-4


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("variance", ["small", "learned-range"])
@pytest.mark.parametrize("predicts", ["noise", "data"])
def test_unclip_steps_equal_diffusers(diffusers, monkeypatch, dtype, variance, predicts):
    from diffusers.schedulers import scheduling_unclip

    scheduler = diffusers.UnCLIPScheduler(
        variance_type="fixed_small_log" if variance == "small" else "learned_range",
        prediction_type="epsilon" if predicts == "noise" else "sample",
    )
    process = twin(scheduler)
    pairs = path(STEPS, 25)
    channels = 4 if variance == "learned-range" else 2
    for t, s in [pairs[0], pairs[10], pairs[-2], pairs[-1]]:
        output, noisy, noise = drawn(2, channels, 3, 3, seed=t), drawn(2, 2, 3, 3, seed=t + 1), drawn(2, 2, 3, 3)
        noise_of(monkeypatch, scheduling_unclip, noise)
        theirs = scheduler.step(output, t, noisy, prev_timestep=s).prev_sample
        denoiser = Denoiser(process, says(output.to(dtype)), variance=variance, predicts=predicts)
        assert relative(ours_stepped(denoiser, noisy.to(dtype), t, s, noise.to(dtype)), theirs) < BOUND[dtype]


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("rederived", [True, False])
@pytest.mark.parametrize("predicts", ["noise", "data", "velocity"])
def test_ddim_steps_equal_diffusers(diffusers, dtype, eta, rederived, predicts):
    kinds = {"noise": "epsilon", "data": "sample", "velocity": "v_prediction"}
    scheduler = diffusers.DDIMScheduler(prediction_type=kinds[predicts])
    process = twin(scheduler)
    scheduler.set_timesteps(50)
    pairs = path(STEPS, 50, spacing="leading")
    for t, s in [pairs[0], pairs[20], pairs[-2], pairs[-1]]:
        output, noisy, noise = (drawn(2, 2, 3, 3, seed=t + i) for i in range(3))
        theirs = scheduler.step(
            output, t, noisy, eta=eta, variance_noise=noise, use_clipped_model_output=rederived
        ).prev_sample
        denoiser = Denoiser(process, says(output.to(dtype)), predicts=predicts, rederived=rederived)
        ours = ours_stepped(denoiser, noisy.to(dtype), t, s, noise.to(dtype), eta=eta)
        assert relative(ours, theirs) < BOUND[dtype]


def exact(process, mean, variance):
    """The network that knows data of N(mean, variance): E[noise | x_t]."""

    def network(x, t):
        left = process.alpha_bar[t + 1].reshape(-1, *(1 for _ in x.shape[1:])).to(x.dtype)
        total = left * variance + 1 - left
        return (1 - left).sqrt() * (x - left.sqrt() * mean) / total

    return network


def test_walking_with_the_exact_network_ends_in_the_data():
    """Data N(0.3, 0.2^2): ancestral steps and DDIM's of every eta end with that mean and deviation."""
    process = Process(betas("cosine", 400))
    denoiser = Denoiser(process, exact(process, 0.3, 0.04), clip=None)
    noise = Noise(list(range(4)))
    start = noise.normal(5_000).double()
    for eta in (None, 0.0, 0.5, 1.0):
        end = walk(denoiser, start, path(400), noise, eta=eta)
        assert end.mean().item() == pytest.approx(0.3, abs=0.01)  # 0.2 / sqrt(20,000) is 0.0014
        assert end.std().item() == pytest.approx(0.2, abs=0.01)


def test_guidance_moves_towards_what_is_asked():
    """Data N(0, 1) and p(y | x) ~ N(y = 1; x, 1): the answer is N(1/2, 1/2), with the exact gradient at x_t."""
    process = Process(betas("cosine", 400))

    def gradient(x, t):
        kept = process.alpha_bar[t + 1].reshape(-1, 1).sqrt()
        # x_0 | x_t is N(kept x_t, 1 - kept^2) for data N(0, 1): log p(y | x_t) is a normal one of kept x_t.
        return kept * (1 - kept * x) / (2 - kept**2)

    denoiser = Denoiser(process, exact(process, 0.0, 1.0), clip=None, guide=gradient)
    noise = Noise([0, 1, 2, 3])
    for eta in (None, 0.0):
        end = walk(denoiser, noise.normal(5_000).double(), path(400), noise, eta=eta)
        assert end.mean().item() == pytest.approx(0.5, abs=0.02)
        assert end.var().item() == pytest.approx(0.5, abs=0.03)


def test_encoding_is_the_way_back():
    process = Process(betas("linear", 1000))
    denoiser = Denoiser(process, exact(process, 0.3, 0.04), clip=None)
    data = 0.3 + 0.2 * drawn(8, 5)
    latent = encode(denoiser, data, path(1000))
    again = walk(denoiser, latent, path(1000), Noise(list(range(8))), eta=0.0)
    assert (again - data).abs().max() < 0.01
    # The exact flow of a normal distribution to another is linear: a standard normal of the same quantile.
    assert (latent - (data - 0.3) / 0.2).abs().max() < 0.05


def test_inpainting_keeps_what_is_kept_and_follows_it():
    """Pairs of pixels that are equal: the open one has to become its neighbour, the better the more repeats."""
    process = Process(betas("cosine", 100))

    def network(x, t):  # x_0 = (z, z), z ~ N(0, 1): both noisy pixels tell of z
        left = process.alpha_bar[t + 1].reshape(-1, 1).to(x.dtype)
        z = left.sqrt() * x.sum(dim=1, keepdim=True) / (1 - left + 2 * left)
        return (x - left.sqrt() * z) / (1 - left).sqrt()

    denoiser = Denoiser(process, network, clip=None)
    known = drawn(50, 1).expand(50, 2) * torch.tensor([1.0, 0.0])
    kept = torch.tensor([[True, False]])
    errors = []
    for repeats in (1, 5):
        filled = inpaint(denoiser, known, kept, path(100), Noise(list(range(50))), repeats=repeats)
        assert torch.equal(filled[:, 0], known[:, 0])
        errors.append((filled[:, 1] - known[:, 0]).square().mean().sqrt().item())
    assert errors[1] < 0.1
    assert errors[1] < errors[0] < 1.0


def test_a_sample_depends_on_its_own_seed_alone_and_every_step_is_told():
    process = Process(betas("cosine", 20))
    denoiser = Denoiser(process, lambda x, t: 0.1 * x)
    told = []
    for eta in (None, 0.7):
        alone, among = Noise([7]), Noise([3, 7])
        one = walk(denoiser, alone.normal(1, 4, 4), path(20, 5), alone, eta=eta)
        two = walk(
            denoiser, among.normal(1, 4, 4), path(20, 5), among, eta=eta, on_step=lambda *of: told.append(of)
        )
        assert torch.equal(one[0], two[1])
    assert told[:5] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_between_two_noises():
    first, second = drawn(1, 8, 8, seed=1), drawn(1, 8, 8, seed=2)
    between = slerp(first, second, torch.tensor([0.0, 0.5, 1.0]))
    assert between.shape == (3, 1, 8, 8)
    torch.testing.assert_close(between[0], first)
    torch.testing.assert_close(between[2], second)
    # As long as its ends, which a straight line's middle is not.
    assert between[1].norm() > 0.95 * min(first.norm(), second.norm()) > 1.1 * ((first + second) / 2).norm()
    torch.testing.assert_close(slerp(first, first, torch.tensor([0.3]))[0], first)


def test_learned_variances_need_their_channels():
    denoiser = Denoiser(Process(betas("cosine", 10)), lambda x, t: x, variance="learned-range")
    with pytest.raises(UsageError, match="two numbers a value: got 2 channels, expected 4"):
        denoiser.step(drawn(1, 2, 3, 3), torch.tensor([5]), torch.tensor([4]), drawn(1, 2, 3, 3))


def test_clipping_of_both_kinds():
    assert clipped(torch.tensor([-3.0, 0.5])).tolist() == [-1.0, 0.5]
    data = torch.tensor([[-4.0, 0.5, 2.0], [0.1, -0.9, 0.2]])
    assert dynamically_clipped(data, share=1.0).tolist() == [[-1.0, 0.125, 0.5], pytest.approx([0.1, -0.9, 0.2])]
    assert dynamically_clipped(data, share=1.0, most=2.0)[0].tolist() == [-1.0, 0.25, 1.0]
    assert math.isclose(dynamically_clipped(data, share=0.5)[0, 0].item(), -1.0)
