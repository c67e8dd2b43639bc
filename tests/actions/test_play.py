"""A trained agent plays a game, shown as an animated picture; what else is asked of it is refused in one line."""

from __future__ import annotations

import pytest
from PIL import Image

from sevenfold.actions.play import play
from sevenfold.actions.train import train
from sevenfold.errors import SevenfoldError
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe


@pytest.fixture
def agent(home) -> str:
    recipe = Recipe(
        name="snake-player",
        task="control",
        model=ModelChoice(name="ppo-board", settings={"horizon": 8, "width": 8}),
        data=DataChoice(name="snake", settings={"size": 4, "environments": 2, "evaluation_episodes": 2}),
        optimizer=Optimizer(name="adam", weight_decay=0.0),
        batch_size=16,
        steps=32,
    )
    return train(recipe).id


def test_a_game_is_a_picture_a_step_and_the_same_for_a_seed(agent, tmp_path):
    game = play(agent, seed=3, out=tmp_path / "game.gif")
    with Image.open(game.picture) as picture:
        assert picture.size == (64, 64)
        assert 1 <= picture.n_frames <= game.steps
    again = play(agent, seed=3)
    assert (again.score, again.steps) == (game.score, game.steps)
    assert again.picture.endswith("game-seed3.gif")


def test_what_cannot_be_played_is_told(agent, home, tmp_path):
    other = train("digits-mlp", {"steps": 2}).id
    for run, out, said in (
        (other, None, "no agent"),
        ("nothing", None, "nothing"),
        (agent, tmp_path / "game.png", r"ends in \.gif"),
        (agent, "/proc/none/game.gif", "cannot write"),
    ):
        with pytest.raises(SevenfoldError, match=said) as told:
            play(run, out=out)
        assert "\n" not in str(told.value)
