"""Models whose parts are trained apart: against each other, one after the other, or by no gradient at all.

    Player         some parameters and the loss that moves them; a discriminator, an autoencoder before its prior
    Played         a model that consists of players
    AfterUpdate    what happens to weights after an update: clipping, moving averages
    OwnUpdate      a model that learns by counting or by expectation maximization instead of by gradients

The trainer asks for these by ``isinstance``; this file knows no optimizer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["AfterUpdate", "AveragedWeights", "OwnUpdate", "Played", "Player"]


@dataclass(frozen=True)
class Player:
    """A part of a model with a loss of its own.

    ``loss(*inputs) -> []`` is the mean over a batch; only ``parameters`` follow its gradient. A step makes
    ``rounds`` updates, each on its part of the step's batch. ``rate`` is a share of the recipe's learning rate. A
    player plays between ``begins`` and ``ends``, shares of the run, and the schedule runs over that span.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    loss: Callable[..., Tensor]
    rounds: int = 1
    rate: float = 1.0
    begins: float = 0.0
    ends: float = 1.0


class Played(nn.Module, ABC):
    """A model that consists of players, who move in the order in which they are named."""

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """The players; a parameter belongs to at most one, and one of none stays as it is."""


class AfterUpdate(nn.Module, ABC):
    """A module that does something to weights after they are updated."""

    follows: str | None = None  # the player after each of whose updates it acts; None: once, at the end of a step

    @abstractmethod
    def after_update(self) -> None:
        """Called without gradients."""


class OwnUpdate(nn.Module, ABC):
    """A model that updates its parameters itself, without gradients."""

    @abstractmethod
    def update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Learn from a batch; the mean loss [] of the batch before the update."""


class AveragedWeights(AfterUpdate):
    """An exponential moving average of a module's parameters; the module's buffers are not averaged.

    average <- d average + (1 - d) weights after every step, d = decay, with ``warmup`` at most (1 + n) / (10 + n)
    in update n. Held in buffers: saved with the model, not counted among its parameters.

    >>> layer = nn.Linear(2, 1)
    >>> average = AveragedWeights(layer, decay=0.99)
    >>> with average.applied():
    ...     layer(torch.zeros(1, 2)).shape
    torch.Size([1, 1])
    """

    num_updates: Tensor

    def __init__(self, module: nn.Module, decay: float, *, warmup: bool = True) -> None:
        super().__init__()
        self.decay, self.warmup = decay, warmup
        self._of = (module,)  # in a tuple, so that the module is not registered twice
        self._names = {name: "average_" + name.replace(".", "__") for name, _ in module.named_parameters()}
        for name, parameter in module.named_parameters():
            self.register_buffer(self._names[name], parameter.detach().clone())
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def after_update(self) -> None:
        """Move the average towards the weights."""
        self.num_updates += 1
        count = int(self.num_updates)
        decay = min(self.decay, (1 + count) / (10 + count)) if self.warmup else self.decay
        pairs = list(self._pairs())
        torch._foreach_lerp_([average for _, average in pairs], [weight for weight, _ in pairs], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the module has the average for weights; afterwards its own again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for weight, average in self._pairs():
            weight.data, average.data = average.data, weight.data

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        for name, weight in self._of[0].named_parameters():
            yield weight, self.get_buffer(self._names[name])
