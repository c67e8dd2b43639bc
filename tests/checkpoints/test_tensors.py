"""Model and optimizer state survive the way through named tensors, and what does not fit is named."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from sevenfold.checkpoints import model_tensors, optimizer_tensors, restore_model, restore_optimizer
from sevenfold.checkpoints.tensors import from_bytes, to_bytes
from sevenfold.errors import CheckpointError


class Tied(nn.Module):
    """An embedding tied to the output, a batch norm with buffers, a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.norm = nn.BatchNorm1d(6)
        self.output = nn.Linear(6, 11, bias=False)
        self.output.weight = self.embedding.weight
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

    def forward(self, tokens_b: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.norm(self.embedding(tokens_b)))
        return logits


OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "adamw fused": lambda p: torch.optim.AdamW(p, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, foreach=False),
    "sgd with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
}


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> list[float]:
    losses = []
    for step in range(first, last):
        tokens = (torch.arange(8) * (step + 3)) % 11
        loss = nn.functional.cross_entropy(model(tokens), (tokens + 1) % 11)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def trained(kind: str) -> tuple[Tied, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Tied()
    return model, OPTIMIZERS[kind]([p for p in model.parameters() if p.requires_grad])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_goes_on_bit_for_bit(kind: str) -> None:
    model, optimizer = trained(kind)
    train(model, optimizer, 0, 5)
    weights = from_bytes(to_bytes(model_tensors(model)), "test")
    state = from_bytes(to_bytes(optimizer_tensors(model, optimizer)), "test")
    expected = train(model, optimizer, 5, 9)
    again, its_optimizer = trained(kind)
    restore_model(again, weights)
    restore_optimizer(again, its_optimizer, state)
    assert train(again, its_optimizer, 5, 9) == expected


def test_without_the_optimizers_state_it_does_not_go_on() -> None:
    model, optimizer = trained("adamw fused")
    train(model, optimizer, 0, 5)
    weights = copy.deepcopy(model_tensors(model))
    expected = train(model, optimizer, 5, 9)
    again, its_optimizer = trained("adamw fused")
    restore_model(again, weights)
    assert train(again, its_optimizer, 5, 9) != expected


def test_shared_tensors_are_stored_once() -> None:
    model, _ = trained("sgd")
    content = to_bytes(model_tensors(model))
    loaded = from_bytes(content, "test")
    assert loaded.keys() == model.state_dict().keys()
    assert torch.equal(loaded["output.weight"], model.embedding.weight)
    assert len(content) < 11 * 6 * 4 * 2 + 1000  # not twice the embedding


def test_views_of_one_storage_that_differ_are_stored_both() -> None:
    base = torch.arange(12.0)
    loaded = from_bytes(to_bytes({"all": base, "part": base[3:7], "turned": base.view(3, 4).t()}), "test")
    assert torch.equal(loaded["part"], base[3:7])
    assert torch.equal(loaded["turned"], base.view(3, 4).t())


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda t: t.pop("norm.bias"), ["'norm.bias'", "missing"]),
        (lambda t: t.update(extra=torch.ones(1)), ["'extra'"]),
        (lambda t: t.update({"norm.bias": torch.ones(7)}), ["'norm.bias'", "[7]", "[6]"]),
        (lambda t: t.update({"norm.bias": torch.ones(6, dtype=torch.float64)}), ["float64", "float32"]),
    ],
)
def test_a_model_tensor_that_does_not_fit_is_named(
    change: Callable[[dict[str, torch.Tensor]], object], names: list[str]
) -> None:
    model, _ = trained("sgd")
    tensors = {name: tensor.clone() for name, tensor in model_tensors(model).items()}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors)
    with pytest.raises(CheckpointError) as caught:
        restore_model(model, tensors, source="step-00000001")
    assert all(name in str(caught.value) for name in [*names, "step-00000001"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_an_optimizer_tensor_that_does_not_fit_is_named() -> None:
    model, optimizer = trained("adamw fused")
    train(model, optimizer, 0, 1)
    tensors = optimizer_tensors(model, optimizer)
    with pytest.raises(CheckpointError, match=r"norm\.bias/exp_avg"):
        restore_optimizer(model, optimizer, tensors | {"norm.bias/exp_avg": torch.ones(2)})
    with pytest.raises(CheckpointError, match="other/exp_avg"):
        restore_optimizer(model, optimizer, tensors | {"other/exp_avg": torch.ones(6)})


def test_no_safetensors_is_an_error_that_names_the_source() -> None:
    with pytest.raises(CheckpointError, match="the-file"):
        from_bytes(b"not a header at all", "the-file")
