"""How the task preference calls a language model: the margin of the better answer over the worse, as DPO has it.

    margin = beta ((log pi_w - log ref_w) - (log pi_l - log ref_l))        Rafailov 2023, eq. 7
    loss   = - log sigmoid(margin)

B pairs, T tokens, V vocabulary. The reference is the model at the start; what it finds is part of the data.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sevenfold.data import Inputs, parts_of
from sevenfold.runs.recipe import Objective
from sevenfold.training.alignment.losses import text_log_probability

__all__ = ["answer_log_probabilities", "margins"]


def answer_log_probabilities(model: Callable[..., Tensor], tokens: Tensor, answered: Tensor) -> Tensor:
    """Log-probability [B, 2] of the answers in tokens [B, 2, T]; ``answered`` [B, 2, T - 1] marks them."""
    texts = tokens.flatten(0, 1)
    logits = model(texts[:, :-1]).float()
    return text_log_probability(logits, texts[:, 1:], answered.flatten(0, 1)).reshape(tokens.shape[:2])


def margins(model: Callable[..., Tensor], inputs: Inputs, objective: Objective) -> Tensor:
    """The margin [B] of each pair, times ``objective.beta``; 0 for a model that is its own reference.

    Where the data does not say what the reference finds, it is the model as it is, as at the start of a run.
    """
    tokens, answered, *known = parts_of(inputs)
    found = answer_log_probabilities(model, tokens, answered)
    gain = found - (known[0] if known else found.detach())
    return objective.beta * (gain[:, 0] - gain[:, 1])
