"""Gated PixelCNN: order of reading, no blind spot, probabilities that sum to one, a slow reference."""

from __future__ import annotations

import itertools

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.layers.noise import Noise
from sevenfold.layers.pixelcnn import PixelCNN


def loud_net(**settings):
    torch.manual_seed(0)
    net = PixelCNN(**{"symbols": 3, "side": 4, "width": 6, "layers": 3, "output": 24} | settings).double().eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            noise = torch.randn(weight.shape, generator=draw, dtype=torch.float64)
            weight.copy_((0.3 if name.endswith("bias") else 0.4) * noise + ("norm.weight" in name))
    return net


def pictures(num, side=4, symbols=3, seed=0):
    return torch.randint(symbols, (num, side, side), generator=torch.Generator().manual_seed(seed))


KINDS = {
    "plain": {"layers": 5},
    "wide kernel": {"kernel": 5, "layers": 3},
    "attention": {"attention_every": 2, "heads": 2, "layers": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pixel_knows_all_before_it_and_nothing_else(kind):
    """Each symbol changed: the logits of it and of what is before it stay, those of every pixel after it move."""
    net = loud_net(**KINDS[kind])
    symbols = pictures(4)
    with torch.no_grad():
        before = net(symbols).flatten(2)
        for pixel in range(16):
            changed = symbols.clone()
            changed.view(4, 16)[:, pixel] = (changed.view(4, 16)[:, pixel] + 1) % 3
            moved = (net(changed).flatten(2) - before).abs().amax((0, 1))
            assert (moved[: pixel + 1] == 0).all()
            assert (moved[pixel + 1 :] > 1e-9).all(), f"a blind spot behind pixel {pixel}"


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_all_pictures_sum_to_one(kind):
    net = loud_net(side=2, **KINDS[kind])
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).view(81, 2, 2)
    with torch.no_grad():
        assert abs(float(net.log_likelihood(every).exp().sum()) - 1) < 1e-12


def test_draws_come_as_often_as_their_probability():
    net = loud_net(side=2, symbols=2, attention_every=1)
    every = torch.tensor(list(itertools.product(range(2), repeat=4))).view(16, 2, 2)
    places = torch.tensor([8, 4, 2, 1])
    with torch.no_grad():
        drawn = net.sample(Noise(range(3000)))
        expected = net.log_likelihood(every).exp()
        cold = net.sample(Noise(range(300)), temperature=0.0)
    shares = torch.bincount((drawn.flatten(1) * places).sum(1), minlength=16) / 3000
    assert (shares - expected).abs().max() < 4 * 0.5 / 3000**0.5
    assert len(cold.unique(dim=0)) == 1, "without temperature it is greedy"


def reference(net, symbols, labels=None, context=None):
    """Pixel by pixel from the definition: masked sums over neighbours, one class and one context a layer."""
    weights = dict(net.named_parameters())
    num, side = len(symbols), net.side
    reach = net.layers[0].reach
    maps = weights["embedding.weight"][symbols]  # [B, H, W, D]
    vertical = horizontal = maps
    for n in range(len(net.layers)):
        own = 0 if n == 0 else 1
        down_kernel, right_kernel = weights[f"layers.{n}.down.weight"], weights[f"layers.{n}.right.weight"]
        down = weights[f"layers.{n}.down.bias"].expand(num, side, side, -1).clone()
        right = weights[f"layers.{n}.right.bias"].expand(num, side, side, -1).clone()
        for i, j in itertools.product(range(side), repeat=2):
            for di, dj in itertools.product(range(-reach, own), range(-reach, reach + 1)):
                if i + di >= 0 and 0 <= j + dj < side:
                    down[:, i, j] += vertical[:, i + di, j + dj] @ down_kernel[:, :, di + reach, dj + reach].T
            for dj in range(-reach, own):
                if j + dj >= 0:
                    right[:, i, j] += horizontal[:, i, j + dj] @ right_kernel[:, :, 0, dj + reach].T
        across = weights[f"layers.{n}.across.weight"][:, :, 0, 0]
        right = right + down @ across.T + weights[f"layers.{n}.across.bias"]
        if labels is not None:
            told = weights[f"layers.{n}.of_class.weight"][labels][:, None, None]
            down, right = down + told[..., :12], right + told[..., 12:]
        if context is not None:
            told = context.movedim(1, -1) @ weights[f"layers.{n}.of_context.weight"][:, :, 0, 0].T
            told = told + weights[f"layers.{n}.of_context.bias"]
            down, right = down + told[..., :12], right + told[..., 12:]
        vertical = down[..., :6].tanh() * down[..., 6:].sigmoid()
        out = (right[..., :6].tanh() * right[..., 6:].sigmoid()) @ weights[f"layers.{n}.out.weight"][:, :, 0, 0].T
        out = out + weights[f"layers.{n}.out.bias"]
        if n == 0:
            positions = weights["rows"] + weights["columns"]
            horizontal = out + positions.movedim(0, -1)
        else:
            horizontal = horizontal + out
    for at in (1, 3):
        horizontal = horizontal.relu() @ weights[f"output.{at}.weight"][:, :, 0, 0].T + weights[f"output.{at}.bias"]
    return horizontal.movedim(-1, 1)


@pytest.mark.parametrize("told", ["nothing", "class", "context"])
def test_logits_and_gradients_equal_the_slow_reference(told):
    net = loud_net(kernel=5, classes=4 if told == "class" else 0, context=2 if told == "context" else 0)
    symbols = pictures(2)
    given = {
        "nothing": {},
        "class": {"labels": torch.tensor([3, 1])},
        "context": {"context": torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(4)).double()},
    }[told]
    got, expected = net(symbols, **given), reference(net, symbols, **given)
    assert torch.allclose(got, expected, rtol=1e-11, atol=1e-11)
    pull = torch.randn(got.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    leaves = list(net.parameters())
    for a, b in zip(
        torch.autograd.grad((got * pull).sum(), leaves),
        torch.autograd.grad((expected * pull).sum(), leaves, allow_unused=True),
        strict=True,
    ):
        # The last layer's vertical stack goes nowhere but across; what is not used has no gradient in either.
        assert torch.allclose(a, torch.zeros_like(a) if b is None else b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    "name", ["layers.0.across.bias", "layers.1.down.bias", "layers.1.of_class.weight", "columns"]
)
def test_a_dropped_part_differs_from_the_reference(name):
    net = loud_net(kernel=5, classes=4)
    symbols, labels = pictures(2), torch.tensor([3, 1])
    with torch.no_grad():
        expected = reference(net, symbols, labels)
        net.get_parameter(name).zero_()
        assert (net(symbols, labels=labels) - expected).abs().max() > 1e-4


def test_the_rows_above_do_not_need_those_below():
    net = loud_net(**KINDS["attention"])
    symbols = pictures(2)
    with torch.no_grad():
        assert torch.allclose(net(symbols)[:, :, :2], net(symbols[:, :2]), rtol=1e-12)


def test_a_draw_depends_on_its_own_seed_and_class():
    net = loud_net(classes=4)
    labels = torch.tensor([0, 1, 2])
    with torch.no_grad():
        many = net.sample(Noise([1, 2, 3]), labels=labels)
        assert torch.equal(net.sample(Noise([2, 3]), labels=labels[1:]), many[1:])
        assert not torch.equal(net.sample(Noise([1, 2, 3]), labels=labels.flip(0)), many)


def test_what_does_not_fit_is_told():
    net = loud_net(classes=4)
    with pytest.raises(UsageError, match=r"PixelCNN cannot take this input: got shape \[1, 4, 5\]"):
        net(torch.zeros(1, 4, 5, dtype=torch.int64))
    with pytest.raises(UsageError, match="a class for each picture, or never: got no labels"):
        net(pictures(1))
    with pytest.raises(UsageError, match="PixelCNN's classes has no row for a token: got tokens from 4 to 4"):
        net(pictures(1), labels=torch.tensor([4]))
    with pytest.raises(UsageError, match="no such temperature: got -1"):
        net.sample(Noise([0]), labels=torch.tensor([0]), temperature=-1.0)
