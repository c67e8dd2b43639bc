"""What a recipe of the task control computes: an agent, its environment, whole episodes of evaluation.

Evaluation plays in environments of its own, begun with seeds that training never uses. Knows no run store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sevenfold.errors import SevenfoldError, UsageError
from sevenfold.models import MODELS, ModelEntry
from sevenfold.models.control._policies import ActorCritic
from sevenfold.models.control._values import ActionValues, ValueSpec
from sevenfold.runs.recipe import Recipe, Scalar
from sevenfold.training.reinforcement.environments import (
    EnvironmentEntry,
    Frame,
    Mode,
    chosen_environment,
)
from sevenfold.training.reinforcement.learner import Learner, seen
from sevenfold.training.reinforcement.policies import PolicyLearner, policy_actor
from sevenfold.training.reinforcement.values import Stack, ValueLearner, require_experience, value_actor
from sevenfold.training.reinforcement.worlds import Episode, SideBySide
from sevenfold.training.workload import resolve_device, seeded

__all__ = ["Film", "Playing", "build_playing", "evaluated", "filmed"]

_EVALUATION_SEED = 10**6  # away from the seeds of training
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Playing:
    """What a recipe of the task control computes."""

    recipe: Recipe
    entry: ModelEntry
    settings: Mapping[str, Scalar]
    model: nn.Module
    environment: EnvironmentEntry
    environment_settings: Any
    frame: Frame
    device: torch.device

    def worlds(self, num: int, seed: int, *, training: bool, pictures: bool = False) -> SideBySide:
        """``num`` environments side by side."""
        mode: Mode = "training" if training else "pictures" if pictures else "evaluation"
        return self.environment.worlds(self.environment_settings, mode, num, seed)

    def for_baseline(self) -> Playing:
        """The same with observations as the environment's player without learning reads them."""
        given = self.environment.baseline_settings(self.environment_settings)
        return replace(self, environment_settings=given, frame=self.environment.frame(given))

    def actor(self) -> Callable[[Any], Any]:
        """How the model acts in evaluation: observations [N, ...] -> actions [N]."""
        if isinstance(self.model, ActionValues):
            return value_actor(self.model, self.device)
        assert isinstance(self.model, ActorCritic)
        return policy_actor(self.model, self.device)

    def best(self, observations: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The model's first choice [N], never at random: the likeliest action, or that of the highest Q."""
        with torch.no_grad():
            return np.asarray(self.model(seen(observations, self.device)).argmax(1).cpu().numpy())

    def learner(self) -> Learner:
        """The learner that the model is for, in its environments; raises UsageError where the recipe cannot be."""
        worlds = self.worlds(self.environment_settings.environments, self.recipe.seed, training=True)
        try:
            if isinstance(self.model, ActionValues):
                return ValueLearner(self.recipe, self.model, worlds, self.frame, self.device)
            assert isinstance(self.model, ActorCritic)
            return PolicyLearner(self.recipe, self.model, worlds, self.frame, self.device)
        except SevenfoldError:
            worlds.close()
            raise


def build_playing(recipe: Recipe) -> Playing:
    """Build what a recipe names; raises for names, settings, and an agent that does not fit the environment."""
    entry = MODELS[recipe.model.name]
    if entry.task != recipe.task:
        raise UsageError(
            f"model {entry.name} is not for this task", got=f"task {recipe.task}", expected=f"task {entry.task}"
        )
    if recipe.accumulate != 1 or recipe.compile:
        raise UsageError(
            "learning by acting takes its updates whole",
            got=f"accumulate={recipe.accumulate}, compile={recipe.compile}",
            expected="accumulate=1, compile=False",
        )
    environment, given = chosen_environment(recipe.data)
    frame = environment.frame(given)
    settings = dict(entry.settings_for(frame.observation, frame.actions)) | recipe.model.settings
    spec = entry.spec(settings)
    if isinstance(spec, ValueSpec):
        require_experience(recipe, spec, frame, given.environments)
    device = resolve_device(recipe)
    model = seeded(recipe.seed, lambda: entry.build(settings)).to(device)
    return Playing(recipe, entry, settings, model, environment, given, frame, device)


def evaluated(playing: Playing, act: Callable[[Any], Any], episodes: int, *, seed: int = 0) -> list[Episode]:
    """Whole episodes played by ``act`` (observations [N, ...] -> actions [N]), begun with seeds of their own."""
    num = min(episodes, 8)
    worlds = playing.worlds(num, _EVALUATION_SEED + seed, training=False)
    stack = Stack(playing.frame, num)
    stack.begin(worlds.observations)
    # Each environment plays its share to the end: the first to finish would favour short episodes.
    shares = [episodes // num + (index < episodes % num) for index in range(num)]
    played: list[list[Episode]] = [[] for _ in range(num)]
    try:
        while any(len(done) < share for done, share in zip(played, shares, strict=True)):
            moved = worlds.step(act(stack.observations()))
            cut = moved.terminated | moved.truncated
            for index, episode in zip(np.flatnonzero(cut), moved.finished, strict=True):
                if len(played[index]) < shares[index]:
                    played[index].append(episode)
            stack.follow(moved.observations, cut)
    finally:
        worlds.close()
    return [episode for done in played for episode in done]


@dataclass(frozen=True)
class Film:
    """One episode in pictures."""

    frames: tuple[Pixels, ...]  # each [H, W, 3]
    episode: Episode


def filmed(playing: Playing, act: Callable[[Any], Any], *, seed: int = 0, at_most: int = 2000) -> Film:
    """An episode of evaluation, a picture of every step of it; cut off after ``at_most`` steps.

    Raises UsageError for an environment that shows no pictures here.
    """
    worlds = playing.worlds(1, _EVALUATION_SEED + seed, training=False, pictures=True)
    stack = Stack(playing.frame, 1)
    stack.begin(worlds.observations)
    frames, total, steps = [worlds.picture(0)], 0.0, 0
    try:
        while steps < at_most:
            moved = worlds.step(act(stack.observations()))
            steps, total = steps + 1, total + float(moved.rewards[0])
            if moved.finished:
                return Film(tuple(frames), moved.finished[0])
            frames.append(worlds.picture(0))
            stack.follow(moved.observations, moved.terminated | moved.truncated)
    finally:
        worlds.close()
    return Film(tuple(frames), Episode(total, steps, None))
