"""What a player of Snake may be shown instead of the whole board: the board from the head, and paths ahead.

N positions, S side, R reach, W = 2 R + 1 side of the window, C = S x S cells.

`HeadView`   float32 [3 W W + 3]   around the head, turned so that the snake looks up:
             taken (wall or body), life as a share of C, food; then how far ahead and to the right the food lies,
             in sides of the board, and the share of the board that the snake fills
`PathView`   float32 [3 W W + 3 + 3 x 5]   and, for each of the three moves, what a search finds (see `searched`)

Actions are three: left, ahead, right. With a reach of S - 1 the window holds every cell, so that nothing is hidden;
the four turns of a board are one observation, which is what makes learning from this view quicker.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sevenfold.training.reinforcement.boards import Floats, Integers, Positions, steps_from
from sevenfold.training.reinforcement.snake import MOVES

__all__ = ["HeadView", "PathView", "searched"]

_TURNS = np.array([-1, 0, 1])  # left, ahead, right, of moves in clockwise order
_SEARCHED = 5


class HeadView:
    """The board around the head, turned with it; ``reach`` cells each way, 0: the whole board."""

    actions = len(_TURNS)

    def __init__(self, size: int, reach: int = 0) -> None:
        self.size = size
        self.reach = min(reach or size - 1, size - 1)
        self._window = _windows(size, self.reach)
        self.shape: tuple[int, ...] = (3 * self._window.shape[-1] + 3,)

    def observe(self, positions: Positions) -> Floats:
        """[N, 3 W W + 3]."""
        num, cells, rows = len(positions), self.size**2, np.arange(len(positions))
        life = np.zeros((num, cells + 1), dtype=np.int16)  # one more: what lies outside
        life[:, :cells] = positions.life
        life[:, cells] = -1
        food = np.zeros((num, cells + 2), dtype=np.bool_)
        food[rows, positions.food] = True  # -1 is the last, which no window shows
        window = self._window[positions.heading, positions.head]
        around = np.take_along_axis(life, window, axis=1)
        meals = np.take_along_axis(food, window, axis=1)
        shares = np.maximum(around, 0).astype(np.float32) / cells
        return np.concatenate([around != 0, shares, meals, self._where(positions)], axis=1, dtype=np.float32)

    def moves(self, positions: Positions, actions: Integers) -> Integers:
        """Left, ahead and right, as the snake looks, to up, right, down and left."""
        turned: Integers = (positions.heading + _TURNS[actions]) % len(MOVES)
        return turned

    def _where(self, positions: Positions) -> npt.NDArray[np.float64]:
        """How far ahead and to the right the food is, in sides; the share of the board that is filled [N, 3]."""
        down, right = (there - here for there, here in zip(
            divmod(positions.food, self.size), divmod(positions.head, self.size), strict=True
        ))  # fmt: skip
        ahead_down, ahead_right = np.array(MOVES)[positions.heading].T
        ahead = down * ahead_down + right * ahead_right
        aside = right * -ahead_down + down * ahead_right  # clockwise from ahead
        there = positions.food >= 0
        filled = positions.length / self.size**2
        return np.stack([ahead * there / self.size, aside * there / self.size, filled], axis=1)


class PathView(HeadView):
    """The board around the head, and what a search finds behind each of the three moves."""

    def __init__(self, size: int, reach: int = 0) -> None:
        super().__init__(size, reach)
        self._steps = steps_from(size)
        self.shape = (*np.add(self.shape, self.actions * _SEARCHED).tolist(),)

    def observe(self, positions: Positions) -> Floats:
        """[N, 3 W W + 3 + 15]."""
        found = searched(positions, self._steps)
        return np.concatenate([super().observe(positions), found.reshape(len(positions), -1)], axis=1)


def searched(positions: Positions, steps: Integers) -> Floats:
    """What lies behind left, ahead and right [N, 3, 5]; zeros behind a move that dies.

    0  1 if the move survives
    1  1 / (1 + steps of the shortest path from there to the food around the body as it lies), 0 without a path
    2  share of the cells not taken that can be reached from there
    3  1 if the tail can be reached from there
    4  1 if there is a path to the food that the other moves do not undercut: the greedy player's moves
    """
    num, size = len(positions), positions.size
    moves = (positions.heading[:, None] + _TURNS) % len(MOVES)
    target = steps[positions.head[:, None], moves]  # [N, 3]
    life = np.take_along_axis(positions.life, np.maximum(target, 0), axis=1)
    alive = (target >= 0) & (life <= 1)
    free = _bits((positions.life <= 1).reshape(num, size, size))
    away = _distances(free, positions.food, target, size)
    reached = _flooded(np.repeat(free, 3, axis=0), _cells(np.where(alive, target, -1).ravel(), size))
    tail = _cells(np.repeat((positions.life == 1).argmax(1), 3), size)
    # The tail's own cell is free once it has moved on; it is reached where the flood gets there.
    meets = (reached & tail).any(1).reshape(num, 3)
    open_cells = np.maximum((positions.life <= 1).sum(1, keepdims=True), 1)
    room = _counted(reached).reshape(num, 3) / open_cells
    path = alive & (away >= 0)
    near = np.where(path, away, np.iinfo(np.int64).max)
    best = path & (near == near.min(1, keepdims=True))
    columns = [alive, np.where(path, 1 / (1.0 + np.maximum(away, 0)), 0), room * alive, meets & alive, best]
    return np.stack(columns, axis=2).astype(np.float32)


def _windows(size: int, reach: int) -> Integers:
    """Which cell each place of the window shows [4 headings, C, W W]; C for what lies outside."""
    place = np.arange(-reach, reach + 1)
    back, aside = (one.ravel() for one in np.meshgrid(place, place, indexing="ij"))  # up is ahead
    windows = []
    for ahead_down, ahead_right in MOVES:
        row = np.arange(size**2)[:, None] // size - back * ahead_down + aside * ahead_right
        column = np.arange(size**2)[:, None] % size - back * ahead_right - aside * ahead_down
        inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
        windows.append(np.where(inside, row * size + column, size**2))
    return np.array(windows, dtype=np.int64)


# Searches on whole batches keep a board as S rows of bits, so that a step in all directions is a few shifts.


def _bits(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """[N, S, S] -> [N, S], column c in bit c."""
    places = np.left_shift(np.uint64(1), np.arange(cells.shape[2], dtype=np.uint64))
    rows: npt.NDArray[np.uint64] = np.where(cells, places, np.uint64(0)).sum(2, dtype=np.uint64)
    return rows


def _cells(cell: Integers, size: int) -> npt.NDArray[np.uint64]:
    """One cell of each board [N] -> [N, S]; none for -1."""
    found = np.zeros((len(cell), size), dtype=np.uint64)
    there = np.flatnonzero(cell >= 0)
    row, column = divmod(cell[there], size)
    found[there, row] = np.left_shift(np.uint64(1), column.astype(np.uint64))
    return found


def _spread(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The cells, and those beside, above and below them; bits beyond the side are the caller's to mask."""
    one = np.uint64(1)
    grown = bits | np.left_shift(bits, one) | np.right_shift(bits, one)
    grown[:, 1:] |= bits[:, :-1]
    grown[:, :-1] |= bits[:, 1:]
    return grown


def _flooded(free: npt.NDArray[np.uint64], seeds: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """All that can be reached from the seeds through free cells [N, S]."""
    reached = seeds
    while True:
        grown = (_spread(reached) & free) | seeds
        if np.array_equal(grown, reached):
            return reached
        reached = grown


def _distances(free: npt.NDArray[np.uint64], food: Integers, target: Integers, size: int) -> Integers:
    """Steps [N, 3] from each target to the food through free cells, -1 without a path."""
    away = np.full(target.shape, -1, dtype=np.int64)
    rows, columns = divmod(np.maximum(target, 0), size)
    boards = np.arange(len(food))[:, None]
    reached = _cells(food, size)
    step = 0
    while True:
        there = (np.right_shift(reached[boards, rows], columns.astype(np.uint64)) & np.uint64(1)) > 0
        away[there & (target >= 0) & (away < 0)] = step
        grown = _spread(reached) & free
        grown |= reached
        if np.array_equal(grown, reached):
            return away
        reached, step = grown, step + 1


def _counted(bits: npt.NDArray[np.uint64]) -> Integers:
    """Set bits of each board [N]."""
    octets = np.ascontiguousarray(bits).view(np.uint8)
    counts: Integers = _ONES[octets].reshape(len(bits), -1).sum(1, dtype=np.int64)
    return counts


_ONES = np.array([bin(octet).count("1") for octet in range(256)], dtype=np.uint8)
