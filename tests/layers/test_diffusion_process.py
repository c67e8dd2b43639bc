"""Schedules, paths and the closed forms of a Gaussian diffusion, against published values and diffusers."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers.diffusion.process import Process
from sevenfold.layers.diffusion.schedules import betas, cosine_betas, erasing_betas, linear_betas, path


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers")


def at(*steps):
    return torch.tensor(steps)


def test_published_values_of_the_schedules():
    linear, cosine = Process(betas("linear", 1000)), Process(betas("cosine", 1000))
    assert linear.alpha_bar[-1].item() == pytest.approx(4.0358e-5, rel=1e-4)  # DDPM: 1e-4 to 0.02 over 1000 steps
    assert cosine.alpha_bar[500].item() == pytest.approx(0.493843, abs=1e-6)  # improved DDPM: s = 0.008
    assert cosine_betas(4000).max() == 0.999
    # Section 3.2 of improved DDPM: s was chosen so that sqrt(beta_0) is slightly below 1 / 127.5, a pixel's bin.
    assert 0.8 / 127.5 < math.sqrt(betas("cosine", 1000)[0].item()) < 1 / 127.5
    # Many steps of the scaled linear schedule end near exp(-1000 * 0.01005).
    assert Process(betas("linear", 100_000)).alpha_bar[-1].item() == pytest.approx(math.exp(-10.05), rel=1e-3)
    assert erasing_betas(1000)[[0, -1]].tolist() == pytest.approx([0.002, 0.5], rel=1e-3)
    assert 0.9e-3 < Process(erasing_betas(1000)).alpha_bar[-1].item() < 1.1e-3  # "a fraction ~1/T" is left


@pytest.mark.parametrize(
    ("theirs", "name", "ends"),
    [
        ("linear", "linear", (0.0001, 0.02)),
        ("scaled_linear", "scaled-linear", (0.00085, 0.012)),
        ("squaredcos_cap_v2", "cosine", (None, None)),
    ],
)
def test_schedules_equal_diffusers(diffusers, theirs, name, ends):
    changes = {} if ends[0] is None else {"beta_start": ends[0], "beta_end": ends[1]}
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=1000, beta_schedule=theirs, **changes)
    ours = betas(name, 1000, first=ends[0], last=ends[1])
    torch.testing.assert_close(ours.float(), scheduler.betas, rtol=2e-6, atol=1e-9)
    torch.testing.assert_close(Process(ours).alpha_bar[1:].float(), scheduler.alphas_cumprod, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("walked", [1, 2, 7, 10, 33, 50, 999, 1000])
def test_paths_equal_diffusers(diffusers, walked):
    for kind, ours in (("leading", "leading"), ("trailing", "trailing"), ("linspace", "even")):
        if kind == "linspace" and walked == 1:
            continue  # numpy's only point is the first, where there is no noise; ours is the last
        scheduler = diffusers.DDIMScheduler(timestep_spacing=kind)
        scheduler.set_timesteps(walked)
        pairs = path(1000, walked, spacing=ours)
        assert [t for t, _ in pairs] == scheduler.timesteps.tolist()
        assert [s for _, s in pairs] == [*scheduler.timesteps.tolist()[1:], -1]
    if walked > 1:
        scheduler = diffusers.UnCLIPScheduler()
        scheduler.set_timesteps(walked)
        assert [t for t, _ in path(1000, walked)] == scheduler.timesteps.tolist()
    assert path(1000, 1) == [(999, -1)]


def test_a_path_of_any_length_starts_in_noise():
    assert path(1000, 50, spacing="proportional") == path(1000, 50, spacing="leading")
    assert path(200, 150, spacing="leading")[0][0] == 149  # with a quarter of the noise left out
    for walked in range(1, 201):
        taken = [t for t, _ in path(200, walked, spacing="proportional")]
        assert taken == [i * 200 // walked for i in reversed(range(walked))]
        assert len(set(taken)) == walked


def test_noising_and_velocity_equal_diffusers(diffusers):
    scheduler = diffusers.DDPMScheduler()
    process = Process(scheduler.betas.double())
    scheduler.alphas_cumprod = torch.cumprod(1 - scheduler.betas.double(), 0)
    draw = torch.Generator().manual_seed(0)
    data, noise = (torch.randn(5, 2, 3, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    t = at(0, 1, 250, 700, 999)
    noisy = process.noised(data, t, noise)
    torch.testing.assert_close(noisy, scheduler.add_noise(data, noise, t), rtol=1e-12, atol=1e-12)
    velocity = process.target("velocity", data, t, noise)
    torch.testing.assert_close(velocity, scheduler.get_velocity(data, noise, t), rtol=1e-12, atol=1e-12)
    assert process.target("noise", data, t, noise) is noise
    assert process.target("data", data, t, noise) is data
    for predicts in ("noise", "data", "velocity"):
        found = process.data_from(predicts, process.target(predicts, data, t, noise), noisy, t)
        torch.testing.assert_close(found, data, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(process.noise_from_data(data, noisy, t), noise, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("t", "s"), [(1, 0), (7, 6), (7, 2), (9, 0)])
def test_the_posterior_is_bayes_rule(t, s):
    """q(x_s | x_t, x_0) is q(x_t | x_s) q(x_s | x_0) / q(x_t | x_0) wherever it is evaluated."""
    process = Process(linear_betas(10, 0.05, 0.4))
    draw = torch.Generator().manual_seed(0)
    data, noisy = (torch.randn(1, 6, generator=draw, dtype=torch.float64) for _ in range(2))
    found = process.posterior(data, noisy, at(t), at(s))
    left_t, left_s = process.alpha_bar[t + 1], process.alpha_bar[s + 1]
    ratio = left_t / left_s
    normal = torch.distributions.Normal

    def log_joint(x):
        forward = normal(ratio.sqrt() * x, (1 - ratio).sqrt()).log_prob(noisy)
        return forward + normal(left_s.sqrt() * data, (1 - left_s).sqrt()).log_prob(x)

    evidence = normal(left_t.sqrt() * data, (1 - left_t).sqrt()).log_prob(noisy)
    for x in (torch.zeros_like(data), torch.ones_like(data), -2.5 * torch.ones_like(data)):
        ours = normal(found.mean, found.deviation).log_prob(x)
        torch.testing.assert_close(ours, log_joint(x) - evidence, rtol=1e-10, atol=1e-10)


def test_steps_one_after_the_other_are_the_closed_form():
    """A slow reference: means and variances of x_t, pushed through q(x_t | x_{t-1}) one step at a time."""
    schedule = betas("cosine", 12)
    process = Process(schedule)
    mean, variance = torch.ones(1, 1, dtype=torch.float64), 0.0
    one, none = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    for t, beta in enumerate(schedule.tolist()):
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        assert process.noised(one, at(t), none).item() == pytest.approx(mean.item(), rel=1e-12)
        assert process.noised(none, at(t), one).item() == pytest.approx(math.sqrt(variance), rel=1e-12)
        assert process.beta(at(t), at(t - 1)).item() == pytest.approx(beta, rel=1e-12)
    half_way = process.noised(one, at(4), none)
    assert process.noised_from(half_way, at(4), at(11), none).item() == pytest.approx(mean.item(), rel=1e-12)
    spread = process.noised(none, at(4), one) ** 2 * process.noised_from(one, at(4), at(11), none) ** 2
    spread = spread + process.noised_from(none, at(4), at(11), one) ** 2
    assert spread.item() == pytest.approx(variance, rel=1e-12)


def test_towards_the_data_the_variance_is_that_of_the_second_step():
    process = Process(betas("linear", 50))
    assert process.posterior_variance(at(0), at(-1)).item() == 0
    assert process.smallest_log_variance(at(0), at(-1)) == process.posterior_variance(at(1), at(0)).log()
    assert Process(torch.tensor([0.3])).smallest_log_variance(at(0), at(-1)).exp().item() == pytest.approx(0.3)


def test_casting_a_model_leaves_the_table_alone():
    model = torch.nn.ModuleDict({"process": Process(betas("cosine", 20)), "layer": torch.nn.Linear(2, 2)})
    before = model["process"].alpha_bar.clone()
    for cast in (model.half(), model.bfloat16(), model.float(), copy.deepcopy(model).half()):
        assert cast["process"].alpha_bar.dtype == torch.float64
        assert torch.equal(cast["process"].alpha_bar, before)
    assert not [name for name in model.state_dict() if "process" in name]
    with torch.device("meta"):
        elsewhere = Process(betas("cosine", 20))
    assert elsewhere.alpha_bar.is_meta
    assert torch.equal(elsewhere.to_empty(device="cpu").alpha_bar, before)
    assert model["process"].to("meta").noised(*(torch.empty(2, 3, device="meta"),), at(1, 2).to("meta"),
                                              torch.empty(2, 3, device="meta")).shape == (2, 3)  # fmt: skip


def test_what_is_no_schedule_is_told():
    with pytest.raises(
        SpecError, match=r"beta from 0.01 to 2 over 10 steps; try more steps, or the cosine schedule"
    ):
        betas("linear", 10)
    with pytest.raises(SpecError, match="got 0, expected at least 1"):
        betas("cosine", 0)
    with pytest.raises(SpecError, match=r"one share of noise a step: got shape \[2\], from 0 to 0.5"):
        Process(torch.tensor([0.0, 0.5]))
    with pytest.raises(UsageError, match="not walked in that many steps: got 11, expected 1 to 10"):
        path(10, 11)
