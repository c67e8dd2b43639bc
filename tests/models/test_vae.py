"""The VAE: its closed forms, its bound against quadrature, and its linear case against probabilistic PCA."""

from __future__ import annotations

import math

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.models import MODELS
from sevenfold.models.generative.vae import VAE, VAESpec, divergence


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loud_vae(loud, **settings):
    defaults = {"image": 2, "channels": 1, "hidden": 6, "latent": 3, "output": "gaussian"}
    torch.manual_seed(0)
    return loud(VAE(VAESpec(**defaults | settings)))


def test_the_count_is_the_papers_layers_added_up():
    """784 pixels, 500 hidden units each way, J latents with a mean and a variance each (section 5, appendix C)."""
    for latent in (3, 20, 200):
        encoder = 784 * 500 + 500 + 2 * (500 * latent + latent)
        decoder = latent * 500 + 500 + 500 * 784 + 784
        count = sum(weight.numel() for weight in MODELS["vae"].build_meta({"latent": latent}).parameters())
        assert count == encoder + decoder
    assert encoder + decoder == 815_824 + 180 * 1_502


def test_divergence_equals_torch_distributions():
    mean, log_variance = 2 * draw(5, 4), 2 * draw(5, 4, seed=1)
    for leaf in (mean, log_variance):
        leaf.requires_grad_()
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, (log_variance / 2).exp()), normal(torch.zeros_like(mean), torch.ones_like(mean))
    ).sum(1)
    got = divergence(mean, log_variance)
    assert torch.allclose(got, expected, rtol=1e-12)
    pull = draw(5, seed=2)
    for a, b in zip(
        torch.autograd.grad((got * pull).sum(), (mean, log_variance)),
        torch.autograd.grad((expected * pull).sum(), (mean, log_variance)),
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-12)
    # What a slip would give: a deviation where a variance belongs, or no -1.
    assert not torch.allclose(divergence(mean, log_variance / 2), expected, rtol=1e-2)


@pytest.mark.parametrize("output", ["bernoulli", "gaussian", "logistic", "categorical"])
def test_loss_and_gradients_equal_the_papers_equations_written_out(loud, output):
    """Equation 10 with L = 1, by matrix products and torch.distributions; the same noise on both sides."""
    model = loud_vae(loud, output=output, levels=4)
    images = torch.randint(0, 4 if output != "bernoulli" else 2, (5, 1, 2, 2), generator=torch.Generator()).double()
    images = images / (3 if output != "bernoulli" else 1)
    weights = dict(model.named_parameters())

    def reference():
        x = images.flatten(1)
        code = torch.tanh(x @ weights["encoder.0.weight"].T + weights["encoder.0.bias"])
        mean = code @ weights["mean.weight"].T + weights["mean.bias"]
        log_variance = code @ weights["log_variance.weight"].T + weights["log_variance.bias"]
        posterior = torch.distributions.Normal(mean, torch.exp(log_variance).sqrt())
        z = mean + posterior.stddev * torch.randn_like(mean)
        code = torch.tanh(z @ weights["decoder.0.weight"].T + weights["decoder.0.bias"])
        maps = (code @ weights["pixels.weight"].T + weights["pixels.bias"]).reshape(5, -1, 4)
        prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
        kl = torch.distributions.kl_divergence(posterior, prior).sum(1)
        return (kl - likelihood(output, maps, x)) / 4

    torch.manual_seed(3)
    got = model(images)
    torch.manual_seed(3)
    expected = reference()
    assert torch.allclose(got, expected, rtol=1e-10)
    pull = draw(5, seed=4)
    for name, a, b in zip(
        weights,
        torch.autograd.grad((got * pull).sum(), weights.values()),
        torch.autograd.grad((expected * pull).sum(), weights.values()),
        strict=True,
    ):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-11), name
    with torch.no_grad():
        for name in ("mean.bias", "log_variance.bias", "decoder.0.bias", "pixels.bias", "encoder.0.bias"):
            kept = weights[name].clone()
            weights[name].zero_()
            torch.manual_seed(3)
            assert (model(images) - expected).abs().max() > 1e-4, f"dropping {name} is not seen"
            weights[name].copy_(kept)


def likelihood(output, maps, x):
    """log p(x | maps) [5] for maps [5, n, 4] and pixels [5, 4]."""
    if output == "bernoulli":
        return torch.distributions.Bernoulli(logits=maps[:, 0]).log_prob(x).sum(1)
    if output == "gaussian":
        return torch.distributions.Normal(maps[:, 0].sigmoid(), (maps[:, 1] / 2).exp()).log_prob(x).sum(1)
    if output == "categorical":
        return torch.distributions.Categorical(logits=maps.movedim(1, -1)).log_prob((3 * x).round()).sum(1)
    mean, scale = 0.5 + maps[:, 0], (maps[:, 1] - 1.5).exp()
    side = torch.where(x > mean, -1, 1)  # mirrored where the mass would be a difference of numbers close to 1
    up = torch.where(x > 0.9, side * torch.inf, side * (x + 1 / 6 - mean) / scale)
    down = torch.where(x < 0.1, -side * torch.inf, side * (x - 1 / 6 - mean) / scale)
    return (up.sigmoid() - down.sigmoid()).abs().log().sum(1)


def log_probability(model, images):
    """log p(x) [B] by quadrature over one latent: the trapezium rule over -9..9."""
    grid = torch.linspace(-9, 9, 6001, dtype=torch.float64)[:, None]
    prior = torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), 1.0).log_prob(grid[:, 0])
    maps = model.decode(grid)
    joint = [prior + model.output.log_likelihood(maps, one[None].expand(len(grid), -1, -1, -1)) for one in images]
    return torch.stack(joint).logsumexp(1) + math.log(18 / 6000)


def test_the_bound_is_below_log_p_and_importance_weighting_closes_the_gap(loud):
    model = loud_vae(loud, latent=1, output="bernoulli")
    images = torch.randint(0, 2, (3, 1, 2, 2), generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        exact = log_probability(model, images)
        torch.manual_seed(0)
        bound = model.bound(images.repeat(100_000, 1, 1, 1)).view(100_000, 3)
        few = model.importance_weighted_bound(images.repeat(20_000, 1, 1, 1), 5).view(20_000, 3)
        many = model.importance_weighted_bound(images.repeat(20, 1, 1, 1), 500).view(20, 3)
    noise = float(bound.std(0).max()) / 100_000**0.5 + float(few.std(0).max()) / 20_000**0.5
    assert (bound.mean(0) < exact - 4 * noise).all()
    assert (few.mean(0) < exact).all()
    assert few.mean() > bound.mean() + 4 * noise, "more draws, a tighter bound"
    assert torch.allclose(many.mean(0), exact, atol=0.02)


def test_probabilities_of_all_images_sum_to_one(loud):
    model = loud_vae(loud, latent=1, output="bernoulli")
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4).reshape(16, 1, 2, 2)
    with torch.no_grad():
        assert abs(float(log_probability(model, every).exp().sum()) - 1) < 1e-9


def expected_loss(model, images):
    """The exact expectation of the loss of a linear VAE: a quadratic function's mean is that at 2 J points."""
    mean, log_variance = model.encode(images)
    latent = mean.shape[1]
    points = torch.cat([torch.eye(latent), -torch.eye(latent)]).double() * latent**0.5
    terms = [
        model.output.log_likelihood(model.decode(mean + (log_variance / 2).exp() * point), images)
        for point in points
    ]
    return (divergence(mean, log_variance) - torch.stack(terms).mean(0)).mean()


def test_a_linear_vae_reaches_the_likelihood_of_probabilistic_pca():
    """Trained from scratch on 5 numbers with 2 causes, against the maximum that scikit-learn computes."""
    decomposition = pytest.importorskip("sklearn.decomposition")
    data = draw(300, 2) @ draw(2, 5, seed=1) + 0.5 * draw(300, 5, seed=2) + 0.3
    best = float(maximum_likelihood(data, 2))
    theirs = decomposition.PCA(n_components=2).fit(data.numpy()).score(data.numpy())
    # scikit-learn's covariance is divided by N - 1, so that it is just short of the maximum: by this much.
    assert abs(theirs - (best - 2.5 * (math.log(300 / 299) - 1 / 300))) < 1e-9
    torch.manual_seed(0)
    model = VAE(VAESpec(image=1, channels=5, hidden=0, latent=2, output="shared-gaussian")).double()
    images = data.reshape(300, 5, 1, 1)
    search = torch.optim.LBFGS(
        model.parameters(), lr=1, max_iter=200, history_size=30, line_search_fn="strong_wolfe"
    )

    def closure():
        search.zero_grad()
        loss = expected_loss(model, images)
        loss.backward()
        return loss

    search.step(closure)
    with torch.no_grad():
        reached = -float(expected_loss(model, images))
        # The bound is tight here: drawn at random it has the same mean.
        drawn = torch.stack([model.bound(images) for _ in range(300)])
    assert reached <= best + 1e-9
    assert reached > best - 1e-5
    assert abs(float(drawn.mean()) - best) < 5 * float(drawn.mean(1).std()) / 300**0.5 + 1e-3
    worse = float(maximum_likelihood(data, 1))
    assert reached > worse + 0.1, "one cause does not do"


def maximum_likelihood(data, causes):
    """The greatest mean log-likelihood of probabilistic PCA (Tipping & Bishop 1999, equations 4, 7 and 8)."""
    centred = data - data.mean(0)
    eigenvalues = torch.linalg.eigvalsh(centred.T @ centred / len(data)).flip(0)
    left = eigenvalues[causes:].mean()
    log_determinant = eigenvalues[:causes].log().sum() + (data.shape[1] - causes) * left.log()
    return -0.5 * (data.shape[1] * (math.log(2 * math.pi) + 1) + log_determinant)


def test_what_it_reconstructs_and_interpolates(loud):
    model = loud_vae(loud).eval()
    images = torch.rand(4, 1, 2, 2, dtype=torch.float64)
    with torch.no_grad():
        again = model.reconstruct(images)
        path = model.interpolate(images[0], images[1], 5, noise=Noise([0]))
    assert again.shape == images.shape
    assert path.shape == (5, 1, 2, 2)
    assert torch.allclose(path[[0, 4]], again[:2], rtol=1e-12)
    assert not torch.allclose(path[2], again[0], rtol=1e-3)


@pytest.mark.parametrize("shown", ["mean", "draw"])
def test_a_sample_depends_on_its_own_seed_alone(shown):
    torch.manual_seed(0)
    model = MODELS["vae-small"].build({"shown": shown}).eval()
    with torch.no_grad():
        few, many = (model.sample(n, noise=Noise(range(n))) for n in (2, 5))
        other = model.sample(2, noise=Noise([7, 8]))
    assert many.shape == (5, 1, 8, 8)
    assert torch.allclose(few, many[:2], atol=1e-6)
    assert not torch.allclose(few, other, atol=1e-3)
    assert ((many >= 0) & (many <= 1)).all()
    if shown == "draw":
        assert torch.allclose(many * 16, (many * 16).round(), atol=1e-5)


def test_what_it_cannot_do_is_told():
    model = MODELS["vae-small"].build({"output": "gaussian"})
    with pytest.raises(UsageError, match="sampling from the VAE has no guidance: got guidance 3"):
        model.sample(1, noise=Noise([0]), sampling=Sampling(guidance=3.0))
    with pytest.raises(UsageError, match="the VAE is told nothing"):
        model.sample(1, noise=Noise([0]), condition=torch.zeros(1, dtype=torch.int64))
    with pytest.raises(UsageError, match="this output is a density"):
        model.bits_per_dimension(torch.zeros(1, 1, 8, 8))
    with pytest.raises(
        UsageError, match=r"the encoder of the VAE cannot take this input: got shape \[1, 1, 9, 9\]"
    ):
        model(torch.zeros(1, 1, 9, 9))
