"""What a learner is to the loop: it acts in its environments, learns when it is time, and can be saved whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sevenfold.runs.recipe import Recipe
from sevenfold.training.reinforcement.worlds import Episode, SideBySide
from sevenfold.training.schedules import rate_share
from sevenfold.training.steps import optimizer_over

__all__ = ["Advance", "Learner", "Updates", "seen"]


@dataclass(frozen=True)
class Advance:
    """What one advance came to: agent steps taken, episodes that ended, and figures to log."""

    steps: int
    episodes: tuple[Episode, ...]
    figures: Mapping[str, float] = field(default_factory=dict)


class Learner(Protocol):
    """An agent that learns."""

    worlds: SideBySide

    @property
    def model(self) -> nn.Module:
        """The network, whose weights are what the run keeps."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of the network."""
        ...

    def advance(self, step: int) -> Advance:
        """Act, and learn if it is time; ``step`` agent steps were taken before."""
        ...

    def act(self, observations: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        """Actions [N] as in evaluation, on observations [N, ...]."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that the learner holds besides its model and optimizer."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Hold what `state` gave."""
        ...


class Updates:
    """Optimizer steps at the recipe's scheduled rate."""

    def __init__(self, recipe: Recipe, model: nn.Module) -> None:
        self._recipe = recipe
        self._parameters = list(model.parameters())
        self.optimizer = optimizer_over(recipe.optimizer, self._parameters)

    def move(self, loss: Tensor, step: int) -> None:
        """One update; ``step`` of the recipe's agent steps sets the rate."""
        share = rate_share(self._recipe.schedule, min(step, self._recipe.steps - 1), self._recipe.steps)
        self.optimizer.param_groups[0]["lr"] = self._recipe.optimizer.lr * share
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._recipe.optimizer.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._recipe.optimizer.clip_norm, foreach=True)
        self.optimizer.step()


def seen(observations: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """Observations as a tensor on the device; bytes stay bytes."""
    return torch.from_numpy(np.ascontiguousarray(observations)).to(device)
