"""The variational bound against sums of KLs, exact likelihoods and numerical integration; the choice of steps."""

from __future__ import annotations

import math

import pytest
import torch

from sevenfold.layers.diffusion import (
    Denoiser,
    Gaussian,
    Process,
    StepChooser,
    betas,
    bits_per_dimension,
    bound_terms,
    level_nll,
    mean_square,
    normal_kl,
    prior_kl,
)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kl_equals_torch_distributions():
    first = Gaussian(drawn(4, 3, seed=1), drawn(4, 3, seed=2))
    second = Gaussian(drawn(4, 3, seed=3), drawn(4, 3, seed=4))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(first.mean, first.deviation), normal(second.mean, second.deviation)
    )
    torch.testing.assert_close(normal_kl(first, second), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("deviation", [0.003, 0.05, 1.0])
def test_levels_share_all_of_the_probability(levels, deviation):
    values = torch.linspace(-1, 1, levels, dtype=torch.float64)
    found = Gaussian(torch.tensor(0.21, dtype=torch.float64), torch.tensor(2 * math.log(deviation)).double())
    shares = torch.exp(-level_nll(values, found, levels))
    assert shares.sum().item() == pytest.approx(1, abs=1e-6)
    normal = torch.distributions.Normal(found.mean, found.deviation)
    edges = (values[1:] + values[:-1]) / 2
    below = normal.cdf(edges)
    expected = torch.cat([below[:1], below[1:] - below[:-1], 1 - below[-1:]])
    torch.testing.assert_close(shares, expected.clamp(min=1e-12), rtol=1e-6, atol=1e-11)
    single = level_nll(values.float(), Gaussian(found.mean.float(), found.log_variance.float()), levels)
    torch.testing.assert_close(torch.exp(-single.double()), shares, rtol=1e-3, atol=1e-6)


def normal_data_denoiser(process, mean, variance, *, trained=True, scale=1.0):
    """The exact posterior mean of N(mean, variance) data, and the exact variance of p(x_{t-1} | x_t)."""

    class Exact(Denoiser):
        def reverse(self, noisy, t, s):
            left_s = process.alpha_bar[s + 1].reshape(-1, 1)
            beta = process.beta(t, s).reshape(-1, 1)
            marginal_s = left_s * variance + 1 - left_s
            # x_s ~ N(sqrt(left_s) mean, marginal_s), x_t | x_s ~ N(sqrt(1 - beta) x_s, beta): Bayes' rule.
            precision = 1 / marginal_s + (1 - beta) / beta
            found = (left_s.sqrt() * mean / marginal_s + (1 - beta).sqrt() / beta * noisy) / precision
            return Gaussian(scale * found, (1 / precision).log().expand_as(noisy))

    return Exact(process, lambda x, t: x, clip=None)


def bound(denoiser, data, draws=400):
    terms = torch.zeros(len(data), denoiser.process.steps + 1, dtype=torch.float64)
    torch.manual_seed(0)
    for _ in range(draws):
        terms += bound_terms(denoiser, data, torch.randn_like, levels=None)
    return terms / draws


def test_the_bound_is_an_equality_for_the_exact_reverse_process():
    """For normal data the true reverse steps are normal: the bound's expectation is -log p(x_0)."""
    process = Process(betas("cosine", 30))
    normal = torch.distributions.Normal(torch.tensor(0.4).double(), torch.tensor(0.5).double())
    torch.manual_seed(1)
    data = normal.sample((2000, 1))
    exact = normal_data_denoiser(process, 0.4, 0.25)
    terms = bound(exact, data, draws=20)
    expected = -normal.log_prob(data).mean()
    assert terms.sum(dim=1).mean().item() == pytest.approx(expected.item(), abs=0.01)
    # Any other reverse process is worse, by more than the noise of the estimate.
    wrong = bound(normal_data_denoiser(process, 0.4, 0.25, scale=0.98), data, draws=20)
    assert wrong.sum(dim=1).mean() > terms.sum(dim=1).mean() + 0.05
    assert bool((terms[:, 1:-1].mean(dim=0) > -1e-9).all())  # KLs, in the mean of their draws too
    torch.testing.assert_close(terms[:, -1], prior_kl(process, data))


def test_the_bound_is_the_sum_of_kls_that_is_written_out():
    """One draw, term by term with torch.distributions and a loop over pixels."""
    process = Process(betas("linear", 50, first=0.001, last=0.2))
    denoiser = Denoiser(process, lambda x, t: 0.3 * x - 0.01 * t.double().reshape(-1, 1, 1, 1))
    levels = 17
    data = torch.randint(levels, (2, 1, 2, 2), generator=torch.Generator().manual_seed(0)).double() / 8 - 1
    noises = [drawn(2, 1, 2, 2, seed=step) for step in range(50)]
    served = iter(noises)
    terms = bound_terms(denoiser, data, lambda like: next(served), levels=levels)
    schedule = betas("linear", 50, first=0.001, last=0.2)
    normal = torch.distributions.Normal
    for example in range(2):
        for step in (0, 1, 20, 49):
            total = 0.0
            for row in range(2):
                for column in range(2):
                    left = torch.prod(1 - schedule[: step + 1])
                    before = torch.prod(1 - schedule[:step])
                    x0 = data[example, 0, row, column]
                    xt = left.sqrt() * x0 + (1 - left).sqrt() * noises[step][example, 0, row, column]
                    said = 0.3 * xt - 0.01 * step
                    guess = ((xt - (1 - left).sqrt() * said) / left.sqrt()).clamp(-1, 1)
                    beta = schedule[step]

                    def mean_of(x, xt=xt, left=left, before=before, beta=beta):
                        return (before.sqrt() * beta * x + (1 - beta).sqrt() * (1 - before) * xt) / (1 - left)

                    second = schedule[1] * schedule[0] / (1 - (1 - schedule[0]) * (1 - schedule[1]))
                    sigma = (second if step == 0 else beta * (1 - before) / (1 - left)).sqrt()
                    if step == 0:
                        ours = normal(mean_of(guess), sigma)
                        low = 0.0 if x0 == -1 else ours.cdf(x0 - 1 / 16)
                        high = 1.0 if x0 == 1 else ours.cdf(x0 + 1 / 16)
                        total -= math.log(max(float(high - low), 1e-12))
                    else:
                        pair = normal(mean_of(x0), sigma), normal(mean_of(guess), sigma)
                        total += float(torch.distributions.kl_divergence(*pair))
            assert terms[example, step].item() == pytest.approx(total / 4, rel=1e-8, abs=1e-10)
        left = torch.prod(1 - schedule)
        ends = normal(left.sqrt() * data[example], (1 - left).sqrt())
        prior = torch.distributions.kl_divergence(ends, normal(torch.zeros(1, 2, 2).double(), 1.0)).mean()
        assert terms[example, 50].item() == pytest.approx(prior.item(), rel=1e-9)
    served = iter(noises)
    bits = bits_per_dimension(denoiser, data, lambda like: next(served), levels=levels)
    torch.testing.assert_close(bits, terms.sum(dim=1) / math.log(2))


def test_the_bound_holds_for_levels():
    """Two equally likely levels: one bit, and no model's bound is below it."""
    process = Process(betas("cosine", 100))

    def exact(x, t):
        left = process.alpha_bar[t + 1].reshape(-1, 1)
        guess = torch.tanh(x * left.sqrt() / (1 - left))  # E[x_0 | x_t] of x_0 = +-1
        return (x - left.sqrt() * guess) / (1 - left).sqrt()

    data = torch.tensor([[1.0], [-1.0]]).double().repeat(500, 1)
    torch.manual_seed(0)
    bits = bits_per_dimension(Denoiser(process, exact), data, torch.randn_like, levels=2).mean().item()
    assert 1.0 < bits < 1.1
    worse = Denoiser(process, lambda x, t: torch.zeros_like(x))
    assert bits_per_dimension(worse, data, torch.randn_like, levels=2).mean().item() > 3 * bits


@pytest.mark.parametrize("at", [2, 7, 20, 99])
def test_the_bound_from_some_of_its_terms_has_the_same_mean(at):
    process = Process(betas("cosine", 100))
    denoiser = Denoiser(process, lambda x, t: 0.2 * x)
    data = torch.tensor([[0.5, -0.25, 1.0, 0.0]]).double().repeat(3000, 1)
    torch.manual_seed(0)
    whole = bits_per_dimension(denoiser, data[:500], torch.randn_like, levels=17)
    some = bits_per_dimension(denoiser, data, torch.randn_like, levels=17, at=at)
    error = some.std().item() / 3000**0.5 + whole.std().item() / 500**0.5
    assert abs(some.mean().item() - whole.mean().item()) < 4 * error
    assert some.std() > whole.std() or at == 99


def test_the_simple_loss_is_the_mean_square_of_each_example():
    first, second = drawn(3, 2, 4, 4, seed=1), drawn(3, 2, 4, 4, seed=2)
    expected = [torch.nn.functional.mse_loss(a, b).item() for a, b in zip(first, second, strict=True)]
    assert mean_square(first, second).tolist() == pytest.approx(expected)


def test_steps_by_their_losses():
    chooser = StepChooser(5, by_loss=True, kept=3)
    assert chooser.probabilities() is None  # before every step has its losses
    for _ in range(4):
        chooser.remember(torch.arange(5), torch.tensor([1.0, 2.0, 3.0, 4.0, 0.0]))
    expected = 0.999 * torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0]) + 0.001 / 5
    torch.testing.assert_close(chooser.probabilities().float(), expected)
    torch.manual_seed(0)
    t, weights = chooser.choose(20_000)
    torch.testing.assert_close(torch.bincount(t, minlength=5) / 20_000, expected, atol=0.01, rtol=0)
    # Unbiased: the mean of weight x loss is the mean loss over all steps, whatever the losses are now.
    losses = torch.tensor([1.0, 1.0, 1.0, 5.0, 0.0])
    assert (weights * losses[t]).mean().item() == pytest.approx(losses.mean().item(), rel=0.05)
    assert (losses[t]).mean().item() != pytest.approx(losses.mean().item(), rel=0.05)
    chooser.remember(torch.tensor([0]), torch.tensor([9.0]))
    assert chooser.losses[0].tolist() == [1.0, 1.0, 9.0]
    again = StepChooser(5, by_loss=True, kept=3)
    again.load_state_dict(chooser.state_dict())
    torch.testing.assert_close(again.probabilities(), chooser.probabilities())


def test_all_steps_alike():
    torch.manual_seed(0)
    t, weights = StepChooser(4).choose(10_000)
    assert weights.tolist() == [1.0] * 10_000
    torch.testing.assert_close(torch.bincount(t) / 10_000, torch.full((4,), 0.25), atol=0.02, rtol=0)
    assert not StepChooser(4).state_dict()
