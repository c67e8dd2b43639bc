"""An agent for Snake held to the best play there is, over every position of a small board.

The game is solved by value iteration (`markov`), and the agent's likeliest action in each of its positions is
evaluated exactly, without playing: hunger does not end a game here, so that a snake that goes round for ever earns
nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sevenfold.training.reinforcement.boards import SnakeView, positions_of
from sevenfold.training.reinforcement.markov import SnakeProcess, policy_value, snake_process, value_iteration

__all__ = ["held_to_optimum"]

_AT_ONCE = 8192  # positions shown to the agent together


def held_to_optimum(
    view: SnakeView, act: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], discount: float
) -> dict[str, float]:
    """The exact value of a game's start under ``act`` (observations -> actions), under best play, and their ratio.

    Raises UsageError for a board that is too large to be solved.
    """
    solved, optimum = _solved(view.size, discount)
    positions = positions_of(list(solved.number), view.size)
    moves = []
    for first in range(0, len(positions), _AT_ONCE):
        some = positions.take(np.arange(first, min(first + _AT_ONCE, len(positions))))
        moves.append(view.moves(some, np.asarray(act(view.observe(some)))))
    value = float(solved.start @ policy_value(solved.process, np.concatenate(moves), discount))
    return {"exact_value": value, "exact_optimum": optimum, "share_of_optimum": value / optimum}


@lru_cache(maxsize=1)
def _solved(size: int, discount: float) -> tuple[SnakeProcess, float]:
    solved = snake_process(size)
    return solved, solved.value_of_start(value_iteration(solved.process, discount))
