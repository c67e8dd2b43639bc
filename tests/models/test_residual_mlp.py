"""The residual network for features against its formula, in training (batch statistics) and in evaluation."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.models import MODELS

TINY = {"inputs": 6, "width": 4, "depth": 2, "classes": 3}


def by_formula(weights, inputs, *, mutation=None):
    def linear(x, name):
        return torch.einsum("bi,oi->bo", x, weights[f"{name}.weight"]) + weights[f"{name}.bias"]

    def norm(x, name):
        if mutation == "norm over features":
            mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
        else:
            mean = x.sum(0) / len(x)
            variance = ((x - mean) ** 2).sum(0) / (len(x) - (mutation == "unbiased variance"))
        return (x - mean) / (variance + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    relu = (lambda a: a) if mutation == "linear" else (lambda a: a.clamp(min=0))
    x = linear(inputs.reshape(len(inputs), -1), "input")
    for number in range(2):
        block = f"blocks.{number}"
        branch = linear(relu(linear(norm(x, f"{block}.norm"), f"{block}.expand")), f"{block}.projection")
        x = branch if mutation == "no residual" else x + branch
    return linear(relu(norm(x, "final_norm")), "output")


@pytest.fixture
def network(loud):
    return loud(MODELS["residual-mlp-small"].build(TINY)).train()


@pytest.fixture
def inputs():
    return torch.randn(7, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_outputs_and_gradients_equal_the_reference(network, difference, inputs):
    outputs, gradients = difference(network, by_formula, inputs)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize("mutation", ["norm over features", "unbiased variance", "linear", "no residual"])
def test_a_mutated_reference_differs(network, difference, inputs, mutation):
    outputs, gradients = difference(network, lambda w, x: by_formula(w, x, mutation=mutation), inputs)
    assert outputs > 1e-3
    assert gradients > 1e-3


def test_evaluation_uses_running_statistics_so_that_examples_do_not_mix(network, inputs):
    for _ in range(3):
        network(inputs)
    network.eval()
    assert torch.allclose(network(inputs)[:1], network(inputs[:1]), atol=1e-12)


def test_one_example_cannot_be_trained_on(network, inputs):
    with pytest.raises(UsageError, match="batch normalization cannot train on one example: got a batch of 1"):
        network(inputs[:1])
