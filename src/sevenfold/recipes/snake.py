"""Policies that learn Snake: PPO and REINFORCE on 4 x 4, held to the exact optimum, and PPO on 10 x 10."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule

_FALLING = Schedule(name="linear", warmup_fraction=0.0, final_fraction=0.1)


@recipe(measured=Measured("share_of_optimum", 0.950, 0.010, slack=0.02))
def ppo_snake_4() -> Recipe:
    """Proximal policy optimization on Snake's board of 4 x 4, seen from the head, held to the exact optimum.

    Command:  sevenfold train ppo-snake-4
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     100 s of CPU time
    Result:   95.0% of the optimum (mean of seeds 0 to 2, standard deviation 1.0%): a discounted return of 5.39 of
              5.668 from the start, exact over all 143,128 positions; 13.6 (0.2) pieces of food of 14 over 100
              games, the greedy path 9.8, at random 0.2
    """
    return Recipe(
        name="ppo-snake-4",
        task="control",
        model=ModelChoice(
            name="ppo-small",
            settings={
                "width": 128, "activation": "relu", "horizon": 16, "epochs": 4, "discount": 0.95, "trace": 0.9,
                "entropy_weight": 0.005,
            },
        ),
        data=DataChoice(
            name="snake",
            settings={
                "size": 4, "view": "head", "environments": 256, "training_limit": 32, "exact_discount": 0.95,
                "evaluation_episodes": 100,
            },
        ),
        optimizer=Optimizer(name="adam", lr=1e-3, weight_decay=0.0, clip_norm=0.5, eps=1e-5),
        schedule=_FALLING,
        batch_size=512,
        steps=1_024_000,
    )  # fmt: skip


@recipe(measured=Measured("test_return", 61.5, 4.8, slack=1.0))
def ppo_snake_10() -> Recipe:
    """Proximal policy optimization on Snake's board of 10 x 10, shown searched paths, above the greedy path.

    The agent sees seven cells square around its head, and for each of its three moves what a search finds: the
    length of the shortest path to the food, the room behind it, whether the tail can be reached.

    Command:  sevenfold train ppo-snake-10
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     150 s of CPU time
    Result:   61.5 pieces of food a game (mean of seeds 0 to 2, standard deviation 4.8) over 100 games; in the same
              games the greedy path gets to 28.8, at random 0.1, a rule by hand over the same search,
              which takes twice as many steps, 65.6 (tests/training/test_boards.py)
    """
    return Recipe(
        name="ppo-snake-10",
        task="control",
        model=ModelChoice(
            name="ppo-small",
            settings={
                "width": 128, "activation": "relu", "horizon": 32, "epochs": 4, "discount": 0.99, "trace": 0.95,
                "entropy_weight": 0.005,
            },
        ),
        data=DataChoice(
            name="snake",
            settings={
                "size": 10, "view": "paths", "reach": 3, "environments": 128, "training_limit": 200,
                "evaluation_episodes": 100,
            },
        ),
        optimizer=Optimizer(name="adam", lr=1e-3, weight_decay=0.0, clip_norm=0.5, eps=1e-5),
        schedule=_FALLING,
        batch_size=1024,
        steps=1_024_000,
    )  # fmt: skip


@recipe(measured=Measured("share_of_optimum", 0.814, 0.013, slack=0.03))
def reinforce_snake_4() -> Recipe:
    """REINFORCE with a learned baseline on Snake's board of 4 x 4, held to the exact optimum.

    Command:  sevenfold train reinforce-snake-4
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     70 s of CPU time
    Result:   81.4% of the optimum (mean of seeds 0 to 2, standard deviation 1.3%): 4.62 of 5.668,
              exact over all positions; 12.5 (0.4) pieces of food of 14 over 100 games, the greedy path
              9.8, at random 0.2. PPO gets more from the same number of steps
    """
    return Recipe(
        name="reinforce-snake-4",
        task="control",
        model=ModelChoice(
            name="reinforce-small",
            settings={
                "width": 128, "activation": "relu", "horizon": 64, "discount": 0.95, "entropy_weight": 0.005,
            },
        ),
        data=DataChoice(
            name="snake",
            settings={
                "size": 4, "view": "head", "environments": 64, "training_limit": 32, "exact_discount": 0.95,
                "evaluation_episodes": 100,
            },
        ),
        optimizer=Optimizer(name="adam", lr=2e-3, weight_decay=0.0, clip_norm=0.5, eps=1e-5),
        schedule=_FALLING,
        batch_size=1024,
        steps=1_024_000,
    )  # fmt: skip
