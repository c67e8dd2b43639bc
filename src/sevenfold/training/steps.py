"""One optimizer step: forward, backward (in micro-batches), clip, update. The same for every task.

Micro-batches are equal parts of a batch, each weighted by its share, so that the gradient is that of the whole
batch to rounding. Knows no data set, no store and no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sevenfold.data import Inputs, parts_of
from sevenfold.layers import AfterUpdate, AuxiliaryLoss, AuxiliaryOutputs
from sevenfold.runs.recipe import Optimizer, Recipe
from sevenfold.training.distilling import distillation_loss
from sevenfold.training.graves import GravesRMSprop
from sevenfold.training.objectives import TASKS, Loss
from sevenfold.training.schedules import rate_share

Forward = Callable[[Inputs], Tensor]


def build_optimizer(settings: Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of torch over all parameters that are trained."""
    return optimizer_over(settings, [parameter for parameter in model.parameters() if parameter.requires_grad])


def optimizer_over(
    settings: Optimizer, parameters: list[nn.Parameter] | list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimizer of torch over parameters, or groups of them, fused where torch fuses it.

    Fused is the fastest on small CPU nets too (AdamW: 129 µs a step against 396 for foreach and 491 for the loop
    over six tensors), and bit-deterministic there.
    """
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    decay = settings.weight_decay
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(
            parameters,
            lr=settings.lr,
            alpha=settings.beta2,
            eps=settings.eps,
            weight_decay=decay,
            momentum=settings.momentum,
        )
    if settings.name == "graves-rmsprop":
        return GravesRMSprop(
            parameters,
            settings.lr,
            alpha=settings.beta2,
            eps=settings.eps,
            momentum=settings.momentum,
            weight_decay=decay,
        )
    if settings.name == "adagrad":
        return torch.optim.Adagrad(parameters, lr=settings.lr, eps=settings.eps, weight_decay=decay)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    betas = (settings.beta1, settings.beta2)
    return kind(parameters, lr=settings.lr, betas=betas, eps=settings.eps, weight_decay=decay, fused=True)


def forward_of(recipe: Recipe, model: nn.Module, device: torch.device) -> Forward:
    """The model as it is called: compiled and under autocast where the recipe says so."""
    called: Callable[..., Tensor] = torch.compile(model) if recipe.compile else model

    calling = TASKS[recipe.task].calling

    def forward(inputs: Inputs) -> Tensor:
        if calling is not None:
            return calling(called, inputs, recipe.objective)
        if isinstance(inputs, Tensor):
            return called(inputs)
        return called(*inputs)

    if recipe.precision == "fp32":
        return forward

    def forward_autocast(inputs: Inputs) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return forward(inputs)

    return forward_autocast


class TrainingStep:
    """A callable that takes optimizer steps of a recipe on a model.

    ``step(inputs, targets, number) -> loss`` updates the model and returns the mean training loss of the batch
    before the update, detached, on the device; ``number`` is 0-based and sets the learning rate. A ``teacher`` is a
    model whose outputs it is held to besides.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        loss: Loss,
        device: torch.device,
        teacher: nn.Module | None = None,
    ) -> None:
        self.optimizer = build_optimizer(recipe.optimizer, model)
        self._parameters: list[nn.Parameter] = self.optimizer.param_groups[0]["params"]
        self._recipe = recipe
        self.forward = forward_of(recipe, model, device)
        self._loss = loss
        self._teacher = None if teacher is None else forward_of(recipe, teacher, device)
        self._clip = recipe.optimizer.clip_norm
        self._rule = TASKS[recipe.task]
        self._auxiliary = [part for part in model.modules() if isinstance(part, AuxiliaryLoss)]
        self._also_held = [part for part in model.modules() if isinstance(part, AuxiliaryOutputs)]
        self._afterwards = [part for part in model.modules() if isinstance(part, AfterUpdate)]

    def names(self, number: int) -> tuple[str | None, ...]:
        """A step has one loss, which needs no name."""
        return ()

    def rate(self, number: int) -> float:
        """The learning rate of step ``number``."""
        return self._recipe.optimizer.lr * rate_share(self._recipe.schedule, number, self._recipe.steps)

    def __call__(self, inputs: Inputs, targets: Tensor, number: int) -> Tensor:
        # Looked up every time: restoring an optimizer's state replaces its groups.
        self.optimizer.param_groups[0]["lr"] = self.rate(number)
        loss = self._backward(inputs, targets)
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._clip, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        for part in self._afterwards:
            part.after_update()
        return loss

    def _backward(self, inputs: Inputs, targets: Tensor) -> Tensor:
        parts = self._recipe.accumulate
        if parts == 1:
            loss = self._held(inputs, targets)
            self._with_auxiliary(loss, targets).backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        total = torch.zeros((), device=targets.device)
        asked = self._rule.asked(targets)
        pieces = zip(*(tensor.chunk(parts) for tensor in parts_of(inputs)), strict=True)
        for piece, targets_part in zip(pieces, targets.chunk(parts), strict=True):
            part = piece[0] if isinstance(inputs, Tensor) else piece
            share = self._rule.asked(targets_part) / asked
            loss = self._held(part, targets_part) * share
            self._with_auxiliary(loss, targets_part, share).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _held(self, inputs: Inputs, targets: Tensor) -> Tensor:
        """The mean loss by the targets, and by the teacher where there is one."""
        outputs = self.forward(inputs)
        loss = self._loss(outputs, targets)
        if self._teacher is None:
            return loss
        objective = self._recipe.objective
        with torch.no_grad():
            taught = self._teacher(inputs)
        share = objective.teacher_share
        return (1 - share) * loss + share * distillation_loss(outputs, taught, objective.temperature)

    def _with_auxiliary(self, loss: Tensor, targets: Tensor, share: float | Tensor = 1.0) -> Tensor:
        for part in self._auxiliary:
            loss = loss + part.auxiliary_loss() * share
        for held in self._also_held:
            loss = loss + self._loss(held.auxiliary_outputs(), targets) * (held.coefficient * share)
        return loss
