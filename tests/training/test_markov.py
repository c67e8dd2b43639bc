"""Exact solutions held to closed forms, and what learning by sampling comes to beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sevenfold.errors import UsageError
from sevenfold.training.reinforcement.markov import (
    DecisionProcess,
    policy_value,
    q_learning,
    snake_process,
    value_iteration,
)
from sevenfold.training.reinforcement.snake import Snake, greedy_move


def chain(length: int, slip: float) -> DecisionProcess:
    """A corridor: left or right, which happens with 1 - slip, else the other; +1 at the right end, the end."""
    rows = []
    for state in range(length):
        for action, direction in ((0, -1), (1, 1)):
            for weight, way in ((1 - slip, direction), (slip, -direction)):
                if weight == 0:
                    continue
                at = max(0, state + way)
                rows.append((state, action, -1, weight, 1.0) if at == length else (state, action, at, weight, 0.0))
    table = np.array(rows)
    return DecisionProcess(length, 2, *(table[:, i].astype(np.int64) for i in range(3)), table[:, 3], table[:, 4])


def solved_by_linear_equations(process: DecisionProcess, policy: np.ndarray, discount: float) -> np.ndarray:
    matrix, paid = np.eye(process.num_states), np.zeros(process.num_states)
    for row in range(len(process.state)):
        state = process.state[row]
        if process.action[row] == policy[state]:
            paid[state] += process.probability[row] * process.reward[row]
            if process.following[row] >= 0:
                matrix[state, process.following[row]] -= discount * process.probability[row]
    return np.linalg.solve(matrix, paid)


def test_a_sure_corridor_is_worth_a_power_of_the_discount():
    q = value_iteration(chain(5, 0.0), 0.9)
    np.testing.assert_allclose(q[:, 1], 0.9 ** np.arange(4, -1, -1), atol=1e-8)
    np.testing.assert_allclose(q[1:, 0], 0.9 * q[:-1, 1], atol=1e-8)


def test_the_optimum_is_the_best_policy_by_linear_equations():
    process = chain(6, 0.3)
    q = value_iteration(process, 0.9)
    best = q.argmax(1)
    np.testing.assert_allclose(q.max(1), solved_by_linear_equations(process, best, 0.9), atol=1e-7)
    for other in np.ndindex(*[2] * 6):
        worth = solved_by_linear_equations(process, np.array(other), 0.9)
        assert (worth <= q.max(1) + 1e-7).all()
    np.testing.assert_allclose(
        policy_value(process, best, 0.9), solved_by_linear_equations(process, best, 0.9), atol=1e-7
    )


def test_q_learning_finds_the_optimum():
    process = chain(4, 0.1)
    exact = value_iteration(process, 0.8)
    learned = q_learning(process, [1, 0, 0, 0], discount=0.8, steps=120_000, epsilon=0.5, seed=0)
    assert np.abs(learned - exact).max() < 0.02
    assert (learned.argmax(1) == exact.argmax(1)).all()
    swapped = replace(process, action=1 - process.action)
    assert np.abs(learned - value_iteration(swapped, 0.8)).max() > 0.02  # the test sees swapped actions


def test_q_learning_on_snake_comes_near_the_optimum():
    solved = snake_process(2)
    exact = value_iteration(solved.process, 0.9)
    learned = q_learning(solved.process, solved.start.tolist(), discount=0.9, steps=60_000, epsilon=0.3, seed=1)
    reached = policy_value(solved.process, learned.argmax(1), 0.9)
    assert float(solved.start @ reached) == pytest.approx(solved.value_of_start(exact), abs=1e-6)


def test_snake_of_2_by_2_is_worth_what_a_person_works_out():
    """Of the two free cells one is beside the head and one beside the tail. The first food is 1 step away, or 2;
    the second is on the last free cell, which the head stands beside: 1 step more. (g = 0.9: 1 + g, or g + g g.)"""
    solved = snake_process(2)
    q = value_iteration(solved.process, 0.9)
    assert solved.value_of_start(q) == pytest.approx((1 + 0.9 + 0.9 + 0.81) / 2, abs=1e-7)
    played = policy_value(solved.process, q.argmax(1), 0.9)
    np.testing.assert_allclose(played, q.max(1), atol=1e-7)


def test_outcomes_that_do_not_sum_to_one_are_named():
    with pytest.raises(UsageError, match=r"0\.5 in state 0, action 0"):
        DecisionProcess(1, 1, np.array([0]), np.array([0]), np.array([-1]), np.array([0.5]), np.array([0.0]))
    with pytest.raises(UsageError, match="below 1"):
        value_iteration(chain(2, 0.0), 1.0)
    with pytest.raises(UsageError, match="2, 3 or 4"):
        snake_process(7)


@pytest.mark.slow
def test_snake_on_4_by_4_has_the_optimum_that_the_log_states():
    solved = snake_process(4)
    assert solved.process.num_states == 143_128
    assert solved.value_of_start(value_iteration(solved.process, 0.95, 1e-6)) == pytest.approx(5.668, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "score"), [(4, 9.7), (10, 30.7)])
def test_the_greedy_path_eats_as_much_as_the_log_states(size, score):
    scores = []
    for seed in range(100):
        game = Snake(size, 4 * size * size)
        seen, _ = game.reset(seed=seed)
        over = False
        while not over:
            seen, _, terminated, truncated, info = game.step(np.int64(greedy_move(seen)))
            over = terminated or truncated
        scores.append(info["score"])
    assert np.mean(scores) == pytest.approx(score, abs=0.05)
