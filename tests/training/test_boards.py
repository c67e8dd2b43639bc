"""Boards stepped as arrays: the games of the plain environment, and views held to slow ones written out."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from sevenfold.errors import SevenfoldError
from sevenfold.recipes import RECIPES
from sevenfold.training.reinforcement.boards import BoardView, SnakeBoards, positions_of
from sevenfold.training.reinforcement.environments import ENVIRONMENTS, SnakeSettings
from sevenfold.training.reinforcement.markov import policy_value, snake_process, value_iteration
from sevenfold.training.reinforcement.playing import build_playing, evaluated
from sevenfold.training.reinforcement.snake import Snake, greedy_move, moved_snake, neighbours, observed
from sevenfold.training.reinforcement.solved import held_to_optimum
from sevenfold.training.reinforcement.views import HeadView, PathView
from sevenfold.training.reinforcement.worlds import Worlds

UP, RIGHT, DOWN, LEFT = range(4)
MOVED = ("observations", "led_to", "rewards", "terminated", "truncated")


def played_actions(seen, draw):
    """Mostly straight to the food, at times at random, so that snakes grow, starve, bite themselves and win."""
    greedy = np.array([greedy_move(one) for one in seen])
    return np.where(draw.random(len(seen)) < 0.9, greedy, draw.integers(0, 4, len(seen)))


@pytest.mark.parametrize(("size", "limit", "steps"), [(2, 0, 200), (3, 6, 300), (4, 9, 400), (9, 12, 200)])
def test_the_games_are_those_of_the_plain_environment(size, limit, steps):
    plain, boards = Worlds(lambda: Snake(size, limit), 5, 3), SnakeBoards(BoardView(size), 5, 3, limit)
    draw = np.random.default_rng(0)
    finished = []
    assert np.array_equal(plain.observations, boards.observations)
    for _ in range(steps):
        actions = played_actions(plain.observations, draw)
        one, other = plain.step(actions), boards.step(actions)
        for name in MOVED:
            mine, theirs = getattr(other, name), getattr(one, name)
            assert mine.dtype == theirs.dtype
            assert np.array_equal(mine, theirs), name
        assert one.finished == other.finished
        finished += one.finished
        assert np.array_equal(plain.observations, boards.observations)
    ends = {episode.total - (episode.score or 0) for episode in finished}
    assert ends == ({-1.0, 0.0})  # died; won or cut off
    if size == 2:
        assert max(episode.score for episode in finished) == 2  # won


def test_boards_brought_back_go_on_with_the_same_food():
    boards, draw = SnakeBoards(BoardView(4), 6, 1, limit=20), np.random.default_rng(2)
    for _ in range(80):
        boards.step(played_actions(boards.observations, draw))
    held = boards.state()
    again = SnakeBoards(BoardView(4), 6, 9, limit=20)
    again._seed = 1
    again.restore(held)
    assert np.array_equal(boards.observations, again.observations)
    eaten = 0.0
    for _ in range(80):
        actions = played_actions(boards.observations, draw)
        one, other = boards.step(actions), again.step(actions)
        eaten += float(one.rewards.clip(0).sum())
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in MOVED)
        assert one.finished == other.finished
    assert eaten > 20
    assert not np.array_equal(held["life"].numpy(), boards.state()["life"].numpy())


def random_positions(size, num, seed):
    """Positions of games that the greedy player plays."""
    game, draw, found = Snake(size, limit=4 * size * size), np.random.default_rng(seed), []
    over = True
    while len(found) < num:
        if over:
            seen, _ = game.reset(seed=int(draw.integers(10**6)))
        move = int(draw.integers(4)) if draw.random() < 0.1 else greedy_move(seen)
        seen, _, terminated, truncated, _ = game.step(np.int64(move))
        over = terminated or truncated
        if not over and draw.random() < 0.3:
            found.append((game.body, game.food))
    return found


def test_positions_keep_bodies():
    found = random_positions(6, 20, 0)
    positions = positions_of(found, 6)
    assert [positions.body(index) for index in range(20)] == [body for body, _ in found]
    for index, (body, food) in enumerate(found):
        assert np.array_equal(BoardView(6).observe(positions)[index], observed(body, food, 6))


@pytest.mark.parametrize(("size", "reach"), [(4, 0), (6, 2), (6, 0)])
def test_the_view_from_the_head_is_the_board_turned(size, reach):
    """A padded board turned by numpy until the snake looks up, cut out around the head."""
    found = random_positions(size, 40, 1)
    view, positions = HeadView(size, reach), positions_of(found, size)
    seen = view.observe(positions)
    far = reach or size - 1
    for index, (body, food) in enumerate(found):
        life = np.pad(np.zeros((size, size)), far, constant_values=-1)
        meal = np.zeros_like(life)
        for place, cell in enumerate(body):
            life[far + cell // size, far + cell % size] = len(body) - place
        meal[far + food // size, far + food % size] = 1
        mark = np.zeros_like(life)
        mark[far + body[0] // size, far + body[0] % size] = 1
        turns = int(positions.heading[index])  # a quarter counter-clockwise brings right to up
        life, meal, mark = (np.rot90(one, turns) for one in (life, meal, mark))
        row, column = (int(at[0]) for at in np.nonzero(mark))
        cut = (slice(row - far, row + far + 1), slice(column - far, column + far + 1))
        planes = np.stack([life[cut] != 0, life[cut].clip(0) / size**2, meal[cut]])
        meal_row, meal_column = (int(at[0]) for at in np.nonzero(meal))
        numbers = [(row - meal_row) / size, (meal_column - column) / size, len(body) / size**2]
        np.testing.assert_allclose(seen[index], np.concatenate([planes.ravel(), numbers]), atol=1e-7)


def test_actions_are_left_ahead_right_as_the_snake_looks():
    view = HeadView(4)
    looks = positions_of([((5, 4), 0), ((5, 6), 0), ((5, 1), 0), ((5, 9), 0)], 4)  # right, left, down, up
    assert looks.heading.tolist() == [RIGHT, LEFT, DOWN, UP]
    moves = [view.moves(looks, np.full(4, action)).tolist() for action in range(3)]
    assert moves == [[UP, DOWN, RIGHT, LEFT], [RIGHT, LEFT, DOWN, UP], [DOWN, UP, LEFT, RIGHT]]


def searched_slowly(body, food, size, move):
    moved = moved_snake(body, food, move, size)
    if moved is None:
        return [0.0] * 4
    free = set(range(size * size)) - set(body[:-1])
    away, waiting = {neighbours(body[0], size)[move]: 0}, deque([neighbours(body[0], size)[move]])
    while waiting:
        cell = waiting.popleft()
        for after in neighbours(cell, size):
            if after in free and after not in away:
                away[after] = away[cell] + 1
                waiting.append(after)
    near = 1 / (1 + away[food]) if food in away else 0.0
    return [1.0, near, len(away) / len(free), float(body[-1] in away)]


@pytest.mark.parametrize("size", [4, 7])
def test_the_search_ahead_finds_what_a_slow_one_finds(size):
    found = random_positions(size, 60, 2)
    view, positions = PathView(size, 1), positions_of(found, size)
    seen = view.observe(positions)[:, -15:].reshape(60, 3, 5)
    assert view.observe(positions).shape[1:] == view.shape
    kinds = set()
    for index, (body, food) in enumerate(found):
        moves = [int(view.moves(positions, np.full(60, action))[index]) for action in range(3)]
        slow = np.array([searched_slowly(body, food, size, move) for move in moves])
        np.testing.assert_allclose(seen[index, :, :4], slow, atol=1e-6)
        best = (slow[:, 1] == slow[:, 1].max()) & (slow[:, 1] > 0)
        assert np.array_equal(seen[index, :, 4] > 0, best)
        kinds |= {(one[1] > 0, one[3] > 0, one[2] == 1) for one in slow if one[0]}
    assert len(kinds) >= 3  # cut off from the food, from the tail, and neither


def test_best_play_is_worth_the_optimum_and_other_play_what_its_policy_is():
    solved = snake_process(3)
    q = value_iteration(solved.process, 0.9)
    numbers = iter(range(10**6))

    def best(observations):
        return q.argmax(1)[[next(numbers) for _ in observations]]

    held = held_to_optimum(BoardView(3), best, 0.9)
    assert held["share_of_optimum"] == pytest.approx(1, abs=1e-6)
    assert held["exact_optimum"] == pytest.approx(solved.value_of_start(q))
    greedy = held_to_optimum(BoardView(3), lambda seen: np.array([greedy_move(one) for one in seen]), 0.9)
    moves = np.array([greedy_move(observed(body, food, 3)) for body, food in solved.number])
    assert greedy["exact_value"] == pytest.approx(float(solved.start @ policy_value(solved.process, moves, 0.9)))
    assert 0 < greedy["share_of_optimum"] < 1


def test_settings_choose_what_is_seen_and_wrong_ones_are_told():
    entry = ENVIRONMENTS["snake"]
    for changes, shape, actions in (
        ({"size": 4}, (3, 4, 4), 4),
        ({"size": 4, "view": "head"}, (3 * 49 + 3,), 3),
        ({"view": "paths", "reach": 3}, (3 * 49 + 3 + 15,), 3),
    ):
        settings = SnakeSettings.from_dict(changes)
        frame = entry.frame(settings)
        assert (frame.shape, frame.actions) == (shape, actions)
        worlds = entry.worlds(settings, "training", 2, 0)
        assert worlds.observations.shape == (2, *shape)
        assert worlds.picture(0).shape == (16 * settings.size, 16 * settings.size, 3)
        plain = entry.baseline_settings(settings)
        assert entry.frame(plain).shape == (3, settings.size, settings.size)
    for wrong in ({"size": 5, "exact_discount": 0.95}, {"view": "above"}):
        with pytest.raises(SevenfoldError):
            SnakeSettings.from_dict(wrong)


@pytest.mark.slow
def test_a_rule_over_the_same_search_is_what_the_page_says():
    """The shortest path among the moves from which the tail can be reached, else the most room; 40 s."""
    playing = build_playing(RECIPES["ppo-snake-10"].recipe())

    def rule(seen):
        alive, near, room, tail, _ = np.moveaxis(seen[:, -15:].reshape(-1, 3, 5), 2, 0)
        return (1000 * alive + 100 * tail + 10 * near * tail + room).argmax(1)

    episodes = evaluated(playing, rule, 100)
    assert np.mean([episode.score for episode in episodes]) == pytest.approx(65.6, abs=0.05)
    assert np.mean([episode.steps for episode in episodes]) == pytest.approx(1376, abs=1)
