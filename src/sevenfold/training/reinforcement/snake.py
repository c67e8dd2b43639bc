"""Snake on a board of S x S cells, in gymnasium's interface. Knows no agent.

The snake moves one cell a step: up, right, down or left. Food makes it one cell longer and appears again on a free
cell, each as likely. The game ends on the wall, on its own body (turning straight back included), and, won, when
the body fills the board. The cell that the tail leaves in the same step is free, but not to turn straight back.

    observation   float32 [3, S, S]: the head; the body, 1 at the head, falling to 1 / length at the tail; the food
    reward        +1 for food, -1 for dying, 0 otherwise

The observation says everything, so that the game is a Markov decision process (`markov` solves the board of 4 x 4).

>>> game = Snake(size=4)
>>> observation, _ = game.reset(seed=0)
>>> observation.shape, float(observation[2].sum())
((3, 4, 4), 1.0)
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from sevenfold.errors import UsageError

__all__ = ["MOVES", "Snake", "greedy_move", "moved_snake", "neighbours", "observed", "picture", "starts"]

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left
Body = tuple[int, ...]  # cells row * size + column, head first


def starts(size: int) -> list[Body]:
    """Every body that a game may begin with: two cells side by side, each as likely."""
    return [
        (cell, neighbour) for cell in range(size * size) for neighbour in neighbours(cell, size) if neighbour >= 0
    ]


def moved_snake(body: Body, food: int, action: int, size: int) -> tuple[Body, bool] | None:
    """The body after a move and whether it ate; None where it dies."""
    head = neighbours(body[0], size)[action]
    if head < 0:
        return None
    eats = head == food
    rest = body if eats else body[:-1]
    if head in rest or head == body[1]:
        return None
    return (head, *rest), eats


def observed(body: Body, food: int | None, size: int) -> npt.NDArray[np.float32]:
    """What the player sees, [3, size, size]."""
    planes = np.zeros((3, size * size), dtype=np.float32)
    planes[0, body[0]] = 1
    planes[1, list(body)] = 1 - np.arange(len(body), dtype=np.float32) / len(body)
    if food is not None:
        planes[2, food] = 1
    return planes.reshape(3, size, size)


def neighbours(cell: int, size: int) -> list[int]:
    """The cells above, right, below and left; -1 is the wall."""
    row, column = divmod(cell, size)
    found = []
    for down, right in MOVES:
        inside = 0 <= row + down < size and 0 <= column + right < size
        found.append((row + down) * size + column + right if inside else -1)
    return found


class Snake(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """The game; ``info`` holds the ``score``, the food eaten so far.

    ``limit`` steps without food end the game as truncated (0: never).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 8}

    def __init__(self, size: int = 10, limit: int = 0, render_mode: str | None = None) -> None:
        if size < 2:
            raise UsageError("Snake needs a board to move on", got=f"size={size}", expected="at least 2")
        self.size, self.limit, self.render_mode = size, limit, render_mode
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (3, size, size), np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))
        self.body: Body = ()
        self.food: int | None = None
        self.score = 0
        self._hungry = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        begins = starts(self.size)
        self.body = begins[self.np_random.integers(len(begins))]
        self.score = self._hungry = 0
        self._place_food()
        return observed(self.body, self.food, self.size), {"score": 0}

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        assert self.food is not None, "reset first"
        self._hungry += 1
        moved = moved_snake(self.body, self.food, int(action), self.size)
        if moved is None:
            return observed(self.body, self.food, self.size), -1.0, True, False, {"score": self.score}
        self.body, ate = moved
        if ate:
            self.score += 1
            self._hungry = 0
            self._place_food()
        truncated = bool(self.limit) and self._hungry >= self.limit
        seen = observed(self.body, self.food, self.size)
        return seen, float(ate), self.food is None, truncated and self.food is not None, {"score": self.score}

    def render(self) -> npt.NDArray[np.uint8]:
        """The board as a picture [16 S, 16 S, 3]: food red, head bright green, body green, fading to the tail."""
        return picture(self.body, self.food, self.size)

    def _place_food(self) -> None:
        taken = set(self.body)
        free = [cell for cell in range(self.size**2) if cell not in taken]
        self.food = free[self.np_random.integers(len(free))] if free else None


def picture(body: Body, food: int | None, size: int, cell: int = 16) -> npt.NDArray[np.uint8]:
    """A board as pixels [cell * size, cell * size, 3]."""
    board = np.full((size * size, 3), 24, dtype=np.uint8)
    for place, at in enumerate(body):
        fade = 1 - 0.6 * place / max(1, len(body) - 1)
        board[at] = (int(60 * fade), int(200 * fade), int(90 * fade))
    if body:
        board[body[0]] = (150, 255, 150)
    if food is not None:
        board[food] = (230, 70, 60)
    pixels = board.reshape(size, size, 3).repeat(cell, axis=0).repeat(cell, axis=1)
    pixels[::cell] = pixels[:, ::cell] = 12
    return pixels


def greedy_move(observation: npt.NDArray[np.float32]) -> int:
    """The first move of a shortest path to the food around the body as it lies; else any move that survives.

    What a person would program first, and the baseline that an agent has to beat.
    """
    size = observation.shape[-1]
    planes = observation.reshape(3, size * size)
    order = np.argsort(-planes[1], kind="stable")
    body = tuple(int(cell) for cell in order[: int((planes[1] > 0).sum())])
    food = int(planes[2].argmax())
    blocked = {*body[:-1], body[1]}
    first: dict[int, int] = {}
    frontier = [body[0]]
    while frontier and food not in first:
        following = []
        for cell in frontier:
            for action, neighbour in enumerate(neighbours(cell, size)):
                if neighbour >= 0 and neighbour not in blocked and neighbour not in first:
                    first[neighbour] = first.get(cell, action)
                    following.append(neighbour)
        frontier = following
    if food in first:
        return first[food]
    alive = [action for action in range(len(MOVES)) if moved_snake(body, food, action, size) is not None]
    return alive[0] if alive else 0
