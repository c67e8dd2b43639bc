"""The multilayer perceptron against finite differences and a loop over units, and a mutation table."""

from __future__ import annotations

import math

import pytest
import torch

from sevenfold.errors import SpecError, UnknownNameError, UsageError
from sevenfold.models import MODELS

TINY = {"inputs": 6, "width": 5, "depth": 2, "classes": 3}


def unit_by_unit(weights, inputs, *, activation, mutation=None):
    squash = {
        "relu": lambda a: a * (a > 0),
        "tanh": lambda a: (torch.exp(2 * a) - 1) / (torch.exp(2 * a) + 1),
        "scaled-tanh": lambda a: 1.7159 * (torch.exp(4 / 3 * a) - 1) / (torch.exp(4 / 3 * a) + 1),
    }[activation]

    def layer(x, name):
        units = [(x * row).sum(dim=1) for row in weights[f"{name}.weight"]]
        out = torch.stack(units, dim=1)
        return out if mutation == "no biases" else out + weights[f"{name}.bias"]

    x = inputs.reshape(len(inputs), -1)
    for number in range(1 if mutation == "one layer less" else 2):
        x = layer(x, f"hidden.{number}")
        if mutation != "linear":
            x = squash(x)
    out = layer(x, "output")
    return squash(out) if mutation == "squashed outputs" else out


@pytest.fixture
def inputs():
    return torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("activation", ["relu", "tanh", "scaled-tanh"])
def test_outputs_and_gradients_equal_the_reference(loud, difference, inputs, activation):
    module = loud(MODELS["mlp-small"].build({**TINY, "activation": activation}))
    outputs, gradients = difference(module, lambda w, x: unit_by_unit(w, x, activation=activation), inputs)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize("mutation", ["no biases", "linear", "squashed outputs", "tanh for relu"])
def test_a_mutated_reference_differs(loud, difference, inputs, mutation):
    module = loud(MODELS["mlp-small"].build(TINY))
    activation = "tanh" if mutation == "tanh for relu" else "relu"
    outputs, gradients = difference(
        module, lambda w, x: unit_by_unit(w, x, activation=activation, mutation=mutation), inputs
    )
    assert outputs > 1e-3
    assert gradients > 1e-3


def test_back_propagation_equals_finite_differences(loud, inputs):
    module = loud(MODELS["mlp-small"].build({**TINY, "activation": "tanh"}))
    assert torch.autograd.gradcheck(module, inputs.requires_grad_())


def test_two_hidden_units_learn_exclusive_or():
    """What a perceptron cannot do, and the reason for hidden units (Rumelhart et al. 1986)."""
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([0, 1, 1, 0])
    right = {}
    for name, settings in {
        "mlp-small": {"inputs": 2, "width": 8, "depth": 1, "classes": 2, "activation": "tanh"},
        "perceptron-small": {"inputs": 2, "classes": 2},
    }.items():
        model = MODELS[name].build(settings)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        right[name] = int((model(x).argmax(dim=1) == y).sum())
    assert right["mlp-small"] == 4
    assert right["perceptron-small"] < 4


def test_paper_size():
    assert MODELS["mlp"].parameters == 784 * 300 + 300 + 300 * 10 + 10 == 238_510


def test_what_does_not_fit_is_told():
    model = MODELS["mlp-small"].build(TINY)
    with pytest.raises(UsageError, match=r"perceptron's input .*got shape \[2, 7\], expected \[batch, 6\]"):
        model(torch.zeros(2, 7))
    with pytest.raises(UsageError, match=r"got shape \[6\]"):
        model(torch.zeros(6))
    with pytest.raises(UnknownNameError, match=r"got 'widht'.*try width"):
        MODELS["mlp-small"].spec({"widht": 3})
    with pytest.raises(SpecError, match="width does not fit: got 0"):
        MODELS["mlp-small"].spec({"width": 0})
    with pytest.raises(SpecError, match="'tanh', 'scaled-tanh' or 'relu'"):
        MODELS["mlp-small"].spec({"activation": "gelu"})


def test_texts_are_read_as_the_settings_type():
    spec = MODELS["mlp-small"].spec({"width": "32", "dropout": "0.5"})
    assert (spec.width, spec.dropout) == (32, 0.5)
    assert math.isclose(MODELS["mlp-small"].build({"dropout": "5e-1"}).dropout.p, 0.5)
