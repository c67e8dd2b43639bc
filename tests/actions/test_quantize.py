"""Post-training quantization of finished runs: scores before and after, integer arithmetic, and the file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sevenfold
from sevenfold.checkpoints.integers import IntegerWeights
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import CheckpointError, UsageError
from sevenfold.training.quantizing import input_ranges, rounded_inputs, weight_axes
from sevenfold.training.trained import trained_workload


@pytest.fixture
def digits(home):
    return sevenfold.train("digits-mlp", {"steps": 150})


def moved_logits(run, found):
    """How far the logits of the test digits are from the trained model's, as a share of their size."""
    _, workload = trained_workload(run.id)
    inputs = workload.dataset.test.inputs
    with torch.no_grad():
        before = workload.model(inputs)
        workload.model.load_state_dict(IntegerWeights.read(Path(found.file)).state())
        return float((workload.model(inputs) - before).norm() / before.norm())


def test_eight_bits_cost_little_and_four_more(digits, home, capsys):
    eight = sevenfold.quantize(digits.id)
    assert eight.bytes_before == 4 * (64 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10)
    assert eight.bytes_after == (64 * 64 + 64 * 64 + 640) + 4 * (64 + 64 + 10) * 2
    assert eight.test_loss_before == pytest.approx(digits.summary["test_loss"], abs=1e-6)
    assert eight.test_accuracy_before == pytest.approx(digits.summary["test_accuracy"])
    assert eight.test_loss_after != eight.test_loss_before
    assert abs(eight.test_loss_after - eight.test_loss_before) < 0.02
    assert eight.layers_with_integer_inputs == 3
    only = sevenfold.quantize(digits.id, weights_only=True, out=home / "only.safetensors")
    assert only.layers_with_integer_inputs == 0
    assert only.test_loss_after != eight.test_loss_after
    four = sevenfold.quantize(digits.id, bits=4, group=16)
    coarse = sevenfold.quantize(digits.id, bits=4, group=64, out=home / "coarse.safetensors")
    assert coarse.bytes_after < four.bytes_after < eight.bytes_after
    away = [moved_logits(digits, found) for found in (only, four, coarse)]
    assert 0 < away[0] < away[1] < away[2] < 0.3
    again = sevenfold.quantize(digits.id, stored=only.file)
    assert (again.bits, again.test_loss_after) == (8, only.test_loss_after)
    assert run_guarded(["quantize", digits.id, "--bits", "4", "--group", "16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test_loss_after"] == four.test_loss_after
    assert run_guarded(["quantize", digits.id]) == 0
    shown = capsys.readouterr().out
    assert "3 tensors of 8 bits; 8-bit inputs in 3 layers" in shown.replace("\n", " ")


def test_the_sums_are_those_of_integer_arithmetic(digits):
    """The first layer by whole numbers: int32 sums of (q_x - z_x) q_w, times both scales."""
    path = sevenfold.quantize(digits.id).file
    from pathlib import Path

    weights = IntegerWeights.read(Path(path))
    _, workload = trained_workload(digits.id)
    name, layer = next((n, m) for n, m in workload.model.named_modules() if isinstance(m, nn.Linear))
    inputs = workload.dataset.test.inputs[:50]
    workload.model.load_state_dict(weights.state())
    given = []
    handle = layer.register_forward_hook(lambda module, inputs, output: given.append((inputs[0], output)))
    with torch.no_grad(), rounded_inputs(workload.model, weights.inputs):
        workload.model(inputs)
    handle.remove()
    scale, zero = weights.inputs[name]
    whole_inputs = (given[0][0] / scale).round().to(torch.int32) + zero
    assert int(whole_inputs.min()) >= 0
    assert int(whole_inputs.max()) <= 255
    whole_weights = weights.tensors[f"{name}.weight.int8"].to(torch.int32)
    sums = (whole_inputs - zero) @ whole_weights.T
    expected = sums.double() * scale * weights.tensors[f"{name}.weight.scale"].double() + layer.bias.double()
    assert torch.allclose(given[0][1].double(), expected, atol=1e-5)


def test_a_language_model_has_a_perplexity(home):
    run = sevenfold.train("python-docs-gpt", {"steps": 2, "evaluate_examples": 16})
    found = sevenfold.quantize(run.id, bits=4)
    assert found.perplexity_before == pytest.approx(math.exp(found.test_loss_before))
    assert found.perplexity_after == pytest.approx(math.exp(found.test_loss_after))
    assert found.test_accuracy_before is None
    assert found.bytes_after < 0.25 * found.bytes_before


def test_ranges_are_of_what_layers_are_given():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))

    class Three:
        def __len__(self):
            return 3

        def batch(self, indices):
            return torch.tensor([[0.0, 2.0], [-1.0, 0.5], [0.1, 0.2]])[torch.from_numpy(indices)], None

    ranges = input_ranges(model, Three())
    scale, zero = ranges["0"]
    assert scale == pytest.approx(3 / 255)
    assert zero == 85
    assert ranges["2"][1] == 0  # rectified: nothing below zero
    outside = torch.tensor([[5.0, -5.0]])
    with rounded_inputs(model, {"0": ranges["0"]}):
        hidden = model[0](outside)
    assert torch.allclose(hidden, F.linear(torch.tensor([[2.0, -1.0]]), model[0].weight, model[0].bias), atol=1e-6)
    assert torch.equal(model[0](outside), F.linear(outside, model[0].weight, model[0].bias))  # and only inside
    turned = nn.ConvTranspose2d(3, 5, 2)
    assert weight_axes(turned, turned.state_dict()) == {"weight": 0}
    inside = nn.Sequential(turned)
    assert weight_axes(inside, inside.state_dict()) == {"0.weight": 1}


def test_what_cannot_be_is_told(digits, home):
    for settings, told in (
        ({"bits": 3}, "no such number of bits: got bits 3, expected 8 or 4"),
        ({"group": 7}, "a group is an even number of weights"),
        ({"out": home / "w.bin"}, "a name that ends in .safetensors"),
    ):
        with pytest.raises(UsageError, match=told):
            sevenfold.quantize(digits.id, **settings)
    other = sevenfold.train("digits-mlp", {"steps": 2})
    file = sevenfold.quantize(digits.id).file
    with pytest.raises(CheckpointError, match="weights of another run"):
        sevenfold.quantize(other.id, stored=file)
