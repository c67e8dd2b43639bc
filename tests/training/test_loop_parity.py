"""The loop gives, bit for bit, the losses of a loop written by hand; and no longer does when either has a fault."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sevenfold.data import load
from sevenfold.data.order import order
from sevenfold.models import MODELS
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run

Small = Callable[..., Recipe]


def by_hand(recipe: Recipe, *, fault: str = "") -> list[float]:
    """Training losses of a recipe by a loop that shares nothing with the engine but the data set and the order."""
    dataset = load(recipe.data, task=recipe.task, subset_seed=recipe.seed)
    data, entry = dataset.train, MODELS[recipe.model.name]
    torch.manual_seed(recipe.seed + (fault == "other initialization"))
    fitted = entry.settings_for(dataset.input_shape, dataset.num_outputs)
    model = entry.build({**fitted, **recipe.model.settings})
    model.train()
    chosen = recipe.optimizer
    optimizer: torch.optim.Optimizer
    if chosen.name == "adamw":
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=1.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=chosen.weight_decay, fused=True
        )
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), lr=1.0, momentum=0.9, weight_decay=chosen.weight_decay, fused=True
        )
    size, sequence = len(data), []
    for epoch in range(recipe.steps * recipe.batch_size // size + 1):
        wanted = 0 if fault == "one order for every epoch" else epoch
        sequence += order(recipe.seed, wanted, 0, size, size).tolist()
    warmup = round(recipe.schedule.warmup_fraction * recipe.steps)
    losses = []
    for step in range(recipe.steps):
        number = step + (fault == "rate of the next step")
        if number < warmup:
            share = (number + 1) / (warmup + 1)
        else:
            turn = math.pi * (number - warmup) / (recipe.steps - warmup)
            share = 0.1 + 0.9 * 0.5 * (1 + math.cos(turn))
        for group in optimizer.param_groups:
            group["lr"] = chosen.lr * share
        rows = sequence[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        logits, targets = model(data.inputs[rows]), data.targets[rows]
        loss = nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            targets.reshape(-1),
            label_smoothing=recipe.objective.label_smoothing,
        )
        loss.backward()  # type: ignore[no-untyped-call]
        if chosen.clip_norm is not None and fault != "no clipping":
            nn.utils.clip_grad_norm_(model.parameters(), chosen.clip_norm)
        optimizer.step()
        if fault != "gradients not cleared":
            optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def by_engine(recipe: Recipe, home: Path) -> list[float]:
    train_run(recipe)
    steps, losses = RunStore().metrics(recipe.run_id(), "train_loss")
    assert steps.tolist() == list(range(1, recipe.steps + 1))
    return losses.tolist()


CASES = {
    "adamw": {"steps": 60, "schedule__warmup_fraction": 0.2},  # 60 * 24 examples: past the border of an epoch
    "sgd": {"steps": 60, "optimizer__name": "sgd", "optimizer__lr": 0.05, "objective__label_smoothing": 0.1},
    "clipped hard": {"optimizer__clip_norm": 0.05},
    "a part of the data": {"data__fraction": 0.05, "batch_size": 100, "seed": 3},  # several epochs in a batch
    "language": {
        "task": "causal-lm",
        "model__name": "gpt2-nano",
        "model__settings": {},
        "data__name": "python-docs",
        "data__settings": {"context": 16},
        "batch_size": 4,
        "steps": 15,
        "evaluate_examples": 4,
    },
    "convolutions": {"model__name": "lecun1989-small", "model__settings": {}, "steps": 10},
}


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_a_loop_by_hand(small: Small, home: Path, case: str) -> None:
    recipe = small(**CASES[case])
    assert by_engine(recipe, home) == by_hand(recipe)


@pytest.mark.parametrize(
    "fault",
    [
        "gradients not cleared",
        "rate of the next step",
        "one order for every epoch",
        "no clipping",
        "other initialization",
    ],
)
def test_a_fault_in_the_loop_by_hand_shows(small: Small, home: Path, fault: str) -> None:
    recipe = small(steps=60, optimizer__clip_norm=0.05)
    assert by_engine(recipe, home) != by_hand(recipe, fault=fault)


def test_a_fault_in_the_engine_shows(small: Small, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small(steps=10)
    expected = by_hand(recipe)
    monkeypatch.setattr(torch.optim.AdamW, "zero_grad", lambda self, set_to_none=True: None)
    assert by_engine(recipe, home) != expected
