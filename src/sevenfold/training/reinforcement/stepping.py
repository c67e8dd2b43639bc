"""A process that steps environments for `processes`: requests come in as lines of JSON, answers go out.

Started as a module of its own, so that a person's script is never imported again. The first line says which
environments; an answer is a line of JSON, and after it the arrays as bytes. Nothing is pickled. What an environment
prints goes to stderr. The process ends when its stdin does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, BinaryIO

import numpy as np

from sevenfold.errors import SevenfoldError
from sevenfold.runs.recipe import DataChoice
from sevenfold.training.reinforcement.environments import chosen_environment
from sevenfold.training.reinforcement.worlds import Array, World, joined

__all__ = ["serve"]


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the other side closes the pipe."""
    first = json.loads(requests.readline())
    entry, settings = chosen_environment(DataChoice.from_dict(first["data"]))
    worlds = [World(entry.make(settings, first["mode"]), index, first["seed"]) for index in first["indices"]]
    observations = np.stack([world.begin() for world in worlds])
    facts = {"shape": observations.shape[1:], "dtype": observations.dtype.str}
    _answer(answers, facts, observations)
    for line in requests:
        facts, arrays = _answered(worlds, json.loads(line))
        _answer(answers, facts, *arrays)


def _answered(worlds: list[World], request: dict[str, Any]) -> tuple[dict[str, Any], tuple[Array, ...]]:
    if "step" in request:
        moves = [world.move(action) for world, action in zip(worlds, request["step"], strict=True)]
        moved = joined(moves)
        facts = {
            "rewards": moved.rewards.tolist(),
            "terminated": moved.terminated.tolist(),
            "truncated": moved.truncated.tolist(),
            "finished": [[one.total, one.steps, one.score] for one in moved.finished],
        }
        return facts, (moved.led_to, moved.observations)
    if "restore" in request:
        restored = [world.restore(*held) for world, held in zip(worlds, request["restore"], strict=True)]
        return {}, (np.stack(restored),)
    return {"state": [[world.episode, world.actions] for world in worlds]}, ()


def _answer(answers: BinaryIO, facts: dict[str, Any], *arrays: Array) -> None:
    answers.write(json.dumps(facts).encode() + b"\n")
    for array in arrays:
        answers.write(np.ascontiguousarray(array).data)
    answers.flush()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent saves its checkpoint first, and asks for our state
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        try:
            serve(sys.stdin.buffer, answers)
        except (SevenfoldError, MemoryError, OSError) as error:
            _answer(answers, {"error": " ".join(str(error).split())})


if __name__ == "__main__":
    _main()
