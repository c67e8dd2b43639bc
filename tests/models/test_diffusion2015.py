"""The diffusion of 2015 against a slow reference of the released code's network, and its bound in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.layers.diffusion import bound_terms
from sevenfold.models import MODELS

TINY = {
    "image": 4, "channels": 2, "levels": 5, "steps": 12, "bumps": 3, "maps": 3, "convolutions": 2, "scales": 2,
    "dense": 5, "dense_layers": 2, "dense_maps": 2, "upper": 4, "mean": 0.4, "deviation": 0.3,
}  # fmt: skip


def rectified(x):
    return torch.where(x > 0, x, 0.05 * x)


def slow_convolution(x, weight, bias):
    """Pixel by pixel, zeros around."""
    batch, _, side, _ = x.shape
    out = torch.zeros(batch, len(weight), side, side, dtype=x.dtype)
    for row in range(side):
        for column in range(side):
            total = bias.expand(batch, -1).clone()
            for i in range(3):
                for j in range(3):
                    if 0 <= row + i - 1 < side and 0 <= column + j - 1 < side:
                        total = total + x[:, :, row + i - 1, column + j - 1] @ weight[:, :, i, j].T
            out[:, :, row, column] = total
    return out


def slow_network(weights, x, *, mutation=None):
    """[B, C, S, S] -> [B, S, S, C, 2, J]."""
    batch, channels, side, _ = x.shape
    maps = x
    for layer in range(2):
        coarse = maps.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
        name = f"network.lower.{layer}.scales"
        found = slow_convolution(coarse, weights[f"{name}.1.weight"], weights[f"{name}.1.bias"])
        fine = slow_convolution(maps, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"])
        found = torch.stack([found[:, :, r // 2, c // 2] for r in range(side) for c in range(side)], dim=2)
        found = found.reshape(batch, -1, side, side)
        if mutation == "rectified at the end":
            maps = rectified(found + fine) / 2
        else:
            maps = (rectified(found) + rectified(fine)) / (1 if mutation == "scales summed" else 2)
    flat = x.reshape(batch, -1)
    if mutation == "colours last":
        flat = x.movedim(1, -1).reshape(batch, -1)
    for layer in (0, 2):
        flat = rectified(flat @ weights[f"network.dense.{layer}.weight"].T + weights[f"network.dense.{layer}.bias"])
    beside = flat.reshape(batch, side, side, 2)
    lower = maps.permute(0, 2, 3, 1)
    if mutation != "not scaled by their number":
        lower, beside = lower / math.sqrt(3), beside / math.sqrt(2)
    both = torch.cat([lower, beside], dim=3)
    both = rectified(both @ weights["network.upper.weight"].T + weights["network.upper.bias"])
    both = both @ weights["network.readout.weight"].T + weights["network.readout.bias"]
    return both.reshape(batch, side, side, channels, 2, 3)


def slow_back(weights, x, t, *, mutation=None):
    """Mean and variance of p(x_{t-1} | x_t), both in one tensor, by the released code's formulas in numpy."""
    times, centres = np.linspace(-1, 1, 12), np.linspace(-1, 1, 3)
    width = (centres[1] - centres[0]) / (1 if mutation == "wide bumps" else 2)
    curves = np.exp(-((times[:, None] - centres) ** 2) / (2 * width**2))
    curves = curves / curves.sum(axis=1, keepdims=True)
    least = np.full(12, 1e-6)
    least[0] += 0.001
    schedule = least + (1 - least - 1e-5) / np.linspace(12, 2, 12)
    read = slow_network(weights, x, mutation=mutation) @ torch.from_numpy(curves[t])
    mean, variance = read[..., 0].movedim(3, 1), read[..., 1].movedim(3, 1)
    beta = schedule[t]
    if mutation != "variance not scaled":
        variance = variance / math.sqrt(12)
    if t == 0 and mutation != "the last step learned":
        mean, variance = 0 * mean, 0 * variance
    moved = x * math.sqrt(1 - beta) + mean * math.sqrt(beta)
    return torch.stack([moved, torch.sigmoid(variance + math.log(beta / (1 - beta)))])


@pytest.fixture
def model(loud):
    return loud(MODELS["diffusion2015"].build(TINY))


def differences(model, difference, mutation=None, steps=(0, 1, 6, 11)):
    x = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    class Both:
        named_parameters = model.named_parameters

        def __call__(self, x):
            found = []
            for t in steps:
                t_b = torch.full((2,), t)
                back = model.reverse_process(None).reverse(x, t_b, t_b - 1)
                found.append(torch.stack([back.mean, back.log_variance.exp()]))
            return torch.stack(found)

    return difference(Both(), lambda w, x: torch.stack([slow_back(w, x, t, mutation=mutation) for t in steps]), x)


def test_outputs_and_gradients_equal_the_reference(model, difference):
    outputs, gradients = differences(model, difference)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize(
    "mutation",
    [
        "rectified at the end", "scales summed", "colours last", "not scaled by their number", "wide bumps",
        "variance not scaled", "the last step learned",
    ],
)  # fmt: skip
def test_a_mutated_reference_differs(model, difference, mutation):
    outputs, gradients = differences(model, difference, mutation)
    assert outputs > 1e-4
    assert gradients > 1e-4


def test_the_bound_is_an_equality_for_white_noise():
    """With nothing said by the network the way back is that of white noise: for such data, -log p(x_0) itself."""
    torch.manual_seed(0)
    model = MODELS["diffusion2015"].build(TINY).double()
    torch.nn.init.zeros_(model.network.readout.weight)
    data = torch.randn(4000, 2, 4, 4, dtype=torch.float64)
    terms = bound_terms(model.reverse_process(None), data, torch.randn_like, levels=None)
    entropy = 0.5 * math.log(2 * math.pi * math.e)  # of N(0, 1), in nats
    assert terms.sum(dim=1).mean().item() == pytest.approx(entropy, abs=0.01)
    other = bound_terms(model.reverse_process(None), 0.5 * data, torch.randn_like, levels=None)
    assert other.sum(dim=1).mean().item() > entropy + math.log(0.5) + 0.05


def test_the_loss_is_an_estimate_of_the_bound(model):
    """And bits per dimension the same bound, plus what a level's width is worth."""
    images = (torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 4).round().double() / 4
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 0.3
        torch.manual_seed(0)
        losses = model(images.expand(6000, -1, -1, -1))
        bits = model.bits_per_dimension(images.expand(1000, -1, -1, -1))
    width = 1 / 4 / 0.3
    error = losses.std() / 6000**0.5 + bits.std() * math.log(2) / 1000**0.5
    assert abs(losses.mean() / math.log(2) - math.log2(width) - bits.mean()) < 4 * error / math.log(2)


def test_the_size_of_the_released_network():
    parameters = 200 + 3 * 3_620 + 392_500 + 2 * 250_500 + 785_568 + 460 + 420
    assert parameters == 1_691_008
    model = MODELS["diffusion2015"].build_meta()
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert model.process.steps == 1000


def test_samples_are_pixels_and_follow_the_network():
    model = MODELS["diffusion2015"].build(TINY)
    torch.nn.init.zeros_(model.network.readout.weight)
    first = model.sample(200, noise=Noise(list(range(200))))
    assert first.shape == (200, 2, 4, 4)
    assert first.mean().item() == pytest.approx(0.4, abs=0.02)  # white noise of the data's mean, cut to 0..1
    torch.nn.init.constant_(model.network.readout.bias.data[:3], 2.0)
    moved = model.sample(200, noise=Noise(list(range(200))))
    assert moved[:, 0].mean() > 0.6
    assert moved[:, 1].mean().item() == pytest.approx(0.4, abs=0.02)
    kept = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    kept[..., 0] = True
    assert torch.equal(model.inpaint(first[:2], kept, noise=Noise([0, 1]))[..., 0], first[:2, :, :, 0])


def test_what_does_not_fit_is_told():
    model = MODELS["diffusion2015"].build(TINY)
    with pytest.raises(UsageError, match="sampling from the diffusion of 2015 has no steps: got steps 5"):
        model.sample(1, noise=Noise([0]), sampling=Sampling(steps=5))
    with pytest.raises(UsageError, match=r"the diffusion of 2015 cannot take this input: got shape \[1, 1, 4, 4\]"):
        model(torch.rand(1, 1, 4, 4))
    with pytest.raises(SpecError, match="4 pixels a side with scales=4, expected a multiple of 8"):
        MODELS["diffusion2015"].build(TINY | {"scales": 4})
