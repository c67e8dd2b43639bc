"""What is minimized: cross-entropy in nats, per example or per token, in float32 whatever the model computes in.

Legend: B examples, T tokens, C classes or vocabulary. Classification: logits_bc, targets_b. Causal language
modelling: logits_btc, targets_bt (already shifted by the data set).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from sevenfold.runs.recipe import Objective

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_function(objective: Objective) -> Loss:
    """The training loss (logits, targets) -> mean in nats; label smoothing only here, never in evaluation."""
    smoothing = objective.label_smoothing

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), label_smoothing=smoothing)

    return loss


def summed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The plain cross-entropy summed over examples or tokens: what evaluation adds up."""
    return functional.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), reduction="sum")
