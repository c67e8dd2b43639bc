"""The learners of policies: REINFORCE, and PPO with a clip or with a penalty (Schulman 2017, algorithm 1).

An advance plays ``horizon`` steps in every environment, then makes ``epochs`` passes over them in minibatches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.models.control._policies import ActorCritic, PolicySpec
from sevenfold.runs.recipe import Recipe
from sevenfold.training.reinforcement import losses
from sevenfold.training.reinforcement.environments import Frame
from sevenfold.training.reinforcement.learner import Advance, Updates, seen
from sevenfold.training.reinforcement.returns import advantages
from sevenfold.training.reinforcement.values import Stack
from sevenfold.training.reinforcement.worlds import Episode, SideBySide

__all__ = ["Experience", "PolicyLearner", "policy_actor", "policy_loss"]


@dataclass(frozen=True)
class Experience:
    """S steps as they were taken: observations, actions, the policy's logits then, advantages, returns [S, ...]."""

    observations: Tensor
    actions: Tensor
    logits: Tensor
    advantages: Tensor
    returns: Tensor

    def take(self, rows: Tensor) -> Experience:
        """Some of the steps."""
        return Experience(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def policy_loss(model: ActorCritic, batch: Experience, *, penalty: float) -> Tensor:
    """The whole loss [] of a minibatch: the surrogate, the error of V, the entropy (Schulman 2017, eq. 9)."""
    spec = model.spec
    logits, values = model.judge(batch.observations)
    advantage = batch.advantages
    if spec.normalize and len(advantage) > 1:
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    if spec.algorithm == "reinforce":
        surrogate = losses.policy_gradient(logits, batch.actions, advantage)
    elif spec.algorithm == "ppo-clip":
        old = batch.logits.log_softmax(1).gather(1, batch.actions[:, None]).squeeze(1)
        surrogate = losses.clipped_objective(logits, batch.actions, old, advantage, clip=spec.clip)
    else:
        surrogate = losses.penalized_objective(logits, batch.actions, batch.logits, advantage, penalty=penalty)
    error = F.mse_loss(values, batch.returns)
    return surrogate + spec.value_weight * error - spec.entropy_weight * losses.entropy_of(logits).mean()


def policy_actor(
    model: ActorCritic, device: torch.device
) -> Callable[[npt.NDArray[np.generic]], npt.NDArray[np.int64]]:
    """The likeliest action of each observation."""

    def act(observations: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        with torch.no_grad():
            best = model(seen(observations, device)).argmax(1)
        return np.asarray(best.cpu().numpy(), dtype=np.int64)

    return act


class PolicyLearner:
    """A policy in its environments."""

    def __init__(
        self, recipe: Recipe, model: ActorCritic, worlds: SideBySide, frame: Frame, device: torch.device
    ) -> None:
        spec = model.spec
        steps = spec.horizon * len(worlds)
        if steps % recipe.batch_size or recipe.batch_size > steps:
            raise UsageError(
                "the steps of an update are cut into equal minibatches",
                got=f"batch_size={recipe.batch_size} of model.horizon x environments = {steps} steps",
                expected="a divisor",
            )
        self.model, self.worlds, self._spec, self._device = model, worlds, spec, device
        self._updates = Updates(recipe, model)
        self.optimizer = self._updates.optimizer
        self._batch_size = recipe.batch_size
        self._penalty = spec.penalty
        self._stack = Stack(frame, len(worlds))
        self._stack.begin(worlds.observations)

    def advance(self, step: int) -> Advance:
        experience, episodes = self._play()
        total, count = torch.zeros(()), 0
        for _ in range(self._spec.epochs):
            for rows in torch.split(torch.randperm(len(experience.actions)), self._batch_size):
                loss = policy_loss(self.model, experience.take(rows.to(self._device)), penalty=self._penalty)
                self._updates.move(loss, step)
                total, count = total + loss.detach().cpu(), count + 1
        with torch.no_grad():
            moved = float(losses.divergence(experience.logits, self.model(experience.observations)).mean())
        self._adapt(moved)
        figures = {"train_loss": float(total / count), "divergence": moved}
        return Advance(len(experience.actions), tuple(episodes), figures)

    def act(self, observations: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        return policy_actor(self.model, self._device)(observations)

    def state(self) -> dict[str, Tensor]:
        held = {f"worlds.{name}": tensor for name, tensor in self.worlds.state().items()}
        return held | {
            "stack": torch.from_numpy(self._stack.frames),
            "penalty": torch.tensor(self._penalty, dtype=torch.float64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.worlds.restore(
            {name.removeprefix("worlds."): tensor for name, tensor in state.items() if name.startswith("worlds.")}
        )
        self._stack.frames = state["stack"].numpy().copy()
        self._penalty = float(state["penalty"])

    def _play(self) -> tuple[Experience, list[Episode]]:
        """``horizon`` steps in every environment, and what they were worth."""
        rows: list[tuple[Tensor, ...]] = []
        episodes: list[Episode] = []
        for _ in range(self._spec.horizon):
            observations = seen(self._stack.observations(), self._device)
            with torch.no_grad():
                logits, values = self.model.judge(observations)
            actions = torch.multinomial(logits.softmax(1).cpu(), 1).squeeze(1)
            moved = self.worlds.step(actions.numpy())
            ahead = self._stack.led_to(moved.led_to)
            cut = moved.terminated | moved.truncated
            self._stack.follow(moved.observations, cut)
            with torch.no_grad():
                # Only where an episode was cut off is what it led to not the next row.
                after = self.model.judge(seen(ahead, self._device))[1] if moved.truncated.any() else torch.zeros(1)
            rewards, ended = torch.from_numpy(moved.rewards).float(), torch.from_numpy(moved.terminated)
            flags = (torch.from_numpy(cut), torch.from_numpy(moved.truncated))
            rows.append((observations, actions, logits, values, rewards, ended, *flags, after.expand(len(actions))))
            episodes.extend(moved.finished)
        with torch.no_grad():
            last = self.model.judge(seen(self._stack.observations(), self._device))[1].cpu()
        return self._judged(rows, last), episodes

    def _judged(self, rows: list[tuple[Tensor, ...]], last: Tensor) -> Experience:
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        observations, actions, logits, values, rewards, ended, cut, truncated, after = columns
        values, after = values.cpu(), after.cpu()
        following = torch.cat([values[1:], last[None]])
        following = torch.where(truncated, after, following)
        found = advantages(
            rewards, values, following, ended, cut, discount=self._spec.discount, trace=self._spec.trace
        )
        columns = [observations, actions, logits, found, found + values]
        return Experience(*(column.flatten(0, 1).to(self._device) for column in columns))

    def _adapt(self, divergence: float) -> None:
        """The weight of the penalty follows the divergence (Schulman 2017, section 4)."""
        spec: PolicySpec = self._spec
        if spec.algorithm == "ppo-kl":
            if divergence < spec.divergence_aim / 1.5:
                self._penalty /= 2
            elif divergence > spec.divergence_aim * 1.5:
                self._penalty *= 2
