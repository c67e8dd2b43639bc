"""Steps of Snake a second of CPU time: boards as arrays beside the plain environment, game after game.

256 boards of 10 x 10, the same seeds and moves (drawn at random) on both sides, so that they play the same games
(which is checked). Blocks in turns, medians of the blocks' CPU time. The views from the head and with searched
paths have no plain counterpart: their own rates. No network is in it.

    python -m benchmarks snake
"""

from __future__ import annotations

import statistics
from time import process_time

import numpy as np

from sevenfold.training.reinforcement.boards import BoardView, SnakeBoards, SnakeView
from sevenfold.training.reinforcement.snake import Snake
from sevenfold.training.reinforcement.views import HeadView, PathView
from sevenfold.training.reinforcement.worlds import SideBySide, Worlds

SIZE, LIMIT, BOARDS, BOUND = 10, 400, 256, 3.0


def run(quick: bool) -> list[dict[str, object]]:
    """Rows for the results; raises AssertionError where arrays are not ``BOUND`` times as quick."""
    blocks, steps = (3, 10) if quick else (7, 40)
    plain = Worlds(lambda: Snake(SIZE, LIMIT), BOARDS, 0)
    views: dict[str, SnakeView] = {
        "arrays, board": BoardView(SIZE),
        "arrays, head": HeadView(SIZE),
        "arrays, paths within 3 cells": PathView(SIZE, 3),
    }
    sides: dict[str, SideBySide] = {"one by one": plain} | {
        name: SnakeBoards(view, BOARDS, 0, LIMIT) for name, view in views.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    draw = np.random.default_rng(0)
    for _ in range(blocks):
        moves = draw.integers(0, 3, (steps, BOARDS))
        for name, side in sides.items():
            began = process_time()
            for actions in moves:
                side.step(actions)
            rates[name].append(steps * BOARDS / (process_time() - began))
    assert np.array_equal(plain.observations, sides["arrays, board"].observations), "other games were played"
    middle = {name: statistics.median(found) for name, found in rates.items()}
    ratio = middle["arrays, board"] / middle["one by one"]
    assert ratio >= BOUND, f"arrays are {ratio:.2f} times as quick as one game after another"
    return [
        {
            "what": name,
            "steps_per_cpu_s": round(rate),
            "ratio": round(rate / middle["one by one"], 2),
            "boards": BOARDS,
        }
        for name, rate in middle.items()
    ]
