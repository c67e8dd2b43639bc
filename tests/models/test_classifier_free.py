"""Classifier-free guidance: equation 6, the schedule and the variance by hand, and guidance where it is known."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers_oracles import diffusers
from encoder_oracles import relative

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.layers.diffusion import Denoiser, Process, betas, path, walk
from sevenfold.models import MODELS
from sevenfold.models.generative.classifier_free import tangent_betas


@pytest.fixture
def small():
    torch.manual_seed(0)
    module = MODELS["classifier-free-small"].build({"width": 8, "walked": 5})
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        module.average.after_update()
    return module


@pytest.mark.slow
def test_the_network_at_papers_size_has_the_count_of_diffusers():
    with torch.device("meta"):
        theirs = diffusers().UNet2DModel(
            sample_size=64, block_out_channels=(192, 384, 576, 768), layers_per_block=3, num_class_embeds=1001,
            down_block_types=("ResnetDownsampleBlock2D", *["AttnDownBlock2D"] * 3), downsample_type="resnet",
            up_block_types=(*["AttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"), upsample_type="resnet",
            resnet_time_scale_shift="scale_shift", attention_head_dim=64, attn_norm_num_groups=32,
        )  # fmt: skip
    assert sum(weight.numel() for weight in theirs.parameters()) == MODELS["classifier-free-64"].parameters


def test_the_schedule_is_the_papers():
    """alpha^2 = 1 / (1 + exp(-lambda)), lambda = -2 log tan(a u + b): arctan of its ends at u = 0 and 1."""
    left = torch.cumprod(1 - tangent_betas(1000, 20.0), 0)
    a, b = math.atan(math.exp(10)) - math.atan(math.exp(-10)), math.atan(math.exp(-10))
    for t in (0, 1, 499, 998, 999):
        ratio = -2 * math.log(math.tan(a * (t + 1) / 1000 + b))
        assert float(left[t]) == pytest.approx(1 / (1 + math.exp(-ratio)), rel=1e-9)
    assert torch.logit(left[-1]).item() == pytest.approx(-20, abs=1e-6)
    cosine = torch.cos(torch.arange(1, 1000) / 1000 * math.pi / 2).double() ** 2  # the limit of wide ends
    assert (left[:-1] - cosine).abs().max() < 1e-3


def test_the_variance_lies_at_its_share_between_the_bounds(small):
    small.eval().double()
    t, s = torch.tensor([40, 99, 10]), torch.tensor([30, 98, 9])
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    found = small.reverse_process(torch.tensor([1, 2, 3])).reverse(x, t, s).log_variance
    expected = small.process.posterior_variance(t, s) ** 0.7 * small.process.beta(t, s) ** 0.3
    assert torch.allclose(found.exp().mean((1, 2, 3)), expected, rtol=1e-9)


def test_guidance_is_equation_6(small):
    small.eval()
    x, t, labels = torch.randn(3, 1, 8, 8), torch.tensor([5, 50, 99]), torch.tensor([0, 4, 9])
    told, free = small.unet(x, 10 * t, labels), small.unet(x, 10 * t, torch.full((3,), 10))
    for w in (-1.0, 0.0, 0.5, 4.0):
        expected = (1 + w) * told - w * free
        assert relative(small.guided_noise(x, t, labels, 1 + w), expected) < 1e-5
    assert relative(small.guided_noise(x, t, labels, 3.0), told) > 1e-3


def test_a_tenth_of_the_classes_is_not_told_in_training_and_none_otherwise(small):
    seen = []
    small.unet.register_forward_pre_hook(lambda module, given: seen.append(given[2]))
    images, labels = torch.rand(64, 1, 8, 8), torch.arange(64) % 10
    torch.manual_seed(0)
    for _ in range(12):
        small(images, labels)
    told = torch.cat(seen)
    share = float((told == 10).float().mean())
    assert abs(share - 0.1) < 4 * math.sqrt(0.09 / len(told))
    assert torch.equal(told[told < 10], labels.repeat(12)[told < 10])
    seen.clear()
    small.eval()(images, labels)
    assert torch.equal(seen[0], labels)


def test_guidance_sharpens_a_known_mixture_as_it_says():
    """Two classes of normals: p(x_t) p(y | x_t)^(1 + w) has the score that equation 6 gives, at every step."""
    process = Process(betas("cosine", 100))
    means = torch.tensor([-1.0, 1.0], dtype=torch.float64)

    def logs(x, t):
        left = process.alpha_bar[t + 1].reshape(-1, 1)
        return torch.distributions.Normal(left.sqrt() * means, (0.25 * left + 1 - left).sqrt()).log_prob(x)

    def noise_of(log_density):
        def network(x, t):
            with torch.enable_grad():
                leaf = x.detach().requires_grad_(True)
                score = torch.autograd.grad(log_density(leaf, t).sum(), leaf)[0]
            return -(1 - process.alpha_bar[t + 1]).sqrt()[:, None] * score

        return network

    told, free = noise_of(lambda x, t: logs(x, t)[:, 1]), noise_of(lambda x, t: logs(x, t).logsumexp(1))
    x = torch.randn(300, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sharpened = {
        w: noise_of(lambda x, t, w=w: logs(x, t).logsumexp(1) + (1 + w) * logs(x, t).log_softmax(1)[:, 1])
        for w in (0.0, 3.0)
    }
    ends = {}
    for w, exact in sharpened.items():
        for t in (0, 60, 99):
            t_b = torch.full((300,), t)
            assert relative(free(x, t_b) + (1 + w) * (told(x, t_b) - free(x, t_b)), exact(x, t_b)) < 1e-9
        ends[w] = walk(Denoiser(process, exact, clip=None), x, path(100, 25), Noise(range(300)), eta=0.0)
    # Without guidance the class' own share of what the other class would claim; with it hardly any.
    wrong = {w: float((logs(end, torch.full((300,), 0)).argmax(1) == 0).double().mean()) for w, end in ends.items()}
    assert abs(wrong[0.0] - 0.0228) < 0.03
    assert wrong[3.0] == 0
    assert ends[3.0].mean() > ends[0.0].mean()


def test_samples_follow_seed_class_and_guidance_and_0_forgets_the_class(small):
    small.eval()

    def drawn(seeds, labels, **how):
        given = torch.tensor(labels)
        return small.sample(len(seeds), noise=Noise(seeds), condition=given, sampling=Sampling(**how))

    whole = drawn([3, 4, 5], [1, 2, 3])
    assert whole.shape == (3, 1, 8, 8)
    assert torch.allclose(drawn([4], [2]), whole[1:2], atol=1e-5)
    assert not torch.allclose(drawn([4], [7]), whole[1:2], atol=1e-3)
    assert torch.allclose(drawn([4], [2], guidance=0.0), drawn([4], [7], guidance=0.0), atol=1e-5)
    assert not torch.allclose(drawn([4], [2], guidance=1.0), drawn([4], [2], guidance=4.0), atol=1e-3)


def test_the_bound_is_that_of_the_unguided_model(small):
    small.eval()
    images, labels = torch.randint(17, (2, 1, 8, 8)) / 16, torch.tensor([3, 4])
    found = []
    for guidance in (1.0, 6.0):
        small.spec = small.spec.with_changes({"guidance": guidance})
        torch.manual_seed(0)
        found.append(small.bits_per_dimension(images, labels))
    assert torch.equal(*found)
    assert (found[0] > 0).all()


def test_wrong_settings_and_requests_are_one_line(small):
    small.eval()
    with pytest.raises(UsageError, match=r"has no temperature"):
        small.sample(1, noise=Noise([0]), condition=torch.tensor([1]), sampling=Sampling(temperature=0.5))
    with pytest.raises(UsageError, match=r"is told a class: got no condition"):
        small.sample(1, noise=Noise([0]))
    with pytest.raises(SpecError, match=r"walked does not fit: got 101"):
        MODELS["classifier-free-small"].spec({"walked": 101})
