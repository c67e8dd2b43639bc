"""CycleGAN: both networks against a slow reference, its losses, its pool, and what it refuses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from adversarial_reference import compared, draw, enlarge
from slow_layers import convolve

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.models import MODELS
from sevenfold.models.generative.cyclegan import Pool

TINY = {
    "image": 16,
    "channels": 2,
    "width": 2,
    "halvings": 2,
    "blocks": 1,
    "judge_halvings": 2,
    "kernel": 7,
    "pool": 3,
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS["cyclegan-digits"].build(TINY)


def instance_norm(x):
    """Each map of each image by its own mean and biased variance."""
    rows = []
    for image in x:
        maps = [(one - one.mean()) / (((one - one.mean()) ** 2).mean() + 1e-5) ** 0.5 for one in image]
        rows.append(torch.stack(maps))
    return torch.stack(rows)


def mirrored(x, border):
    """Rows and columns beyond the edge are those before it, the edge itself not repeated."""
    side = x.shape[-1]
    places = [abs(place) if place < side else 2 * (side - 1) - place for place in range(-border, side + border)]
    return x[:, :, places][:, :, :, places]


def conv(weights, name, x, **how):
    return convolve(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how)


def slow_translator(weights, images, mutation=None):
    def normed(x):
        return x if mutation == "no norm" else instance_norm(x)

    def positive(x):
        return x * (x > 0)

    def bordered(x, border):
        return F.pad(x, (border,) * 4) if mutation == "zeros beyond the edge" else mirrored(x, border)

    x = positive(normed(conv(weights, "0", bordered(images, 3))))
    for name in ("3", "6"):
        x = positive(normed(conv(weights, name, x, stride=2, padding=1)))
    inner = positive(normed(conv(weights, "9.layers.0", bordered(x, 1))))
    inner = normed(conv(weights, "9.layers.3", bordered(inner, 1)))
    x = inner if mutation == "no shortcut" else x + inner
    x = positive(x) if mutation == "relu after the sum" else x
    for name in ("10", "13"):
        up = enlarge(x, weights[f"{name}.weight"], stride=2, padding=1)
        # The release adds one row and one column at the end: the filters reach one place further there.
        full = enlarge(F.pad(x, (0, 1, 0, 1)), weights[f"{name}.weight"], stride=2, padding=1)
        up = full[:, :, : up.shape[2] + 1, : up.shape[3] + 1]
        x = positive(normed(up + weights[f"{name}.bias"][:, None, None]))
    return conv(weights, "16", bordered(x, 3)).tanh()


def slow_judge(weights, images, mutation=None):
    def leaky(x):
        return torch.where(x > 0, x, 0.2 * x)

    x = conv(weights, "0", images, stride=2, padding=1)
    x = leaky(instance_norm(x) if mutation == "norm at the input" else x)
    x = leaky(instance_norm(conv(weights, "2", x, stride=2, padding=1)))
    stride = 2 if mutation == "a third halving" else 1
    x = leaky(instance_norm(conv(weights, "5", x, stride=stride, padding=1)))
    x = conv(weights, "8", x, padding=1 if stride == 1 else 2)
    return x[:, :, :1, :1] if stride == 2 else x


def test_both_networks_equal_the_reference(model, loud):
    assert max(compared(loud, model.to_target, slow_translator, draw(2, 2, 16, 16))) < 1e-9
    assert max(compared(loud, model.target_judge, slow_judge, draw(2, 2, 16, 16))) < 1e-9


@pytest.mark.parametrize("mutation", ["no norm", "zeros beyond the edge", "no shortcut", "relu after the sum"])
def test_a_mutated_translator_differs(model, loud, mutation):
    def mutated(weights, images):
        return slow_translator(weights, images, mutation)

    assert min(compared(loud, model.to_target, mutated, draw(2, 2, 16, 16))) > 1e-3


def test_a_mutated_judge_differs(model, loud):
    def mutated(weights, images):
        return slow_judge(weights, images, "norm at the input")

    assert min(compared(loud, model.target_judge, mutated, draw(2, 2, 16, 16))) > 1e-3


def test_counts_and_the_map_of_judgements():
    model = MODELS["cyclegan"].build_meta()
    for network in (model.to_target, model.to_source):
        assert sum(weight.numel() for weight in network.parameters()) == 11_378_179
    for network in (model.target_judge, model.source_judge):
        assert sum(weight.numel() for weight in network.parameters()) == 2_764_737
    images = torch.empty(1, 3, 256, 256, device="meta")
    assert model.target_judge(images).shape == (1, 1, 30, 30)
    assert model.spec.judged == 30
    assert model.to_target(images).shape == images.shape


def test_a_judgement_is_of_70_pixels():
    """The receptive field of one output, from kernels and strides: 4 and 2, three times; 4 and 1, twice."""
    judge = MODELS["cyclegan"].build_meta().target_judge
    seen = 1
    for layer in reversed([layer for layer in judge if isinstance(layer, torch.nn.Conv2d)]):
        seen = (seen - 1) * layer.stride[0] + layer.kernel_size[0]
    assert seen == 70


def test_the_losses(model):
    model.eval()
    targets, sources = torch.rand(3, 2, 16, 16), torch.rand(3, 2, 16, 16)
    y, x = 2 * targets - 1, 2 * sources - 1
    got = model(targets, sources)
    made_y, made_x = model.to_target(x), model.to_source(y)
    expected = []
    for index in range(3):
        fooled = ((model.target_judge(made_y)[index] - 1) ** 2).mean() + (
            (model.source_judge(made_x)[index] - 1) ** 2
        ).mean()
        back = (model.to_source(made_y)[index] - x[index]).abs().mean()
        back = back + (model.to_target(made_x)[index] - y[index]).abs().mean()
        expected.append(fooled + 10 * back)
    torch.testing.assert_close(got, torch.stack(expected))
    torch.testing.assert_close(model.generator_loss(targets, sources), got.mean())
    empty = MODELS["cyclegan-digits"].build({**TINY, "pool": 0})
    empty.load_state_dict({k: v for k, v in model.state_dict().items() if "pool" not in k} | {
        k: v for k, v in empty.state_dict().items() if "pool" in k})  # fmt: skip
    judged = ((empty.target_judge(y) - 1) ** 2).mean() + (empty.target_judge(made_y) ** 2).mean()
    judged = judged + ((empty.source_judge(x) - 1) ** 2).mean() + (empty.source_judge(made_x) ** 2).mean()
    torch.testing.assert_close(empty.discriminator_loss(targets, sources), judged / 2)


def test_identity_is_weighed_in_lambdas():
    torch.manual_seed(0)
    without = MODELS["cyclegan-digits"].build(TINY).eval()
    torch.manual_seed(0)
    with_it = MODELS["cyclegan-digits"].build({**TINY, "identity": 0.5}).eval()
    targets, sources = torch.rand(2, 2, 16, 16), torch.rand(2, 2, 16, 16)
    y, x = 2 * targets - 1, 2 * sources - 1
    kept = (without.to_target(y) - y).abs().mean((1, 2, 3)) + (without.to_source(x) - x).abs().mean((1, 2, 3))
    torch.testing.assert_close(with_it(targets, sources) - without(targets, sources), 5 * kept)


def test_no_gradient_of_the_discriminators_loss_reaches_the_generators(model):
    loss = model.discriminator_loss(torch.rand(2, 2, 16, 16), torch.rand(2, 2, 16, 16))
    generators, _ = model.players()
    found = torch.autograd.grad(loss, generators.parameters, allow_unused=True)
    assert all(gradient is None for gradient in found)


def test_the_pool_fills_and_then_exchanges():
    torch.manual_seed(0)
    pool = Pool(4, (1, 1, 1))
    images = torch.arange(1.0, 5).reshape(4, 1, 1, 1)
    assert torch.equal(pool(images), images)
    assert sorted(pool.kept.flatten().tolist()) == [1, 2, 3, 4]
    given, shown = [], []
    for start in range(5, 405, 4):
        later = torch.arange(start, start + 4.0).reshape(4, 1, 1, 1)
        got = pool(later)
        given += got.flatten().tolist()
        shown += later.flatten().tolist()
    exchanged = sum(a != b for a, b in zip(given, shown, strict=True))
    assert 160 < exchanged < 240  # of 400, with one half probability
    # Nothing is lost or doubled: all that went in came out once or is kept.
    everything = sorted([*given, *pool.kept.flatten().tolist()])
    assert everything == sorted([1.0, 2.0, 3.0, 4.0, *shown])


def test_it_translates_and_does_not_sample_from_nothing(model):
    model.eval()
    sources = torch.rand(3, 2, 16, 16)
    noise = Noise([0, 1, 2])
    made = model.sample(3, noise=noise, condition=sources)
    torch.testing.assert_close(made, model.translate(sources, strength=0.3, noise=noise))
    torch.testing.assert_close(made, (model.to_target(2 * sources - 1) + 1) / 2)
    back = (model.to_source(2 * made - 1) + 1) / 2
    torch.testing.assert_close(model.reconstruct(sources), back)
    with pytest.raises(UsageError, match="CycleGAN translates images: got none"):
        model.sample(3, noise=noise)
    with pytest.raises(UsageError, match="sampling from CycleGAN has no steps"):
        model.sample(3, noise=noise, condition=sources, sampling=Sampling(steps=5))
    with pytest.raises(UsageError, match="the source side of CycleGAN cannot take this input"):
        model(sources, torch.rand(3, 1, 16, 16))


@pytest.mark.parametrize("settings", [{"image": 18}, {"image": 8, "halvings": 3}, {"kernel": 4},
                                      {"image": 8, "judge_halvings": 3, "halvings": 1, "kernel": 3}])  # fmt: skip
def test_sides_that_do_not_fit_are_told(settings):
    with pytest.raises(SpecError, match="image does not fit"):
        MODELS["cyclegan"].spec(settings)
