"""Loss and accuracy of a model on a split: evaluation mode, no gradients, in batches, plain cross-entropy.

Evenly spaced examples are taken where the split has more than asked for, always the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sevenfold.data import Split
from sevenfold.training.objectives import summed_loss
from sevenfold.training.steps import Forward


@dataclass(frozen=True)
class Score:
    """What a pass found; ``loss`` in nats per example or token, ``accuracy`` the share of right arg-maxes."""

    loss: float
    accuracy: float
    examples: int


def evenly_spaced(size: int, at_most: int) -> np.ndarray:
    """Indices of at most ``at_most`` examples of ``size``, evenly spaced, ascending."""
    taken = min(size, at_most)
    return (np.arange(taken, dtype=np.int64) * size) // max(1, taken)


def evaluate(
    model: nn.Module, forward: Forward, split: Split, *, at_most: int, batch_size: int, device: torch.device
) -> Score:
    """Score ``model`` (called through ``forward``) on a split; the model is left in the mode it was in."""
    chosen = evenly_spaced(len(split), at_most)
    loss_sum = 0.0
    right = count = 0
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for start in range(0, len(chosen), batch_size):
                inputs, targets = split.batch(chosen[start : start + batch_size])
                inputs, targets = inputs.to(device), targets.to(device)
                logits = forward(inputs)
                loss_sum += float(summed_loss(logits, targets))
                right += int((logits.argmax(-1) == targets).sum())
                count += targets.numel()
    finally:
        model.train(was_training)
    return Score(loss_sum / max(1, count), right / max(1, count), len(chosen))
