"""Loss and accuracy of a model on a split: evaluation mode, no gradients, in batches, the task's plain loss.

Evenly spaced examples are taken where the split has more than asked for, always the same ones. Where the loss
itself draws random numbers, they are always the same too, and training's are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sevenfold.data import Split, moved
from sevenfold.runs.recipe import Task
from sevenfold.training.objectives import TASKS
from sevenfold.training.steps import Forward


@dataclass(frozen=True)
class Score:
    """What a pass found; ``loss`` per what the task asks for, ``accuracy`` the share of right answers, if any."""

    loss: float
    accuracy: float | None
    examples: int


def evenly_spaced(size: int, at_most: int) -> np.ndarray:
    """Indices of at most ``at_most`` examples of ``size``, evenly spaced, ascending."""
    taken = min(size, at_most)
    return (np.arange(taken, dtype=np.int64) * size) // max(1, taken)


def evaluate(
    model: nn.Module,
    forward: Forward,
    split: Split,
    *,
    task: Task = "classification",
    at_most: int,
    batch_size: int,
    device: torch.device,
) -> Score:
    """Score ``model`` (called through ``forward``) on a split; the model is left in the mode it was in."""
    chosen = evenly_spaced(len(split), at_most)
    rule = TASKS[task]
    loss_sum = 0.0
    right = answers = asked = 0
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), _same_random_numbers(rule.random, device):
            for start in range(0, len(chosen), batch_size):
                inputs, targets = split.batch(chosen[start : start + batch_size])
                inputs, targets = moved(inputs, device), targets.to(device)
                outputs = forward(inputs)
                loss_sum += float(rule.summed(outputs, targets, 0.0))
                asked += int(rule.asked(targets))
                if rule.right is not None:
                    right += int(rule.right(outputs, targets))
                    answers += int(rule.answers(targets))
    finally:
        model.train(was_training)
    accuracy = None if rule.right is None else right / max(1, answers)
    return Score(loss_sum / max(1, asked), accuracy, len(chosen))


@contextmanager
def _same_random_numbers(wanted: bool, device: torch.device) -> Iterator[None]:
    if not wanted:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield
