"""StyleGAN: both networks against a slow reference, also while growing; styles, noise, truncation, the average."""

from __future__ import annotations

import math

import pytest
import torch
from adversarial_reference import against, draw
from slow_layers import convolve, pool

from sevenfold.errors import SpecError
from sevenfold.layers import Noise, Sampling
from sevenfold.layers.equalized import AdaptiveInstanceNorm, EqualizedLinear, with_deviation
from sevenfold.models import MODELS

TINY = {"image": 16, "channels": 2, "latent": 5, "width": 6, "mapping": 2, "mapping_rate": 0.01, "growth": 100}
FADES = [1.0, 1.3, 2.0]  # levels: 8x8; 8x8 with 16x16 fading in; 16x16


@pytest.fixture
def model():
    """Loud, though not as loud as usual: weights are scaled up by the gain as they are used."""
    torch.manual_seed(0)
    model = MODELS["stylegan-digits"].build(TINY).double().eval()
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            scale = 50.0 if "mapping" in name else 1.0  # which are used at a hundredth
            weight.copy_(scale * 0.7 * torch.randn(weight.shape, generator=draws, dtype=torch.float64))
    return model


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def double(x):
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def halve(x):
    return pool(x, 2, 2, kind="mean")


def blur(x):
    """The three places of a row and of a column, weighed 1, 2, 1, zeros beyond the edge."""
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    rows = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 16


def linear(weights, name, x, *, gain=2**0.5, rate=1.0):
    weight = weights[f"{name}.weight"]
    return x @ (weight * gain * rate / math.sqrt(weight.shape[1])).T + weights[f"{name}.bias"] * rate


def conv(weights, name, x, *, gain=2**0.5, bias=True):
    weight = weights[f"{name}.weight"]
    scaled = weight * gain / math.sqrt(weight[0].numel())
    return convolve(x, scaled, weights[f"{name}.bias"] if bias else None, padding=weight.shape[-1] // 2)


def slow_adain(x, style):
    maps = []
    for index in range(x.shape[1]):
        own = x[:, index]
        mean = own.mean((1, 2), keepdim=True)
        deviation = (((own - mean) ** 2).mean((1, 2), keepdim=True) + 1e-8) ** 0.5
        scale, shift = style[:, index], style[:, x.shape[1] + index]
        maps.append((own - mean) / deviation * (1 + scale)[:, None, None] + shift[:, None, None])
    return torch.stack(maps, dim=1)


def slow_generator(weights, latents, noises, *, level, mutation=None):
    w = latents / ((latents**2).mean(1, keepdim=True) + 1e-8) ** 0.5
    for number in range(2):
        w = leaky(linear(weights, f"mapping.layers.{number}", w, rate=1.0 if mutation == "full rate" else 0.01))
    top, share = math.ceil(level), level - math.floor(level)
    x, noises = weights["constant"].expand(len(latents), -1, -1, -1), iter(noises)
    images = []
    for number in range(2 * top + 2):
        name = f"layers.{number}"
        if number:
            up = number % 2 == 0
            x = conv(weights, f"{name}.convolution", double(x) if up else x, bias=False)
            x = blur(x) if up and mutation != "no blur" else x
        noise, strength = next(noises), weights[f"{name}.noise_strength"][:, None, None]
        x = x + (strength if mutation == "noise not drawn" else noise * strength)
        x = leaky(x + weights[f"{name}.bias"][:, None, None])
        style = linear(weights, f"{name}.norm.style", w, gain=1.0)
        x = x * (1 + style[:, : x.shape[1], None, None]) if mutation == "no norm" else slow_adain(x, style)
        if number % 2:
            images.append(
                conv(weights, f"to_rgb.{number // 2}", x, gain=1.0)
                if f"to_rgb.{number // 2}.bias" in weights
                else None
            )
    if not share:
        return images[top]
    return share * images[top] + (1 - share) * double(images[top - 1])


def slow_discriminator(weights, images, *, level, mutation=None):
    def from_rgb(at, x):
        return leaky(conv(weights, f"from_rgb.{at}", x))

    top, share = math.ceil(level), level - math.floor(level)
    x = from_rgb(top, images)
    for at in range(top, 0, -1):
        name = f"levels.{at - 1}"
        x = leaky(conv(weights, f"{name}.first", x))
        x = halve(conv(weights, f"{name}.second", x if mutation == "no blur" else blur(x), bias=False))
        x = leaky(x + weights[f"{name}.bias"][:, None, None])
        if at == top and share:
            x = share * x + (1 - share) * from_rgb(at - 1, halve(images))
    # Groups of 4: image i stands with i + B/4, i + 2 B/4 and i + 3 B/4.
    deviations = []
    for index in range(len(x)):
        apart = len(x) // 4
        group = torch.stack([x[index % apart + step * apart] for step in range(4)])
        deviations.append((((group - group.mean(0)) ** 2).mean(0) + 1e-8).sqrt().mean())
    extra = torch.stack(deviations)[:, None, None, None].expand(-1, 1, 4, 4)
    x = torch.cat([x, torch.zeros_like(extra) if mutation == "no deviation" else extra], dim=1)
    x = leaky(conv(weights, "convolution", x))
    x = leaky(linear(weights, "hidden", x.reshape(len(x), -1)))
    return linear(weights, "logit", x, gain=math.sqrt(2) if mutation == "gain at the end" else 1.0)[:, 0]


class Called:
    """The generator as it is called with latents and given noise."""

    def __init__(self, generator, noises, level):
        self.generator, self.noises, self.level = generator, noises, level

    def named_parameters(self):
        top = math.ceil(self.level)
        unused = [f"layers.{n}." for n in range(2 * top + 2, 6)]
        unused += [f"to_rgb.{at}." for at in range(3) if at != top and not (at == top - 1 and self.level % 1)]
        return [(n, w) for n, w in self.generator.named_parameters() if not n.startswith(tuple(unused))]

    def named_buffers(self):
        return []

    def __call__(self, latents):
        noises = iter(self.noises)
        styles = self.generator.truncated_styles(latents, 1.0)
        return self.generator.synthesize(styles, lambda side: next(noises), self.level)


def generator_differences(model, level, mutation=None):
    sides = [4, 4, 8, 8, 16, 16][: 2 * math.ceil(level) + 2]
    noises = [draw(4, 1, side, side, seed=10 + number) for number, side in enumerate(sides)]
    return against(
        Called(model.generator, noises, level),
        lambda weights, z: slow_generator(weights, z, noises, level=level, mutation=mutation),
        draw(4, 5),
    )


def judge_differences(model, level, mutation=None):
    top = math.ceil(level)
    judge = model.discriminator
    names = [f"levels.{at}." for at in range(top, 2)]
    names += [f"from_rgb.{at}." for at in range(3) if at != top and not (at == top - 1 and level % 1)]

    class Judge:
        def named_parameters(self):
            return [(n, w) for n, w in judge.named_parameters() if not n.startswith(tuple(names))]

        def named_buffers(self):
            return []

        def __call__(self, images):
            return judge(images, level)

    side = 4 << top
    return against(
        Judge(),
        lambda weights, x: slow_discriminator(weights, x, level=level, mutation=mutation),
        draw(8, 2, side, side),
    )


@pytest.mark.parametrize("level", FADES)
def test_both_networks_equal_the_reference(model, level):
    assert max(generator_differences(model, level)) < 1e-10
    assert max(judge_differences(model, level)) < 1e-10


@pytest.mark.parametrize("mutation", ["full rate", "no blur", "noise not drawn", "no norm"])
def test_a_mutated_generator_differs(model, mutation):
    assert min(generator_differences(model, 1.3, mutation)) > 1e-3


@pytest.mark.parametrize("mutation", ["no blur", "no deviation", "gain at the end"])
def test_a_mutated_discriminator_differs(model, mutation):
    assert min(judge_differences(model, 1.3, mutation)) > 1e-4


def test_counts_at_1024():
    model = MODELS["stylegan"].build_meta()

    def count(module):
        return sum(weight.numel() for weight in module.parameters())

    assert count(model.generator.mapping) == 2_101_248
    assert count(model.generator) == 2_101_248 + 24_118_379 == 26_219_627
    assert count(model.discriminator) == 23_087_249
    assert len(model.generator.layers) == 18
    assert [model.spec.maps(level) for level in range(9)] == [512, 512, 512, 512, 256, 128, 64, 32, 16]


def test_adain_gives_the_styles_mean_and_deviation_and_is_the_identity_for_the_contents_own():
    norm = AdaptiveInstanceNorm(3, 2)
    x = 4 * torch.randn(2, 3, 6, 6) + 1
    w = torch.randn(2, 2)
    scale, shift = norm.style(w).chunk(2, dim=1)
    out = norm(x, w)
    torch.testing.assert_close(out.mean((2, 3)), shift, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.flatten(2).std(2, unbiased=False), (1 + scale).abs(), rtol=1e-4, atol=1e-5)
    one = x[:1]
    with torch.no_grad():
        norm.style.weight.zero_()
        norm.style.bias.copy_(torch.cat([one[0].flatten(1).std(1, unbiased=False) - 1, one[0].mean((1, 2))]))
    torch.testing.assert_close(norm(one, w[:1]), one, rtol=1e-4, atol=1e-5)


def test_equalized_layers_start_at_unit_variance_and_step_alike():
    torch.manual_seed(0)
    for inputs in (8, 512):
        layer = EqualizedLinear(inputs, 400)
        assert float(layer.weight.detach().std()) == pytest.approx(1, abs=0.05)
        assert float(layer(torch.randn(200, inputs)).detach().std()) == pytest.approx(math.sqrt(2), abs=0.1)
    slow = EqualizedLinear(64, 400, rate=0.01)
    assert float(slow.weight.detach().std()) == pytest.approx(100, rel=0.05)
    assert float(slow(torch.randn(200, 64)).detach().std()) == pytest.approx(math.sqrt(2), abs=0.1)


def test_the_deviation_sees_a_batch_of_equals():
    alike = with_deviation(torch.randn(1, 2, 4, 4).expand(4, -1, -1, -1))
    assert alike.shape == (4, 3, 4, 4)
    assert float(alike[:, 2].max()) < 1e-3
    assert float(with_deviation(torch.randn(4, 2, 4, 4))[:, 2].min()) > 0.3
    assert with_deviation(torch.randn(6, 2, 4, 4)).shape == (6, 3, 4, 4)  # groups of 3


def test_growth_follows_the_images_shown():
    model = MODELS["stylegan-digits"].build(TINY)
    seen = []
    for shown in (0, 99, 100, 130, 199, 200, 250, 10_000):
        model.shown.fill_(shown)
        seen.append(model.level())
    assert seen == pytest.approx([1, 1, 1, 1.3, 1.99, 2, 2, 2])
    model.shown.fill_(0)
    model.train()
    model.discriminator_loss(torch.rand(8, 2, 16, 16))
    assert int(model.shown) == 8
    paper = MODELS["stylegan"].build_meta()
    assert paper.level() == 8


def test_real_images_fade_as_samples_do():
    model = MODELS["stylegan-digits"].build(TINY)
    pixels = torch.rand(2, 2, 16, 16)
    torch.testing.assert_close(model.real_images(pixels, 2.0), 2 * pixels - 1)
    torch.testing.assert_close(model.real_images(pixels, 1.0), halve(2 * pixels - 1))
    mixed = 0.3 * (2 * pixels - 1) + 0.7 * double(halve(2 * pixels - 1))
    torch.testing.assert_close(model.real_images(pixels, 1.3), mixed)


def test_mixed_styles_come_from_two_codes(model):
    generator = model.generator
    first, second = draw(2, 5), draw(2, 5, seed=4)
    styles = generator.training_styles(first, second, 3)
    expected = [generator.mapping(first)] * 3 + [generator.mapping(second)] * 3
    torch.testing.assert_close(styles, torch.stack(expected, dim=1))
    assert torch.equal(generator.training_styles(first, second, None)[:, 5], generator.mapping(first))


def test_truncation_draws_styles_to_their_mean():
    torch.manual_seed(0)
    model = MODELS["stylegan-digits"].build({"image": 64, "width": 32})
    generator = model.generator
    generator.mapping.mean.copy_(torch.randn(32))
    latents = torch.randn(3, 32)
    w = generator.mapping(latents)
    styles = generator.truncated_styles(latents, 0.25)
    near = generator.mapping.mean + 0.25 * (w - generator.mapping.mean)
    assert styles.shape == (3, 10, 32)
    torch.testing.assert_close(styles[:, :8], near[:, None].expand(-1, 8, -1))
    torch.testing.assert_close(styles[:, 8:], w[:, None].expand(-1, 2, -1))
    torch.testing.assert_close(generator.truncated_styles(latents, 1.0), w[:, None].expand(-1, 10, -1))
    gone = generator.truncated_styles(latents, 0.0)
    torch.testing.assert_close(gone[0, :8], gone[1, :8])
    assert not torch.allclose(gone[0, 8:], gone[1, 8:])
    asked = [model.eval().sample(2, noise=Noise([1, 2]), sampling=Sampling(temperature=psi)) for psi in (0.0, 1.0)]
    assert not torch.allclose(*asked)


def test_the_mean_style_is_learned_in_training_alone():
    model = MODELS["stylegan-digits"].build()
    images = torch.rand(4, 1, 8, 8)
    model.eval()(images)
    assert not model.generator.mapping.mean.any()
    model.train()(images)
    assert model.generator.mapping.mean.any()


def test_samples_are_the_averages_and_depend_on_their_seed_alone():
    torch.manual_seed(0)
    model = MODELS["stylegan-digits"].build().eval()
    many, one = model.sample(3, noise=Noise([5, 6, 7])), model.sample(1, noise=Noise([6]))
    torch.testing.assert_close(many[1], one[0], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        for weight in model.generator.parameters():
            weight.add_(torch.randn_like(weight))
    moved = model.generator.constant.detach().clone()
    torch.testing.assert_close(model.sample(3, noise=Noise([5, 6, 7])), many)
    assert torch.equal(model.generator.constant, moved)
    model.average.after_update()
    assert not torch.allclose(model.sample(3, noise=Noise([5, 6, 7])), many)


def test_noise_changes_what_its_strength_lets_through():
    torch.manual_seed(0)
    model = MODELS["stylegan-digits"].build().eval()
    styles = model.generator.truncated_styles(torch.randn(1, 32), 1.0)

    def image(seed):
        draws = torch.Generator().manual_seed(seed)
        return model.generator.synthesize(styles, lambda side: torch.randn(1, 1, side, side, generator=draws), 1.0)

    assert torch.equal(image(0), image(1))  # strengths start at zero
    with torch.no_grad():
        for layer in model.generator.layers:
            layer.noise_strength.fill_(0.5)
    assert not torch.allclose(image(0), image(1))


def test_a_side_that_is_no_power_of_two_is_told():
    with pytest.raises(SpecError, match="got 100, expected 8, 16, 32"):
        MODELS["stylegan"].spec({"image": 100})
