"""Distributions of pixels: held to torch's, probabilities that sum to one, draws that come as often."""

from __future__ import annotations

import pytest
import torch

from sevenfold.layers.noise import Noise
from sevenfold.layers.pixel_outputs import pixel_output


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_pixel(name, levels, maps):
    """Log-probabilities of every level under the same maps [n]."""
    output = pixel_output(name, levels).double()
    pixels = torch.arange(levels, dtype=torch.float64).reshape(-1, 1, 1, 1) / (levels - 1)
    return output.log_likelihood(maps.reshape(1, -1, 1, 1).expand(levels, -1, 1, 1), pixels)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("name", ["logistic", "categorical"])
def test_probabilities_of_all_levels_sum_to_one(name, levels):
    for seed in range(4):
        maps = 2 * draw(2 if name == "logistic" else levels, seed=seed)
        assert abs(float(one_pixel(name, levels, maps).exp().sum()) - 1) < 1e-12


def test_a_narrow_logistic_far_away_stays_finite_with_a_gradient():
    maps = torch.tensor([[30.0], [-40.0]]).reshape(1, 2, 1, 1).requires_grad_()
    output = pixel_output("logistic", 17)
    for pixel in (0.0, 0.5, 1.0):
        got = output.log_likelihood(maps, torch.full((1, 1, 1, 1), pixel))
        (gradient,) = torch.autograd.grad(got.sum(), maps)
        assert torch.isfinite(got).all()
        assert torch.isfinite(gradient).all()


def test_logistic_is_the_difference_of_its_distribution_function():
    """Torch's logistic: a uniform number through the inverse of a sigmoid, and an affine map."""
    from torch.distributions import AffineTransform, SigmoidTransform, TransformedDistribution, Uniform

    maps = torch.tensor([0.1, 0.3], dtype=torch.float64)
    mean, scale = 0.5 + maps[0], (maps[1] - 1.5).exp()
    uniform = Uniform(torch.zeros((), dtype=torch.float64), 1)
    logistic = TransformedDistribution(uniform, [SigmoidTransform().inv, AffineTransform(mean, scale)])
    borders = (torch.arange(1, 5, dtype=torch.float64) - 0.5) / 4
    up_to = torch.cat([torch.zeros(1), logistic.cdf(borders), torch.ones(1)])
    assert torch.allclose(one_pixel("logistic", 5, maps).exp(), up_to.diff(), rtol=1e-10)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "shared-gaussian"])
def test_log_likelihoods_equal_torch_distributions(name):
    output = pixel_output(name, 2).double()
    maps, pixels = draw(3, 2 * output.maps, 4, 4), torch.rand(3, 2, 4, 4, dtype=torch.float64)
    if name == "bernoulli":
        pixels = pixels.round()
        expected = torch.distributions.Bernoulli(logits=maps)
    elif name == "gaussian":
        expected = torch.distributions.Normal(maps[:, :2].sigmoid(), (maps[:, 2:] / 2).exp())
    else:
        output.log_variance.data.fill_(-0.7)
        expected = torch.distributions.Normal(maps, torch.tensor(-0.35, dtype=torch.float64).exp())
    got = output.log_likelihood(maps, pixels)
    assert torch.allclose(got, expected.log_prob(pixels).flatten(1).sum(1), rtol=1e-12)
    assert torch.allclose(output.mean(maps), expected.mean, rtol=1e-12)


@pytest.mark.parametrize(("name", "levels"), [("bernoulli", 2), ("logistic", 5), ("categorical", 5)])
def test_draws_come_as_often_as_their_probability(name, levels):
    output = pixel_output(name, levels)
    maps = 0.6 * draw(output.maps, seed=3).float()
    many = maps.reshape(1, -1, 1, 1).expand(1, -1, 150, 200).contiguous()
    drawn = output.draw(many, Noise([5])).flatten()
    expected = one_pixel(name, levels, maps.double()).exp()
    counts = torch.bincount((drawn * (levels - 1)).round().long(), minlength=levels) / 30_000
    assert (counts - expected).abs().max() < 0.012  # four standard deviations of a share of 30,000
    values = torch.arange(levels, dtype=torch.float64) / (levels - 1)
    assert torch.allclose(output.mean(many).mean().double(), (expected * values).sum(), rtol=1e-5)


@pytest.mark.parametrize("name", ["gaussian", "shared-gaussian"])
def test_densities_are_drawn_around_their_mean(name):
    output = pixel_output(name, 2)
    maps = torch.tensor([0.3, -4.0][: output.maps]).reshape(1, -1, 1, 1).expand(1, -1, 150, 200).contiguous()
    if name == "shared-gaussian":
        output.log_variance.data.fill_(-4.0)
    drawn = output.draw(maps, Noise([1]))
    assert abs(drawn.mean() - output.mean(maps).mean()) < 0.005
    assert abs(drawn.std() - torch.tensor(-2.0).exp()) < 0.01
