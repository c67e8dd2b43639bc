"""Knowledge distillation: a small network is held to what a trained one thinks of the examples, besides the labels.

B examples, C classes or vocabulary; s logits of the student, t of the teacher, tau temperature, a the teacher's
share.

    p = softmax(t / tau),  q = softmax(s / tau)
    loss = (1 - a) cross-entropy(labels, softmax(s)) + a tau^2 KL(p || q)

The divergence differs from the paper's cross-entropy of soft targets by the entropy of p, which has no gradient in
s, so that a student that thinks as its teacher has a loss of zero. Times tau^2, since gradients of soft targets
scale as 1 / tau^2 (section 2). The teacher is in evaluation mode and gets no gradient.

Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, section 2.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sevenfold.data import moved, parts_of
from sevenfold.errors import UsageError
from sevenfold.layers import OwnUpdate, Played
from sevenfold.runs.recipe import Recipe
from sevenfold.training.workload import Workload

__all__ = ["check_distilling", "distillation_loss", "require_teacher"]

_TASKS = ("classification", "causal-lm")


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(p || q) [], the mean over all but the last axis, in nats; logits [..., C].

    >>> logits = torch.tensor([[2.0, -1.0, 0.5]])
    >>> distillation_loss(logits, logits + 3, 4.0).item()
    0.0
    """
    log_q, log_p = ((logits.float() / temperature).log_softmax(-1) for logits in (student, teacher.detach()))
    divergence = F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1).mean()
    return temperature**2 * divergence


def check_distilling(recipe: Recipe) -> None:
    """Raise UsageError for a recipe that names a teacher where there is nothing to be taught."""
    if recipe.objective.teacher is None:
        return
    if recipe.task not in _TASKS:
        raise UsageError(
            f"{recipe.task} has no classes that a teacher could weigh",
            got=f"objective.teacher={recipe.objective.teacher}",
            expected=f"task {' or '.join(_TASKS)}",
        )


def require_teacher(student: Workload, teacher: Workload) -> nn.Module:
    """The teacher's model, in evaluation mode; UsageError where its outputs are not of the student's shape."""
    if isinstance(student.model, (Played, OwnUpdate)):
        raise UsageError(
            f"model {student.entry.name} has a way of learning of its own, without a teacher",
            got=f"objective.teacher={student.recipe.objective.teacher}",
            expected="no teacher",
        )
    theirs, ours = teacher.dataset, student.dataset
    images = student.recipe.task == "classification"
    if teacher.recipe.task != student.recipe.task or (images and theirs.input_shape != ours.input_shape):
        raise UsageError(
            "the teacher cannot take the student's data",
            got=f"a teacher of {teacher.recipe.task} on {theirs.name}, inputs {list(theirs.input_shape)}",
            expected=f"one of {student.recipe.task} for inputs {list(ours.input_shape)}",
        )
    inputs = moved(student.dataset.validation.batch(np.arange(1, dtype=np.int64))[0], student.device)
    model = teacher.model.to(student.device).eval().requires_grad_(False)
    shapes = []
    for one in (student.model, model):
        was_training = one.training
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                shapes.append(list(one.eval()(*parts_of(inputs)).shape))
            except UsageError as error:
                raise UsageError(
                    "the teacher cannot take the student's data",
                    got=str(error),
                    expected="one trained on such data",
                ) from None
        one.train(was_training)
    if shapes[0] != shapes[1]:
        raise UsageError(
            "student and teacher do not tell the same classes apart",
            got=f"outputs of shape {shapes[0]} and {shapes[1]}",
            expected="equal shapes",
        )
    return model
