"""What a learner of policies keeps of its play is what it saw, whatever happened afterwards."""

from __future__ import annotations

import torch

from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe
from sevenfold.training.conditions import run_conditions
from sevenfold.training.reinforcement import losses
from sevenfold.training.reinforcement.playing import build_playing


def test_before_its_first_update_the_policy_is_the_one_that_played(home):
    """The logits of play come back from the kept observations, those of an episode's last step included."""
    recipe = Recipe(
        name="kept",
        task="control",
        model=ModelChoice(name="ppo-board", settings={"horizon": 32, "width": 8}),
        data=DataChoice(name="snake", settings={"size": 3, "environments": 4}),
        optimizer=Optimizer(name="adam", weight_decay=0.0),
        batch_size=128,
        steps=128,
    )
    playing = build_playing(recipe)
    with torch.no_grad(), run_conditions(recipe, playing.device):
        playing.model.head.weight.normal_()  # every move its own likelihood, so that a wrong board shows
        learner = playing.learner()
        experience, episodes = learner._play()
        again = playing.model(experience.observations)
    assert len(episodes) > 5
    assert losses.divergence(experience.logits, again).abs().max() < 1e-6
    assert (experience.observations[:, 0].flatten(1).sum(1) == 1).all()  # a head on every board
