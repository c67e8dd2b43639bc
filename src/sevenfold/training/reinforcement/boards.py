"""Many games of Snake side by side, stepped as arrays: the same games as `snake.Snake` plays one by one.

N boards, C = S x S cells. A body is held as how many steps each of its cells stays taken:

    life    int16 [N, C]   the length of the body at the head, 1 at the tail, 0 where the board is free
    move    life falls by 1 wherever it is above 0, unless the snake eats; the new head gets the length

Each game draws from a generator of its own, seeded as `Worlds` seeds it, so that game for game, food for food,
everything is what the plain environment would have done (`tests/training/test_boards.py`).

>>> boards = SnakeBoards(BoardView(4), num=2, seed=0)
>>> boards.step(np.array([0, 1])).rewards.shape
(2,)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sevenfold.training.reinforcement.snake import MOVES, Body, neighbours, picture, starts
from sevenfold.training.reinforcement.worlds import Episode, Moved, episode_seed

__all__ = ["BoardView", "Positions", "SnakeBoards", "SnakeView", "positions_of", "steps_from"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass
class Positions:
    """N positions of the game on boards of ``size`` x ``size``."""

    size: int
    life: npt.NDArray[np.int16]  # [N, C]
    head: Integers  # [N] cell
    heading: Integers  # [N] the move that led from the neck to the head
    length: Integers  # [N]
    food: Integers  # [N] cell, -1: none, the board is full

    def __len__(self) -> int:
        return len(self.head)

    def take(self, rows: npt.NDArray[np.bool_] | Integers) -> Positions:
        """Some of the positions."""
        return Positions(self.size, *(getattr(self, one.name)[rows] for one in fields(self)[1:]))

    def body(self, index: int) -> Body:
        """The cells of one snake, head first."""
        return tuple(np.argsort(-self.life[index], kind="stable")[: self.length[index]].tolist())


def positions_of(bodies: list[tuple[Body, int]], size: int) -> Positions:
    """Bodies (head first) with their food as arrays."""
    life = np.zeros((len(bodies), size * size), dtype=np.int16)
    length = np.array([len(body) for body, _ in bodies], dtype=np.int64)
    rows = np.repeat(np.arange(len(bodies)), length)
    order = np.arange(len(rows)) - np.repeat(np.cumsum(length) - length, length)
    life[rows, np.array([cell for body, _ in bodies for cell in body])] = np.repeat(length, length) - order
    head, neck = (np.array([body[at] for body, _ in bodies], dtype=np.int64) for at in (0, 1))
    heading = (steps_from(size)[neck] == head[:, None]).argmax(1)
    return Positions(size, life, head, heading, length, np.array([food for _, food in bodies], dtype=np.int64))


def steps_from(size: int) -> Integers:
    """The cells [C, 4] that the moves lead to from each cell; -1 is the wall."""
    return np.array([neighbours(cell, size) for cell in range(size * size)], dtype=np.int64)


class SnakeView(Protocol):
    """What a player sees of a position, and which moves its actions are."""

    size: int
    shape: tuple[int, ...]  # of an observation
    actions: int

    def observe(self, positions: Positions) -> Floats:
        """[N, *shape]."""
        ...

    def moves(self, positions: Positions, actions: Integers) -> Integers:
        """The moves [N] (up, right, down, left) that the actions [N] are."""
        ...


class BoardView:
    """The whole board as it lies, [3, S, S]: what `Snake` itself shows. Actions are up, right, down, left."""

    actions = len(MOVES)

    def __init__(self, size: int) -> None:
        self.size = size
        self.shape: tuple[int, ...] = (3, size, size)

    def observe(self, positions: Positions) -> Floats:
        """The head; the body, 1 at the head, falling to 1 / length at the tail; the food."""
        num, rows = len(positions), np.arange(len(positions))
        planes = np.zeros((num, 3, self.size**2), dtype=np.float32)
        planes[rows, 0, positions.head] = 1
        length = positions.length[:, None]
        order = (length - positions.life).astype(np.float32) / length.astype(np.float32)
        planes[:, 1] = np.where(positions.life > 0, 1 - order, 0)
        eats = positions.food >= 0
        planes[rows[eats], 2, positions.food[eats]] = 1
        return planes.reshape(num, *self.shape)

    def moves(self, positions: Positions, actions: Integers) -> Integers:
        """The actions themselves."""
        return actions


class SnakeBoards:
    """N games in this process, each begun again when it ends; in use the same as `worlds.Worlds`.

    ``limit`` steps without food end a game as truncated (0: never).
    """

    def __init__(self, view: SnakeView, num: int, seed: int, limit: int = 0) -> None:
        self._view, self._seed, self._limit = view, seed, limit
        size = view.size
        self._starts = positions_of([(body, 0) for body in starts(size)], size)
        self._steps = steps_from(size)
        self._draws: list[np.random.Generator] = [np.random.default_rng(0)] * num
        self._episodes = np.full(num, -1)
        self._hungry, self._score, self._played = (np.zeros(num, dtype=np.int64) for _ in range(3))
        self._at = self._starts.take(np.zeros(num, dtype=np.int64))
        self._begin(np.arange(num))
        self.observations: Floats = view.observe(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def step(self, actions: Integers) -> Moved:
        """Take one action [N] on each board."""
        died, ate = self._move(self._view.moves(self._at, np.asarray(actions)))
        won = self._at.food < 0
        terminated = died | won
        truncated = ~terminated & (self._hungry >= self._limit) if self._limit else np.zeros_like(died)
        led_to = self._view.observe(self._at)
        over = np.flatnonzero(terminated | truncated)
        finished = tuple(
            Episode(float(self._score[one]) - float(died[one]), int(self._played[one]), float(self._score[one]))
            for one in over
        )
        self.observations = led_to
        if len(over):
            self._begin(over)
            self.observations = led_to.copy()
            self.observations[over] = self._view.observe(self._at.take(over))
        rewards = ate.astype(np.float64) - died
        return Moved(self.observations, led_to, rewards, terminated, truncated, finished)

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, as tensors; copies."""
        at = self._at
        held: dict[str, npt.NDArray[Any]] = {
            "life": at.life, "head": at.head, "heading": at.heading, "length": at.length, "food": at.food,
            "episodes": self._episodes, "hungry": self._hungry, "score": self._score, "played": self._played,
        }  # fmt: skip
        return {name: torch.from_numpy(array.copy()) for name, array in held.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Bring every board to where `state` found it, its generator included."""
        held = {name: tensor.numpy().copy() for name, tensor in state.items()}
        names = [one.name for one in fields(Positions)[1:]]
        self._at = Positions(self._view.size, *(held[name] for name in names))
        self._episodes, self._hungry = held["episodes"], held["hungry"]
        self._score, self._played = held["score"], held["played"]
        cells = self._view.size**2
        for one, score in enumerate(self._score.tolist()):
            # What a game has drawn is a start, and a cell for each food among those that were free then.
            draw = self._draws[one] = self._seeded(one)
            draw.integers(len(self._starts))
            for length in range(2, 3 + score):
                if length < cells:
                    draw.integers(cells - length)
        self.observations = self._view.observe(self._at)

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """What a board looks like now, [H, W, 3]."""
        food = int(self._at.food[index])
        return picture(self._at.body(index), None if food < 0 else food, self._view.size)

    def close(self) -> None:
        """Nothing is held outside."""

    def _move(self, moves: Integers) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Move every snake that survives its move: who died [N], who ate [N]."""
        at, rows = self._at, np.arange(len(self))
        self._hungry += 1
        self._played += 1
        target = self._steps[at.head, moves]
        back = moves == (at.heading + 2) % 4  # never free, though the tail of two cells leaves
        died = (target < 0) | back | (at.life[rows, target] > 1)
        ate = ~died & (target == at.food)
        at.life -= ((at.life > 0) & ~(died | ate)[:, None]).astype(np.int16)
        at.length += ate
        moved = np.flatnonzero(~died)
        at.head[moved], at.heading[moved] = target[moved], moves[moved]
        at.life[moved, at.head[moved]] = at.length[moved]
        self._score += ate
        self._hungry[ate] = 0
        self._place_food(np.flatnonzero(ate))
        return died, ate

    def _begin(self, boards: Integers) -> None:
        """The next game on each of some boards."""
        self._episodes[boards] += 1
        for one in boards.tolist():
            self._draws[one] = self._seeded(one)
        chosen = np.array([self._draws[one].integers(len(self._starts)) for one in boards.tolist()])
        begun = self._starts.take(chosen)
        for one in fields(Positions)[1:]:
            getattr(self._at, one.name)[boards] = getattr(begun, one.name)
        self._hungry[boards] = self._score[boards] = self._played[boards] = 0
        self._place_food(boards)

    def _place_food(self, boards: Integers) -> None:
        """Food on a free cell, each as likely; none where the board is full."""
        for one in boards.tolist():
            free = np.flatnonzero(self._at.life[one] == 0)
            self._at.food[one] = free[self._draws[one].integers(len(free))] if len(free) else -1

    def _seeded(self, one: int) -> np.random.Generator:
        return np.random.default_rng(episode_seed(self._seed, one, int(self._episodes[one])))
