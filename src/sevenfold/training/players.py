"""Steps of models that consist of players, or that update themselves; `step_of` picks the one that a model needs.

A step of players goes through those whose span it lies in. Each makes its rounds: its loss on its part of the
batch, the gradient with respect to its parameters alone, an update of these. One optimizer of torch holds a group
for each player; it passes over a parameter without a gradient, so that only the mover moves.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from sevenfold.data import Inputs, parts_of
from sevenfold.errors import UsageError
from sevenfold.layers import AfterUpdate, OwnUpdate, Played, Player
from sevenfold.runs.recipe import Recipe
from sevenfold.training.objectives import Loss
from sevenfold.training.schedules import rate_share
from sevenfold.training.steps import Forward, TrainingStep, forward_of, optimizer_over

__all__ = ["PlayersStep", "Step", "step_of"]


class Step(Protocol):
    """One step of training: ``step(inputs, targets, number)`` returns the loss [], or one a name."""

    optimizer: torch.optim.Optimizer
    forward: Forward

    def rate(self, number: int) -> float: ...

    def names(self, number: int) -> tuple[str | None, ...]: ...

    def __call__(self, inputs: Inputs, targets: Tensor, number: int) -> Tensor: ...


def step_of(
    recipe: Recipe, model: nn.Module, loss: Loss, device: torch.device, teacher: nn.Module | None = None
) -> Step:
    """The step that a model needs; raises UsageError where the recipe asks of it what it cannot do."""
    if isinstance(model, Played):
        return PlayersStep(recipe, model, device)
    if isinstance(model, OwnUpdate):
        return _OwnStep(recipe, model, loss, device)
    return TrainingStep(recipe, model, loss, device, teacher)


class PlayersStep:
    """Optimizer steps of a model of players; the losses come back in the order of the players, 0 for who rested."""

    def __init__(self, recipe: Recipe, model: Played, device: torch.device) -> None:
        self._refuse(recipe, model)
        self._players = model.players()
        self._recipe, self._device = recipe, device
        self.optimizer = optimizer_over(recipe.optimizer, [{"params": list(p.parameters)} for p in self._players])
        self.forward = forward_of(recipe, model, device)
        self._afterwards = [part for part in model.modules() if isinstance(part, AfterUpdate)]

    def rate(self, number: int) -> float:
        """The learning rate of step ``number`` of the first player that plays in it."""
        return next((self._rate(one, number) for one in self._players if self._plays(one, number)), 0.0)

    def names(self, number: int) -> tuple[str | None, ...]:
        """The players who play in step ``number``, in the order of the losses; None for who rests."""
        return tuple(player.name if self._plays(player, number) else None for player in self._players)

    def __call__(self, inputs: Inputs, targets: Tensor, number: int) -> Tensor:
        resting = torch.zeros((), device=self._device)
        losses = [
            self._play(index, inputs, number) if self._plays(player, number) else resting
            for index, player in enumerate(self._players)
        ]
        self._after(None)
        return torch.stack(losses)

    def _play(self, index: int, inputs: Inputs, number: int) -> Tensor:
        player = self._players[index]
        # Looked up every time: restoring an optimizer's state replaces its groups.
        self.optimizer.param_groups[index]["lr"] = self._rate(player, number)
        pieces = zip(*(tensor.chunk(player.rounds) for tensor in parts_of(inputs)), strict=True)
        losses = [self._update(player, piece) for piece in pieces]
        return torch.stack(losses).mean()

    def _update(self, player: Player, piece: tuple[Tensor, ...]) -> Tensor:
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._recipe.precision == "bf16"):
            loss = player.loss(*piece)
        gradients = torch.autograd.grad(loss, player.parameters, allow_unused=True)
        for parameter, gradient in zip(player.parameters, gradients, strict=True):
            parameter.grad = gradient
        if self._recipe.optimizer.clip_norm is not None:
            nn.utils.clip_grad_norm_(player.parameters, self._recipe.optimizer.clip_norm, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._after(player.name)
        return loss.detach().float()

    def _after(self, mover: str | None) -> None:
        for part in self._afterwards:
            if part.follows == mover:
                part.after_update()

    def _span(self, player: Player) -> tuple[int, int]:
        return round(player.begins * self._recipe.steps), round(player.ends * self._recipe.steps)

    def _plays(self, player: Player, number: int) -> bool:
        first, end = self._span(player)
        return first <= number < end

    def _rate(self, player: Player, number: int) -> float:
        first, end = self._span(player)
        share = rate_share(self._recipe.schedule, number - first, max(1, end - first))
        return self._recipe.optimizer.lr * player.rate * share

    @staticmethod
    def _refuse(recipe: Recipe, model: Played) -> None:
        kind = f"the parts of {recipe.model.name} are trained apart"
        if recipe.accumulate != 1:
            raise UsageError(
                f"{kind}, which micro-batches would mix",
                got=f"accumulate={recipe.accumulate}",
                expected="accumulate=1",
            )
        if recipe.compile:
            raise UsageError(f"{kind}, without torch.compile", got="compile=True", expected="compile=False")
        most = max(player.rounds for player in model.players())
        if recipe.batch_size % most:
            raise UsageError(
                f"a step of {recipe.model.name} makes {most} updates, each on an equal part of the batch",
                got=f"batch_size={recipe.batch_size}",
                expected=f"a multiple of {most}",
                hint=f"--set batch_size={max(1, round(recipe.batch_size / most)) * most}",
            )


class _OwnStep(TrainingStep):
    """Steps of a model that updates itself; the optimizer is there, and stands still."""

    def __init__(self, recipe: Recipe, model: OwnUpdate, loss: Loss, device: torch.device) -> None:
        super().__init__(recipe, model, loss, device)
        self._model = model

    def __call__(self, inputs: Inputs, targets: Tensor, number: int) -> Tensor:
        with torch.no_grad():
            return self._model.update(parts_of(inputs)[0], targets)
