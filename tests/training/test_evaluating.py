"""Evaluation: the plain mean over the same examples, whatever the batch, the mode and the dropout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sevenfold.data import Split
from sevenfold.training.evaluating import evaluate, evenly_spaced

CPU = torch.device("cpu")


class Held(Split):
    """Inputs and targets in memory."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.held = (inputs, targets)

    def __len__(self) -> int:
        return len(self.held[0])

    def batch(self, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        return self.held[0][indices], self.held[1][indices]

    def take(self, indices: np.ndarray) -> Held:
        return Held(*self.batch(indices))

    def to(self, device: torch.device | str) -> Held:
        return self


@given(size=st.integers(1, 500), at_most=st.integers(1, 500))
def test_evenly_spaced_examples_are_distinct_and_span_the_split(size: int, at_most: int) -> None:
    chosen = evenly_spaced(size, at_most)
    assert len(chosen) == min(size, at_most)
    assert chosen[0] == 0
    assert (np.diff(chosen) >= 1).all()
    assert chosen[-1] < size
    assert size - chosen[-1] <= -(-size // len(chosen))
    if len(chosen) > 1:
        assert np.ptp(np.diff(chosen)) <= 1


def held(count: int = 23) -> Held:
    generator = torch.Generator().manual_seed(0)
    return Held(torch.randn(count, 5, generator=generator), torch.randint(3, (count,), generator=generator))


def test_loss_and_accuracy_by_hand_for_every_batch_size() -> None:
    torch.manual_seed(0)
    model, split = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5)), held()
    model.eval()
    logits = model(split.held[0])
    expected = nn.functional.cross_entropy(logits, split.held[1]).item()
    right = (logits.argmax(1) == split.held[1]).double().mean().item()
    model.train()
    for batch_size in (1, 4, 23, 100):
        score = evaluate(model, model, split, at_most=100, batch_size=batch_size, device=CPU)
        assert score.loss == pytest.approx(expected, rel=1e-6)
        assert score.accuracy == pytest.approx(right)
        assert score.examples == 23
    assert model.training


def test_tokens_count_one_by_one() -> None:
    logits_table = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    model = nn.Embedding.from_pretrained(logits_table)
    tokens = torch.tensor([[0, 1, 2], [3, 0, 0]])
    score = evaluate(model, model, Held(tokens, tokens), at_most=2, batch_size=1, device=CPU)
    expected = nn.functional.cross_entropy(logits_table[tokens.flatten()], tokens.flatten()).item()
    assert score.loss == pytest.approx(expected, rel=1e-6)


def test_nothing_is_learned_and_no_random_number_is_drawn() -> None:
    model = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    evaluate(model, model, held(), at_most=100, batch_size=4, device=CPU)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
