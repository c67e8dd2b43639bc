"""Several environments side by side, each begun again when it ends, and brought back exactly from a checkpoint.

An episode is begun with a seed of its own, a function of (seed, environment, episode), and an environment is taken
to be a function of its seed and the actions since. So a checkpoint holds the number and the actions of the running
episode of each, and `restore` plays them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["Episode", "Moved", "Worlds"]

Environment = gymnasium.Env[Any, Any]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Episode:
    """A finished episode: its undiscounted return, its length, and what the game itself calls its score."""

    total: float
    steps: int
    score: float | None


@dataclass(frozen=True)
class Moved:
    """What a step of N environments led to.

    ``observations`` are those to act on next: of an environment that ended, the first of its next episode.
    ``led_to`` are what the actions led to: of one that ended, its last.
    """

    observations: Array  # [N, ...]
    led_to: Array  # [N, ...]
    rewards: npt.NDArray[np.float64]  # [N]
    terminated: npt.NDArray[np.bool_]  # [N] ended by the game
    truncated: npt.NDArray[np.bool_]  # [N] cut off: what follows still has a value
    finished: tuple[Episode, ...]


class Worlds:
    """N environments made by ``make``, stepped together in this process."""

    def __init__(self, make: Callable[[], Environment], num: int, seed: int) -> None:
        self._environments = [make() for _ in range(num)]
        self._seed = seed
        self._episodes = [-1] * num
        self._actions: list[list[int]] = [[] for _ in range(num)]
        self._totals = [0.0] * num
        self.observations: Array = np.stack([self._begin(index) for index in range(num)])

    def __len__(self) -> int:
        return len(self._environments)

    def step(self, actions: npt.NDArray[np.int64]) -> Moved:
        """Take one action [N] in each environment."""
        results = [self._move(index, int(action)) for index, action in enumerate(actions)]
        led_to = np.stack([result[0] for result in results])
        self.observations = led_to.copy()
        finished = []
        for index, (_, _, terminated, truncated, info) in enumerate(results):
            if terminated or truncated:
                score = info.get("score")
                total, steps = self._totals[index], len(self._actions[index])
                finished.append(Episode(total, steps, None if score is None else float(score)))
                self.observations[index] = self._begin(index)
        return Moved(
            observations=self.observations,
            led_to=led_to,
            rewards=np.array([result[1] for result in results]),
            terminated=np.array([result[2] for result in results]),
            truncated=np.array([result[3] and not result[2] for result in results]),
            finished=tuple(finished),
        )

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, as tensors."""
        lengths = [len(actions) for actions in self._actions]
        return {
            "episodes": torch.tensor(self._episodes),
            "lengths": torch.tensor(lengths),
            "actions": torch.tensor([action for actions in self._actions for action in actions], dtype=torch.int64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Bring every environment to where `state` found it."""
        played = state["actions"].tolist()
        for index, (episode, length) in enumerate(
            zip(state["episodes"].tolist(), state["lengths"].tolist(), strict=True)
        ):
            self._episodes[index] = episode - 1
            self.observations[index] = self._begin(index)
            for action in played[:length]:
                self.observations[index] = self._move(index, action)[0]
            played = played[length:]

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """What an environment looks like now, [H, W, 3]; raises UsageError where it cannot be shown."""
        try:
            seen = self._environments[index].render()
        except gymnasium.error.DependencyNotInstalled as error:
            raise UsageError("this environment's pictures need another package", got=str(error)) from None
        if not isinstance(seen, np.ndarray):
            raise UsageError("this environment shows no pictures", got=f"{type(seen).__name__} from render()")
        return seen

    def close(self) -> None:
        """Let go of what the environments hold."""
        for environment in self._environments:
            environment.close()

    def _begin(self, index: int) -> Array:
        self._episodes[index] += 1
        self._actions[index] = []
        self._totals[index] = 0.0
        words = np.random.SeedSequence([self._seed, index, self._episodes[index]]).generate_state(1)
        observation, _ = self._environments[index].reset(seed=int(words[0]))
        return np.asarray(observation)

    def _move(self, index: int, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self._actions[index].append(action)
        observation, reward, terminated, truncated, info = self._environments[index].step(np.int64(action))
        self._totals[index] += float(reward)
        return np.asarray(observation), float(reward), bool(terminated), bool(truncated), info
