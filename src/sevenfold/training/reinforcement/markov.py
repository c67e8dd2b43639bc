"""Markov decision processes that are small enough to be solved exactly, and tabular Q-learning held to them.

    Q*(s, a) = sum_s' P(s' | s, a) (r(s, a, s') + gamma max_a' Q*(s', a'))        Bellman 1957
    Q(s, a) <- Q(s, a) + alpha (r + gamma max_a' Q(s', a') - Q(s, a))             Watkins 1989

A process is held as its outcomes: row i says that in state ``state[i]`` action ``action[i]`` leads with
``probability[i]`` to state ``following[i]`` and pays ``reward[i]``. State -1 is the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sevenfold.errors import UsageError
from sevenfold.training.reinforcement.snake import MOVES, Body, moved_snake, starts

__all__ = [
    "LARGEST_SOLVED",
    "DecisionProcess",
    "SnakeProcess",
    "policy_value",
    "q_learning",
    "snake_process",
    "value_iteration",
]

LARGEST_SOLVED = 4  # cells a side
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DecisionProcess:
    """All outcomes of a finite process; raises UsageError where probabilities do not sum to 1."""

    num_states: int
    num_actions: int
    state: Integers
    action: Integers
    following: Integers
    probability: Floats
    reward: Floats

    def __post_init__(self) -> None:
        sums = np.bincount(self._pairs, self.probability, self.num_states * self.num_actions)
        wrong = np.flatnonzero(~np.isclose(sums, 1, atol=1e-9))
        if len(wrong):
            at, action = divmod(int(wrong[0]), self.num_actions)
            raise UsageError(
                "what follows a state and an action has probability 1 in all",
                got=f"{sums[wrong[0]]:.6g} in state {at}, action {action}",
                expected="1",
            )

    @property
    def _pairs(self) -> Integers:
        return self.state * self.num_actions + self.action

    def expected(self, values: Floats, discount: float) -> Floats:
        """Q [states, actions] where ``values`` [states] are what the states are worth."""
        worth = np.where(self.following < 0, 0.0, values[self.following])
        outcome = self.probability * (self.reward + discount * worth)
        found = _summed(self._pairs, outcome, self.num_states * self.num_actions)
        return found.reshape(self.num_states, self.num_actions)


def value_iteration(process: DecisionProcess, discount: float, tolerance: float = 1e-9) -> Floats:
    """Q* [states, actions], each within ``tolerance``.

    >>> bandit = DecisionProcess(1, 2, *map(np.array, ([0, 0], [0, 1], [0, -1], [1.0, 1.0], [1.0, 5.0])))
    >>> value_iteration(bandit, 0.9).round(6).tolist()      # 1 for ever is worth 10, which is more than 5 once
    [[10.0, 5.0]]
    """
    if not 0 <= discount < 1:
        raise UsageError("value iteration ends for a discount below 1", got=discount, expected="0 <= discount < 1")
    values = np.zeros(process.num_states)
    while True:
        q = process.expected(values, discount)
        moved = float(np.abs(q.max(1) - values).max())
        values = q.max(1)
        if moved * discount <= tolerance * (1 - discount):  # the contraction bounds what is still to come
            return process.expected(values, discount)


def policy_value(process: DecisionProcess, policy: Integers, discount: float, tolerance: float = 1e-9) -> Floats:
    """What each state [states] is worth where ``policy`` [states] names the action taken in it."""
    chosen = policy[process.state] == process.action
    state, following = process.state[chosen], process.following[chosen]
    weight, reward = process.probability[chosen], process.reward[chosen]
    values = np.zeros(process.num_states)
    while True:
        worth = np.where(following < 0, 0.0, values[following])
        found = _summed(state, weight * (reward + discount * worth), process.num_states)
        moved, values = float(np.abs(found - values).max()), found
        if moved * discount <= tolerance * (1 - discount):
            return values


def q_learning(
    process: DecisionProcess,
    start: Sequence[float],
    *,
    discount: float,
    steps: int,
    epsilon: float = 0.2,
    rate_power: float = 0.7,
    seed: int = 0,
) -> Floats:
    """Q [states, actions] learned from ``steps`` sampled moves; ``start`` [states]: how likely games begin there.

    The learning rate of a state and action falls as 1 / visits ** rate_power, with which Q converges to Q* where
    every pair is visited for ever (Watkins & Dayan 1992).
    """
    draw = np.random.default_rng(seed)
    q = np.zeros((process.num_states, process.num_actions))
    visits = np.zeros_like(q)
    order = np.argsort(process._pairs, kind="stable")
    first = np.searchsorted(process._pairs[order], np.arange(q.size + 1))
    begin = np.cumsum(np.asarray(start, dtype=np.float64) / np.sum(start))
    state = int(np.searchsorted(begin, draw.random()))
    for _ in range(steps):
        explores = draw.random() < epsilon
        action = int(draw.integers(process.num_actions)) if explores else int(q[state].argmax())
        pair = state * process.num_actions + action
        rows = order[first[pair] : first[pair + 1]]
        row = rows[min(len(rows) - 1, int(np.searchsorted(np.cumsum(process.probability[rows]), draw.random())))]
        following = int(process.following[row])
        target = process.reward[row] + (0.0 if following < 0 else discount * q[following].max())
        visits[state, action] += 1
        q[state, action] += (target - q[state, action]) / visits[state, action] ** rate_power
        state = following if following >= 0 else int(np.searchsorted(begin, draw.random()))
    return q


@dataclass(frozen=True, eq=False)
class SnakeProcess:
    """Snake on a small board as a process, and which state a position is."""

    process: DecisionProcess
    number: dict[tuple[Body, int], int]
    start: Floats  # probability of each state to begin with

    def value_of_start(self, q: Floats) -> float:
        """The expected discounted return of a game played by max Q."""
        return float(self.start @ q.max(1))


def snake_process(size: int) -> SnakeProcess:
    """Every position that can be reached on a board, and every outcome of every move in it.

    The board of 3 x 3 has 1,968 states and that of 4 x 4 143,128; larger ones do not fit.
    """
    if not 2 <= size <= LARGEST_SOLVED:
        raise UsageError("Snake is solved exactly on small boards", got=f"size={size}", expected="2, 3 or 4")
    number: dict[tuple[Body, int], int] = {}
    begin: dict[int, float] = {}
    waiting: list[tuple[Body, int]] = []

    def known(body: Body, food: int) -> int:
        found = number.setdefault((body, food), len(number))
        if found == len(number) - 1 and len(waiting) <= found:
            waiting.append((body, food))
        return found

    bodies = starts(size)
    for body in bodies:
        free = _free(body, size)
        for food in free:
            state = known(body, food)
            begin[state] = begin.get(state, 0.0) + 1 / len(bodies) / len(free)
    rows: list[tuple[int, int, int, float, float]] = []
    at = 0
    while at < len(waiting):
        body, food = waiting[at]
        for action in range(len(MOVES)):
            moved = moved_snake(body, food, action, size)
            if moved is None:
                rows.append((at, action, -1, 1.0, -1.0))
                continue
            after, ate = moved
            if not ate:
                rows.append((at, action, known(after, food), 1.0, 0.0))
                continue
            free = _free(after, size)
            if not free:
                rows.append((at, action, -1, 1.0, 1.0))
            rows.extend((at, action, known(after, cell), 1 / len(free), 1.0) for cell in free)
        at += 1
    table = np.array(rows, dtype=np.float64)
    process = DecisionProcess(
        num_states=len(number),
        num_actions=len(MOVES),
        state=table[:, 0].astype(np.int64),
        action=table[:, 1].astype(np.int64),
        following=table[:, 2].astype(np.int64),
        probability=table[:, 3],
        reward=table[:, 4],
    )
    start = np.zeros(len(number))
    start[list(begin)] = list(begin.values())
    return SnakeProcess(process, number, start)


def _summed(places: Integers, amounts: Floats, num: int) -> Floats:
    return np.asarray(np.bincount(places, amounts, num), dtype=np.float64)


def _free(body: Body, size: int) -> list[int]:
    taken = set(body)
    return [cell for cell in range(size * size) if cell not in taken]
