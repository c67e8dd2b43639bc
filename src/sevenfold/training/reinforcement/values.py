"""The learner of DQN: act by epsilon-greedy, remember, replay (Mnih 2013, algorithm 1; 2015, algorithm 1)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.models.control._values import ActionValues, ValueSpec
from sevenfold.runs.recipe import Recipe
from sevenfold.training.reinforcement.environments import Frame
from sevenfold.training.reinforcement.learner import Advance, Updates, seen
from sevenfold.training.reinforcement.losses import value_error
from sevenfold.training.reinforcement.replay import Batch, Replay, require_room
from sevenfold.training.reinforcement.worlds import SideBySide

__all__ = ["Stack", "ValueLearner", "require_experience", "value_actor"]


class ValueLearner:
    """DQN in its environments. An advance is one action in each of them."""

    def __init__(
        self, recipe: Recipe, model: ActionValues, worlds: SideBySide, frame: Frame, device: torch.device
    ) -> None:
        spec = model.spec
        self.model, self.worlds, self._spec, self._device = model, worlds, spec, device
        self.target = copy.deepcopy(model).requires_grad_(False) if spec.target_every else model
        self._updates = Updates(recipe, model)
        self.optimizer = self._updates.optimizer
        self._batch_size, self._frame = recipe.batch_size, frame
        self.replay = Replay(
            spec.replay, frame.shape, stack=frame.stack, streams=len(worlds), dtype=frame.torch_dtype
        )
        self._num_updates = 0
        self._stack = Stack(frame, len(worlds))
        self._stack.begin(worlds.observations)

    def advance(self, step: int) -> Advance:
        num = len(self.worlds)
        frames = torch.from_numpy(self.worlds.observations.copy())
        actions = self._explore(step)
        moved = self.worlds.step(actions)
        for index in range(num):
            over = bool(moved.terminated[index])
            self.replay.add(index, frames[index], int(actions[index]), float(moved.rewards[index]), over)
            if over or moved.truncated[index]:
                self.replay.add_last(index, torch.from_numpy(moved.led_to[index]))
        self._stack.follow(moved.observations, moved.terminated | moved.truncated)
        losses = []
        for at in range(step, step + num):  # the updates that the steps taken call for
            if at + 1 >= self._spec.replay_starts and (at + 1) % self._spec.update_every == 0:
                losses.append(self._learn(step))
        figures = {"train_loss": float(torch.stack(losses).mean())} if losses else {}
        return Advance(num, moved.finished, figures)

    def epsilon(self, step: int) -> float:
        """The share of random actions after ``step`` agent steps."""
        share = min(1.0, step / self._spec.epsilon_steps)
        return 1 + share * (self._spec.epsilon_final - 1)

    def loss(self, batch: Batch) -> Tensor:
        """The loss [] of transitions."""
        with torch.no_grad():
            ahead = self.target(batch.led_to)
            choosing = self.model(batch.led_to) if self._spec.double else None
        return value_error(
            self.model(batch.observations),
            batch.actions,
            batch.rewards,
            ahead,
            batch.ended,
            discount=self._spec.discount,
            clipped=self._spec.clipped_error,
            choosing=choosing,
        )

    def act(self, observations: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
        return value_actor(self.model, self._device)(observations)

    def state(self) -> dict[str, Tensor]:
        held = {f"replay.{name}": tensor for name, tensor in self.replay.state().items()}
        held |= {f"worlds.{name}": tensor for name, tensor in self.worlds.state().items()}
        if self.target is not self.model:
            held |= {f"target.{name}": tensor for name, tensor in self.target.state_dict().items()}
        return held | {"updates": torch.tensor(self._num_updates), "stack": torch.from_numpy(self._stack.frames)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}

        self.replay.restore(part("replay."))
        self.worlds.restore(part("worlds."))
        if self.target is not self.model:
            self.target.load_state_dict(part("target."))
        self._num_updates = int(state["updates"])
        self._stack.frames = state["stack"].numpy().copy()

    def _explore(self, step: int) -> npt.NDArray[np.int64]:
        everything = step < self._spec.replay_starts
        epsilon = 1.0 if everything else self.epsilon(step)
        return _chosen(self.model, self._stack.observations(), epsilon, self._device)

    def _learn(self, step: int) -> Tensor:
        batch = self.replay.sample(self._batch_size)
        if self._device.type != "cpu":
            batch = Batch(*(getattr(batch, name).to(self._device) for name in Batch.__dataclass_fields__))
        loss = self.loss(batch)
        self._updates.move(loss, step)
        self._num_updates += 1
        if self._spec.target_every and self._num_updates % self._spec.target_every == 0:
            self.target.load_state_dict(self.model.state_dict())
        return loss.detach()


def require_experience(recipe: Recipe, spec: ValueSpec, frame: Frame, environments: int) -> None:
    """UsageError unless what is remembered makes a batch and fits this machine's memory; builds nothing."""
    if spec.replay_starts < recipe.batch_size:
        raise UsageError(
            "learning begins before there is a batch",
            got=f"model.replay_starts={spec.replay_starts}, batch_size={recipe.batch_size}",
            expected="at least as many remembered steps",
        )
    require_room(spec.replay, frame.shape, stack=frame.stack, streams=environments, dtype=frame.torch_dtype)


def value_actor(
    model: ActionValues, device: torch.device
) -> Callable[[npt.NDArray[np.generic]], npt.NDArray[np.int64]]:
    """The best action of each observation, but for the share that is random in evaluation too."""
    return lambda observations: _chosen(model, observations, model.spec.epsilon_evaluation, device)


def _chosen(
    model: ActionValues, observations: npt.NDArray[np.generic], epsilon: float, device: torch.device
) -> npt.NDArray[np.int64]:
    random = torch.randint(model.spec.actions, (len(observations),)).numpy()
    explores = (torch.rand(len(observations)) < epsilon).numpy()
    if explores.all():
        return random.astype(np.int64)
    with torch.no_grad():
        best = model(seen(observations, device)).argmax(1).cpu().numpy()
    return np.where(explores, random, best).astype(np.int64)


class Stack:
    """The last K frames of N environments; those of before an episode's first are zeros."""

    def __init__(self, frame: Frame, num: int) -> None:
        self._channels = frame.shape[0]
        self.frames: npt.NDArray[np.generic] = np.zeros((num, *frame.observation), dtype=frame.dtype)

    def begin(self, first: npt.NDArray[np.generic]) -> None:
        """Every environment has just begun."""
        self.follow(first, np.ones(len(first), dtype=np.bool_))

    def follow(self, frames: npt.NDArray[np.generic], begun: npt.NDArray[np.bool_]) -> None:
        """The next frame of each; ``begun`` where it is an episode's first."""
        if begun.any():
            self.frames = self.frames.copy()  # a learner keeps what it was shown
            self.frames[begun] = 0
        self.frames = self.led_to(frames)

    def led_to(self, frames: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """What the observations would be after ``frames``, whether or not these are an episode's last."""
        return np.concatenate([self.frames[:, self._channels :], frames], axis=1)

    def observations(self) -> npt.NDArray[np.generic]:
        """[N, K * C, ...]."""
        return self.frames
