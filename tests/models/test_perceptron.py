"""The perceptron against its closed form: logits, and the gradient of cross-entropy, x (p - y)."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.models import MODELS


@pytest.fixture
def inputs():
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("mutation", [None, "no bias", "mean of squares"])
def test_gradient_of_cross_entropy_is_prediction_less_target_times_input(loud, inputs, mutation):
    model = loud(MODELS["perceptron-small"].build({"inputs": 4, "classes": 3}))
    weight, bias = model.output.weight.detach(), model.output.bias.detach()
    targets = torch.tensor([0, 2, 1, 1, 0])
    torch.nn.functional.cross_entropy(model(inputs), targets).backward()

    scores = inputs @ weight.T + (0 if mutation == "no bias" else bias)
    share = torch.exp(scores) / torch.exp(scores).sum(dim=1, keepdim=True)
    error = (share - torch.eye(3, dtype=torch.float64)[targets]) / len(inputs)
    if mutation == "mean of squares":
        error = 2 * error * share * (1 - share)
    apart = max(
        (model.output.weight.grad - error.T @ inputs).abs().max(),
        (model.output.bias.grad - error.sum(0)).abs().max(),
    )
    assert apart < 1e-12 if mutation is None else apart > 1e-3


def test_starts_undecided():
    assert not MODELS["perceptron-small"].build()(torch.randn(2, 64)).any()


def test_has_no_dial_and_no_dropout():
    entry = MODELS["perceptron-small"]
    assert entry.dial is None
    assert entry.dropout_key() is None


def test_wrong_features_are_told():
    with pytest.raises(UsageError, match=r"the perceptron's input .*got shape \[2, 3\], expected \[batch, 64\]"):
        MODELS["perceptron-small"].build()(torch.zeros(2, 3))
