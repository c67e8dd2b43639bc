"""FixMatch: its loss against a loop over pictures, its network against a slow reference, and who has a gradient."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from deep_parity import make_loud
from slow_pictures import differences, slow_batch_norm, slow_convolution

from sevenfold.counting import trace
from sevenfold.data import load
from sevenfold.errors import SpecError, UsageError
from sevenfold.models import MODELS
from sevenfold.models.vision.fixmatch import consistency_loss
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.training.workload import build_workload

TINY = {"depth": 10, "width": 1, "image": 8, "channels": 1, "classes": 3, "mirrored": False}


def logits(seed, rows=6, classes=4, scale=4.0):
    return scale * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_consistency(weak, strong, threshold, mutation=None):
    """Equation 4, picture by picture."""
    total, counted = 0.0, 0
    for q_logits, p_logits in zip(weak.tolist(), strong.tolist(), strict=True):
        q = [math.exp(v) / sum(map(math.exp, q_logits)) for v in q_logits]
        if max(q) < threshold:
            continue
        counted += 1
        guess = q.index(max(q)) if mutation != "guess of the strong" else p_logits.index(max(p_logits))
        total += math.log(sum(map(math.exp, p_logits))) - p_logits[guess]
    return total / (counted if mutation == "mean over the confident" else len(weak))


def test_the_loss_is_the_papers():
    weak, strong = logits(0), logits(1)
    confidence = weak.softmax(-1).amax(-1)
    assert 0 < (confidence >= 0.9).sum() < len(weak)  # some are masked, some are not
    got = consistency_loss(weak, strong, 0.9).item()
    assert got == pytest.approx(slow_consistency(weak, strong, 0.9), rel=1e-6)
    for mutation in ("guess of the strong", "mean over the confident"):
        assert abs(got - slow_consistency(weak, strong, 0.9, mutation)) > 1e-2, mutation


def test_no_gradient_where_the_mask_is_nor_to_the_guesses():
    weak, strong = logits(0).requires_grad_(), logits(1).requires_grad_()
    kept = (weak.softmax(-1).amax(-1) >= 0.9).detach()
    consistency_loss(weak, strong, 0.9).backward()
    assert weak.grad is None
    assert not strong.grad[~kept].any()
    expected = (strong.softmax(-1) - F.one_hot(weak.argmax(-1), 4))[kept] / len(weak)
    assert torch.allclose(strong.grad[kept], expected.detach(), atol=1e-7)


def test_nothing_is_learned_from_pictures_that_no_guess_is_sure_of():
    torch.manual_seed(0)
    model = MODELS["fixmatch-small"].build({**TINY, "threshold": 1.0})
    model(torch.rand(4, 1, 8, 8), torch.rand(4, 2, 1, 8, 8))
    model.auxiliary_loss().backward()
    assert not any(weight.grad is not None and weight.grad.any() for weight in model.parameters())
    sure = MODELS["fixmatch-small"].build({**TINY, "threshold": 0.0})
    sure(torch.rand(4, 1, 8, 8), torch.rand(4, 2, 1, 8, 8))
    sure.auxiliary_loss().backward()
    assert all(weight.grad.any() for weight in sure.parameters())


def test_labelled_weak_and_strong_pass_as_one_batch(monkeypatch):
    """The whole forward pass, with augmentations that change nothing: by hand."""
    import sevenfold.models.vision.fixmatch as landmark

    monkeypatch.setattr(landmark, "weak", lambda images, *, mirrored: images)
    monkeypatch.setattr(landmark, "strong", lambda images: 1 - images)
    model = make_loud(MODELS["fixmatch-small"].build({**TINY, "threshold": 0.5, "unlabelled_weight": 0.7})).train()
    pixels, beside = torch.rand(2, 1, 8, 8, dtype=torch.float64), torch.rand(2, 3, 1, 8, 8, dtype=torch.float64)
    flat = torch.stack([beside[b, m] for b in range(2) for m in range(3)])
    together = model.network(torch.cat([pixels, flat, 1 - flat]))
    got = model(pixels, beside)
    assert torch.allclose(got, together[:2])
    expected = 0.7 * slow_consistency(together[2:8].detach(), together[8:].detach(), 0.5)
    assert model.auxiliary_loss().item() == pytest.approx(expected, rel=1e-5)
    assert expected > 0
    model(pixels)
    assert model.auxiliary_loss().item() == 0.0


def slow_network(tensors, pixels, *, training, mutation=None):
    """One block a group, after the wide ResNet's authors, with rectifiers that leak."""
    slope = 0.0 if mutation == "no leak" else 0.1

    def active(x, name):
        return F.leaky_relu(slow_batch_norm(x, tensors, name, training=training), slope)

    x = slow_convolution(pixels, tensors["stem.weight"])
    for group in range(3):
        name, stride = f"groups.{group}.0", 1 if group == 0 else 2
        pre = active(x, f"{name}.norm1")
        branch = slow_convolution(pre, tensors[f"{name}.convolution1.weight"], stride=stride)
        branch = slow_convolution(active(branch, f"{name}.norm2"), tensors[f"{name}.convolution2.weight"])
        if group > 0:
            source = x if mutation == "projection of the raw input" else pre
            x = slow_convolution(source, tensors[f"{name}.projection.weight"], stride=stride)
        x = branch + x
    return active(x, "final_norm").mean(dim=(2, 3)) @ tensors["output.weight"].T + tensors["output.bias"]


@pytest.mark.parametrize("training", [False, True])
def test_the_network_equals_the_reference(training):
    network = make_loud(MODELS["fixmatch-small"].build(TINY)).network
    pixels = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert max(differences(network, slow_network, pixels, training=training)) < 1e-10
    for mutation in ("no leak", "projection of the raw input"):

        def mutated(tensors, x, *, training, mutation=mutation):
            return slow_network(tensors, x, training=training, mutation=mutation)

        assert min(differences(network, mutated, pixels, training=training)) > 1e-6


def test_evaluation_uses_the_average_and_training_the_weights():
    model = make_loud(MODELS["fixmatch-small"].build(TINY))
    pixels = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    own = model.network.eval()(pixels)
    averaged = model.eval()(pixels)
    assert (own - averaged).abs().max() > 1e-3  # loud weights, another average
    for name, weight in model.network.named_parameters():
        model.average.get_buffer("average_" + name.replace(".", "__")).copy_(weight.detach())
    assert torch.allclose(model(pixels), own)


def test_counts():
    entry = MODELS["fixmatch"]
    network = entry.build_meta().eval()
    assert sum(weight.numel() for weight in network.parameters()) == 1_467_610
    assert trace(network, entry.example()).macs == 214_353_152  # of the wide ResNet of that size, by formula there


def test_what_does_not_fit_is_told():
    with pytest.raises(SpecError, match="channels do not fit: got 2, expected 1"):
        MODELS["fixmatch"].spec({"channels": 2})
    with pytest.raises(UsageError, match=r"stem of FixMatch .*got shape \[2, 1, 9, 9\]"):
        MODELS["fixmatch"].build_meta(TINY)(torch.zeros(2, 1, 9, 9, device="meta"))
    data = DataChoice(name="digits", settings={"labels": 40, "unlabelled": 7})
    with pytest.raises(UsageError, match="mlp-small learns nothing from examples without labels: got unlabelled=7"):
        build_workload(Recipe(name="r", task="classification", model=ModelChoice(name="mlp-small"), data=data))
    with pytest.raises(UsageError, match="a guess for every distorted picture"):
        consistency_loss(torch.zeros(2, 3), torch.zeros(3, 3), 0.9)
    assert load(data, task="classification").unlabelled == 7
