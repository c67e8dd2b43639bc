"""SimCLR: its loss against a loop over pairs, its encoder against our ResNet, and what is kept of it."""

from __future__ import annotations

import math

import pytest
import torch
from deep_parity import make_loud

from sevenfold.errors import SpecError, UsageError
from sevenfold.models import MODELS
from sevenfold.models.vision.simclr import contrastive_losses
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.training.workload import build_workload


def rows(seed, count=5, size=3):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_losses(first, second, temperature, mutation=None):
    """Equation 1, pair by pair, with Python's floats."""
    views, number = [*first.tolist(), *second.tolist()], len(first)

    def similar(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        lengths = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
        return (dot if mutation == "no normalization" else dot / lengths) / temperature

    def loss(i, j):
        others = [
            math.exp(similar(views[i], views[k]))
            for k in range(2 * number)
            if (k != i or mutation == "itself among the others") and (k != j or mutation != "no positive below")
        ]
        return math.log(sum(others)) - similar(views[i], views[j])

    pairs = [(i, i + number) for i in range(number)]
    return torch.tensor([(loss(i, j) + loss(j, i)) / 2 for i, j in pairs])


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_the_loss_is_equation_1(temperature):
    got = contrastive_losses(rows(0), rows(1), temperature=temperature)
    assert torch.allclose(got, slow_losses(rows(0), rows(1), temperature), rtol=1e-4)


@pytest.mark.parametrize("mutation", ["no normalization", "itself among the others", "no positive below"])
def test_a_mutated_loss_differs(mutation):
    got = contrastive_losses(rows(0), rows(1), temperature=0.5)
    assert (got - slow_losses(rows(0), rows(1), 0.5, mutation)).abs().max() > 1e-2


def test_closed_forms():
    """All views alike: every other view is as likely, log(2 B - 1). Pairs far from all others: nothing to lose."""
    alike = torch.ones(4, 3)
    assert torch.allclose(contrastive_losses(alike, alike, temperature=0.1), torch.tensor(math.log(7)))
    apart = torch.eye(4)
    assert contrastive_losses(apart, 5 * apart, temperature=0.02).max() < 1e-6
    losses = contrastive_losses(rows(0).requires_grad_(), rows(1), temperature=0.5)
    (gradient,) = torch.autograd.grad(losses.sum(), [leaf := rows(0).requires_grad_()], allow_unused=True)
    assert gradient is None
    losses = contrastive_losses(leaf, rows(1), temperature=0.5).sum()
    (gradient,) = torch.autograd.grad(losses, [leaf])
    assert gradient.any()
    # Only directions count: the gradient has no part along a row. (The loss is computed in float32.)
    assert (gradient * leaf).sum(1).abs().max() < 1e-5


@pytest.mark.parametrize(("block", "resnet"), [("basic", "resnet18"), ("bottleneck", "resnet50-v1.5")])
@pytest.mark.parametrize("training", [False, True])
def test_the_encoder_is_our_resnet(block, resnet, training):
    """Under its names too, so that a ResNet can begin with it; v1 where blocks are bottlenecks."""
    settings = {"blocks": "1-2-1", "width": 4, "image": 16}
    ours = make_loud(MODELS["simclr"].build({**settings, "block": block})).train(training)
    theirs = (
        MODELS[resnet].build({**settings, "block": block, "downsampling": "first-1x1"}).double().train(training)
    )
    weights = ours.encoder.state_dict()
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert (missing, unexpected) == (["output.weight", "output.bias"], [])
    pixels = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    seen = []
    theirs.output.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    theirs(pixels)
    assert torch.allclose(ours.encoder(pixels), seen[0], rtol=1e-10)
    swapped = {name: weight.flip(0) if "convolution2" in name else weight for name, weight in weights.items()}
    theirs.load_state_dict(swapped, strict=False)
    theirs(pixels)
    assert (ours.encoder(pixels) - seen[1]).abs().max() > 1e-6


def test_the_projection_and_the_whole_pass_by_hand(monkeypatch):
    import sevenfold.models.vision.simclr as landmark

    shown = iter([0.0, 1.0])
    monkeypatch.setattr(landmark, "view", lambda pixels, **settings: pixels + next(shown))
    model = make_loud(MODELS["simclr-small"].build()).train()
    pixels = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    got = model(pixels)
    h = model.encoder(torch.cat([pixels, pixels + 1]))
    z = (h @ model.hidden.weight.T).clamp(min=0) @ model.projection.weight.T
    assert torch.allclose(got, slow_losses(z[:4].detach(), z[4:].detach(), 0.5).to(got.dtype), rtol=1e-4)
    kept = model.eval().represent(pixels)
    assert torch.equal(kept, model.encoder(pixels))
    assert kept.shape == (4, model.spec.features)


def test_counts_by_formula():
    encoder = 25_557_032 - 2048 * 1000 - 1000  # ResNet-50 as published, without its last layer
    network = MODELS["simclr"].build_meta()
    assert sum(weight.numel() for weight in network.encoder.parameters()) == encoder
    assert sum(weight.numel() for weight in network.parameters()) == encoder + 2048 * 2048 + 2048 * 128


def test_what_does_not_fit_is_told():
    with pytest.raises(SpecError, match="channels do not fit: got 2, expected 1"):
        MODELS["simclr"].spec({"channels": 2})
    with pytest.raises(UsageError, match="encoder of SimCLR cannot take this input: got shape"):
        MODELS["simclr-small"].build()(torch.zeros(2, 1, 9, 9))
    with pytest.raises(UsageError, match="two views of every picture"):
        contrastive_losses(torch.zeros(2, 3), torch.zeros(3, 3), temperature=0.5)
    recipe = Recipe(
        name="r", task="contrastive", model=ModelChoice(name="simclr-small"), data=DataChoice(name="digits"),
        batch_size=8, accumulate=2,
    )  # fmt: skip
    with pytest.raises(UsageError, match="over a whole batch, which micro-batches would change"):
        build_workload(recipe)
