"""Agent steps per second of CPU time beside stable-baselines3's, with the same network, batch and replay ratio.

`DQN`: Pong of ale-py, four frames an action, the network of 2015, a batch of 32 every four steps, Adam, gradients
clipped to 10, after a replay of 600 steps was filled at random; one game at a time, as both do it by themselves:
stable-baselines3 with its own AtariWrapper (which reads colours and shrinks with OpenCV), we with ours.
`PPO`: CartPole, eight games, 32 steps of each, 20 passes in minibatches of 256, two networks of 64 x 64, Adam.

Both learn in one process with one thread, block by block in turns, so that a busy machine slows both. A block is
CPU time of the whole process; medians over the blocks. Needs stable-baselines3, ale-py and opencv-python-headless.

    python -m benchmarks acting
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from time import process_time
from typing import Any

import torch

from sevenfold.recipes import RECIPES
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Scalar, Schedule
from sevenfold.training.reinforcement.playing import build_playing

BOUND = 1.0  # times the peer's steps
_FILLED = 600


def run(quick: bool) -> list[dict[str, object]]:
    """Rows for the results; raises AssertionError where the peer is faster."""
    torch.set_num_threads(1)
    blocks = 3 if quick else 7
    rows = [
        _row(
            "DQN on Pong", _dqn_recipe(), _their_dqn(), filled=_FILLED, steps=100 if quick else 200, blocks=blocks
        ),
        _row("PPO on CartPole", RECIPES["ppo-cartpole"].recipe(), _their_ppo(), steps=1024, blocks=blocks),
    ]
    slower = [row["what"] for row in rows if row["ratio"] < BOUND]
    assert not slower, f"slower than stable-baselines3: {slower}"
    return rows


def _row(what: str, recipe: Recipe, theirs: Any, *, steps: int, blocks: int, filled: int = 0) -> dict[str, Any]:
    mine = _our_steps(recipe)
    turns: dict[str, Callable[[int], int]] = {"ours": mine, "theirs": lambda count: _their_steps(theirs, count)}
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for learn in turns.values():
        learn(filled + steps)  # not counted
    for block in range(blocks):
        for name in sorted(turns, reverse=block % 2 == 1):
            began = process_time()
            taken = turns[name](steps)
            rates[name].append(taken / (process_time() - began))
    middle = {name: statistics.median(found) for name, found in rates.items()}
    pairs = sorted(a / b for a, b in zip(rates["ours"], rates["theirs"], strict=True))
    return {
        "what": what,
        "steps_per_cpu_s": round(middle["ours"], 1),
        "stable_baselines3": round(middle["theirs"], 1),
        "ratio": round(middle["ours"] / middle["theirs"], 3),
        "least_ratio_of_a_pair": round(pairs[0], 3),
        "blocks": blocks,
        "steps_a_block": steps,
    }


def _our_steps(recipe: Recipe) -> Callable[[int], int]:
    torch.manual_seed(0)
    learner = build_playing(recipe).learner()
    taken = 0

    def learn(count: int) -> int:
        nonlocal taken
        first = taken
        while taken - first < count:
            taken += learner.advance(taken).steps
        return taken - first

    return learn


def _their_steps(agent: Any, count: int) -> int:
    first = agent.num_timesteps
    agent.learn(count, reset_num_timesteps=first == 0, log_interval=10**9)
    return int(agent.num_timesteps - first)


def _dqn_recipe() -> Recipe:
    settings: dict[str, Scalar] = {
        "replay": 10_000,
        "replay_starts": _FILLED,
        "epsilon_steps": 1,
        "epsilon_final": 0.1,
    }
    return Recipe(
        name="acting-dqn",
        task="control",
        model=ModelChoice(name="dqn2015", settings=settings),
        data=DataChoice(name="atari:Pong"),
        optimizer=Optimizer(name="adam", lr=1e-4, weight_decay=0.0, clip_norm=10.0),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=32,
        steps=10**6,
    )


def _their_dqn() -> Any:
    import ale_py
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stable_baselines3 import DQN
        from stable_baselines3.common.env_util import make_atari_env
        from stable_baselines3.common.vec_env import VecFrameStack
    gymnasium.register_envs(ale_py)
    return DQN(
        "CnnPolicy",
        VecFrameStack(make_atari_env("PongNoFrameskip-v4", n_envs=1, seed=0), 4),
        learning_rate=1e-4,
        buffer_size=10_000,
        learning_starts=_FILLED,
        batch_size=32,
        train_freq=4,
        target_update_interval=40_000,
        exploration_initial_eps=0.1,
        exploration_final_eps=0.1,
        max_grad_norm=10.0,
        seed=0,
        device="cpu",
    )


def _their_ppo() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env
    return PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=8, seed=0),
        learning_rate=1e-3,
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        seed=0,
        device="cpu",
    )


if __name__ == "__main__":
    for row in run(quick=True):
        print(row)
