"""Several environments side by side, each begun again when it ends, and brought back exactly from a checkpoint.

An episode is begun with a seed of its own, a function of (seed, environment, episode), and an environment is taken
to be a function of its seed and the actions since. So a checkpoint holds the number and the actions of the running
episode of each, and `restore` plays them again.

An environment may end for the learner and go on all the same (a life is lost, the game is not): its ``info`` then
says ``goes_on``, and it is called ``reset(options={"go_on": True})``. What is reported as an episode is the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["Episode", "Move", "Moved", "SideBySide", "World", "Worlds", "episode_seed", "joined"]

Environment = gymnasium.Env[Any, Any]
Array = npt.NDArray[Any]
_GOES_ON = -1  # among an episode's actions: ended for the learner, and went on


@dataclass(frozen=True)
class Episode:
    """A finished episode: its undiscounted return, its length, and what the game itself calls its score."""

    total: float
    steps: int
    score: float | None


@dataclass(frozen=True)
class Move:
    """What a step of one environment led to, and the observation to act on next."""

    led_to: Array
    following: Array
    reward: float
    terminated: bool
    truncated: bool
    finished: Episode | None


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


def episode_seed(seed: int, environment: int, episode: int) -> int:
    """The seed that an episode is begun with."""
    return int(np.random.SeedSequence([seed, environment, episode]).generate_state(1)[0])


class SideBySide(Protocol):
    """N environments that are stepped together; `Worlds` for any, arrays of its own where a game is that."""

    observations: Array  # [N, ...] to act on next

    def __len__(self) -> int: ...

    def step(self, actions: npt.NDArray[np.int64]) -> Moved:
        """Take one action [N] in each environment."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, as tensors."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Bring every environment to where `state` found it."""
        ...

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """What an environment looks like now, [H, W, 3]; raises UsageError where it cannot be shown."""
        ...

    def close(self) -> None:
        """Let go of what the environments hold."""
        ...


class World:
    """One environment and its running episode; ``index`` and ``seed`` set the seeds of its episodes."""

    def __init__(self, environment: Environment, index: int, seed: int) -> None:
        self.environment = environment
        self.actions: list[int] = []  # of the running episode; _GOES_ON where it went on
        self.episode = -1
        self._index, self._seed, self._total = index, seed, 0.0

    def begin(self) -> Array:
        """The first observation of the next episode."""
        self.episode += 1
        self.actions, self._total = [], 0.0
        observation, _ = self.environment.reset(seed=episode_seed(self._seed, self._index, self.episode))
        return np.asarray(observation)

    def move(self, action: int) -> Move:
        """One action; where it ended the episode, the next one is begun."""
        self.actions.append(action)
        observation, reward, terminated, truncated, info = self.environment.step(np.int64(action))
        self._total += float(reward)
        led_to, finished = np.asarray(observation), None
        following = led_to
        if terminated and info.get("goes_on"):
            following = self._go_on()
        elif terminated or truncated:
            score = info.get("score")
            steps = sum(action != _GOES_ON for action in self.actions)
            finished = Episode(self._total, steps, None if score is None else float(score))
            following = self.begin()
        return Move(
            led_to, following, float(reward), bool(terminated), bool(truncated and not terminated), finished
        )

    def restore(self, episode: int, actions: list[int]) -> Array:
        """Play the episode again to where it was; returns the observation there."""
        self.episode = episode - 1
        observation = self.begin()
        for action in actions:
            if action == _GOES_ON:
                observation = self._go_on()
                continue
            self.actions.append(action)
            seen, reward, *_ = self.environment.step(np.int64(action))
            self._total += float(reward)
            observation = np.asarray(seen)
        return observation

    def _go_on(self) -> Array:
        self.actions.append(_GOES_ON)
        observation, _ = self.environment.reset(options={"go_on": True})
        return np.asarray(observation)


def joined(moves: list[Move]) -> Moved:
    """The moves of N environments as one."""
    return Moved(
        observations=np.stack([move.following for move in moves]),
        led_to=np.stack([move.led_to for move in moves]),
        rewards=np.array([move.reward for move in moves]),
        terminated=np.array([move.terminated for move in moves]),
        truncated=np.array([move.truncated for move in moves]),
        finished=tuple(move.finished for move in moves if move.finished is not None),
    )


class Worlds:
    """N environments made by ``make``, stepped together in this process."""

    def __init__(self, make: Callable[[], Environment], num: int, seed: int) -> None:
        self._worlds = [World(make(), index, seed) for index in range(num)]
        self.observations: Array = np.stack([world.begin() for world in self._worlds])

    def __len__(self) -> int:
        return len(self._worlds)

    def step(self, actions: npt.NDArray[np.int64]) -> Moved:
        """Take one action [N] in each environment."""
        moves = [world.move(int(action)) for world, action in zip(self._worlds, actions, strict=True)]
        moved = joined(moves)
        self.observations = moved.observations
        return moved

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, as tensors."""
        return {
            "episodes": torch.tensor([world.episode for world in self._worlds]),
            "lengths": torch.tensor([len(world.actions) for world in self._worlds]),
            "actions": torch.tensor([one for world in self._worlds for one in world.actions], dtype=torch.int64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Bring every environment to where `state` found it."""
        lengths = state["lengths"].tolist()
        played = [part.tolist() for part in torch.split(state["actions"], lengths)]
        self.observations = np.stack(
            [
                world.restore(episode, actions)
                for world, episode, actions in zip(self._worlds, state["episodes"].tolist(), played, strict=True)
            ]
        )

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """What an environment looks like now, [H, W, 3]; raises UsageError where it cannot be shown."""
        try:
            seen = self._worlds[index].environment.render()
        except gymnasium.error.DependencyNotInstalled as error:
            raise UsageError("this environment's pictures need another package", got=str(error)) from None
        if not isinstance(seen, np.ndarray):
            raise UsageError("this environment shows no pictures", got=f"{type(seen).__name__} from render()")
        return seen

    def close(self) -> None:
        """Let go of what the environments hold."""
        for world in self._worlds:
            world.environment.close()
