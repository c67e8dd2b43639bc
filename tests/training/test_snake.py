"""Snake: gymnasium's own checks, the rules, and that the game plays the process that is solved exactly."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sevenfold.errors import UsageError
from sevenfold.training.reinforcement.markov import snake_process
from sevenfold.training.reinforcement.snake import MOVES, Snake, greedy_move, moved_snake, observed, starts

UP, RIGHT, DOWN, LEFT = range(4)


@pytest.mark.parametrize("size", [4, 10])
def test_gymnasium_finds_nothing_wrong(size):
    check_env(Snake(size), skip_render_check=True)


def test_the_rules_of_a_move():
    body = (5, 4)  # on a board of 4 x 4: head at row 1, column 1, tail to its left
    assert moved_snake(body, 6, RIGHT, 4) == ((6, 5, 4), True)
    assert moved_snake(body, 0, RIGHT, 4) == ((6, 5), False)
    assert moved_snake((3, 2), 0, UP, 4) is None  # the wall
    assert moved_snake((3, 2), 0, RIGHT, 4) is None
    assert moved_snake((5, 4, 0), 9, LEFT, 4) is None  # straight back
    assert moved_snake((5, 4), 9, LEFT, 4) is None
    square = (0, 1, 5, 4)
    assert moved_snake(square, 15, DOWN, 4) == ((4, 0, 1, 5), False)  # the tail has left
    assert moved_snake((0, 1, 5, 4, 8), 15, DOWN, 4) is None


def test_a_game_is_the_same_for_a_seed_and_ends_as_it_should():
    outcomes = []
    for _ in range(2):
        game = Snake(5, limit=60)
        draw = np.random.default_rng(0)
        seen, _ = game.reset(seed=3)
        total, steps = 0.0, 0
        while True:
            seen, reward, terminated, truncated, info = game.step(np.int64(draw.integers(4)))
            total, steps = total + reward, steps + 1
            assert seen.shape == (3, 5, 5)
            assert seen[0].sum() == 1
            assert (seen[1] > 0).sum() == len(game.body) == 2 + info["score"]
            if terminated or truncated:
                break
        assert total == info["score"] - (1 if terminated else 0)
        outcomes.append((total, steps, seen.tobytes()))
    assert outcomes[0] == outcomes[1]


def test_hunger_cuts_a_game_off():
    game = Snake(4, limit=8)
    game.reset(seed=0)
    game.body, game.food = (0, 1), 15
    for action in (DOWN, RIGHT, UP, LEFT, DOWN, RIGHT, UP):
        assert game.step(np.int64(action))[2:4] == (False, False)
    assert game.step(np.int64(LEFT))[2:4] == (False, True)


def test_the_game_is_won_when_the_board_is_full():
    game = Snake(2)
    game.reset(seed=0)
    game.body, game.food = (0, 1, 3), 2
    seen, reward, terminated, truncated, info = game.step(np.int64(DOWN))
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert seen[2].sum() == 0
    assert info["score"] == 1


def test_every_move_of_played_games_is_an_outcome_of_the_process():
    solved = snake_process(3)
    process = solved.process
    outcomes = {(s, a): {} for s, a in zip(process.state.tolist(), process.action.tolist(), strict=True)}
    for row in range(len(process.state)):
        at = (int(process.state[row]), int(process.action[row]))
        outcomes[at][int(process.following[row])] = (process.probability[row], process.reward[row])
    draw = np.random.default_rng(1)
    counts: dict[tuple[int, int], dict[int, int]] = {}
    game = Snake(3)
    for seed in range(400):
        game.reset(seed=seed)
        over = False
        while not over:
            state = solved.number[game.body, game.food]
            action = int(draw.integers(4))
            _, reward, over, _, _ = game.step(np.int64(action))
            following = -1 if over else solved.number[game.body, game.food]
            assert outcomes[state, action][following][1] == reward
            tally = counts.setdefault((state, action), {})
            tally[following] = tally.get(following, 0) + 1
    known = set(solved.number.values())
    assert known == set(range(process.num_states))


def test_the_numbers_of_positions():
    """Of 2 x 2 by hand: 8 bodies of two cells with 2 places for food, 8 of three cells with 1."""
    assert snake_process(2).process.num_states == 8 * 2 + 8
    assert len(starts(3)) == 24
    assert snake_process(3).process.num_states == _paths_with_food(3) == 1968


def _paths_with_food(size):
    """All bodies of two cells and more that fit on the board, times the free cells."""
    total = 0

    def grow(path):
        nonlocal total
        free = size * size - len(path)
        total += free if len(path) >= 2 else 0
        row, column = divmod(path[-1], size)
        for down, right in MOVES:
            cell = (row + down) * size + column + right
            if 0 <= row + down < size and 0 <= column + right < size and cell not in path:
                grow([*path, cell])

    for cell in range(size * size):
        grow([cell])
    return total


def test_the_greedy_player_goes_straight_to_the_food_and_avoids_walls():
    assert greedy_move(observed((5, 4), 7, 4)) == RIGHT
    assert greedy_move(observed((0, 1), 15, 4)) == DOWN
    game, scores = Snake(6, limit=150), []
    for seed in range(10):
        seen, _ = game.reset(seed=seed)
        over = False
        while not over:
            seen, _, terminated, truncated, info = game.step(np.int64(greedy_move(seen)))
            over = terminated or truncated
        scores.append(info["score"])
    assert np.mean(scores) > 12


def test_a_board_without_room_is_refused():
    with pytest.raises(UsageError, match="needs a board"):
        Snake(1)
