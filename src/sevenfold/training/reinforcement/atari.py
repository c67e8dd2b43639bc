"""A game of the Arcade Learning Environment as the DQN papers played it: four frames an action, grey, 84 x 84.

Mnih et al. 2015, methods: the larger of a pixel's last two values (sprites flicker), a lost life marks the end of
an episode in training, up to 30 idle actions at its start. Smaller by area averages (Pillow's box).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

__all__ = ["AtariPicture", "AtariPlay"]


class AtariPicture(gymnasium.ObservationWrapper[npt.NDArray[np.uint8], Any, npt.NDArray[np.uint8]]):
    """84 x 84 grey pixels with a channel axis [1, 84, 84]."""

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        super().__init__(environment)
        self.observation_space = gymnasium.spaces.Box(0, 255, (1, 84, 84), np.uint8)

    def observation(self, observation: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        from PIL import Image

        return np.asarray(Image.fromarray(observation).resize((84, 84), Image.Resampling.BOX), dtype=np.uint8)[None]


class AtariPlay(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Four frames an action, the larger of the last two; idle actions at the start; where asked for, a lost life
    ends the episode for the learner, and rewards count by their sign.

    A game begins from one saved state: the emulator's own reset leaves some of the last game in its memory (Beam
    Rider and Seaquest then play otherwise), and with a seed it loads the ROM again, 0.2 s.
    """

    def __init__(
        self, environment: gymnasium.Env[Any, Any], *, no_op_max: int, lives_end: bool, clip_rewards: bool
    ) -> None:
        super().__init__(environment)
        self._no_op_max, self._lives_end, self._clip_rewards = no_op_max, lives_end, clip_rewards
        self._lives, self._score = 0, 0.0
        self._ale: Any = getattr(environment.unwrapped, "ale")  # noqa: B009 (gymnasium's type does not know it)
        self._first, self._info = environment.reset(seed=0)
        self._start = self._ale.cloneState()
        self._draw = np.random.default_rng()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        if options is not None and options.get("go_on"):
            observation, _, terminated, truncated, info = self.env.step(0)
            if not (terminated or truncated):
                return observation, info
        else:
            self._draw = np.random.default_rng(seed)
        observation, info = self._new_game()
        for _ in range(int(self._draw.integers(0, self._no_op_max + 1))):
            observation, _, terminated, truncated, info = self.env.step(0)
            if terminated or truncated:
                observation, info = self._new_game()
        self._lives, self._score = int(info.get("lives", 0)), 0.0
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        total, frames = 0.0, []
        over = truncated = False
        info: dict[str, Any] = {}
        for _ in range(4):
            observation, reward, over, truncated, info = self.env.step(action)
            frames.append(observation)
            total += float(reward)
            if over or truncated:
                break
        self._score += total
        seen = np.maximum(*frames[-2:]) if len(frames) > 1 else frames[0]
        lives = int(info.get("lives", 0))
        lost = self._lives_end and lives < self._lives
        self._lives = lives
        if self._clip_rewards:
            total = float(np.sign(total))
        goes_on = lost and not over and not truncated
        return seen, total, over or lost, truncated, {**info, "score": self._score, "goes_on": goes_on}

    def _new_game(self) -> tuple[Any, dict[str, Any]]:
        self.env.reset()  # of the wrappers' counters
        self._ale.restoreState(self._start)
        return self._first, self._info
