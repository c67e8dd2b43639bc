"""The Atari games as the DQN papers played them: frames, lives, beginnings; and several stepped side by side."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from sevenfold.checkpoints import load_weights
from sevenfold.errors import RunError, UsageError
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe
from sevenfold.training import train_run
from sevenfold.training.reinforcement.environments import ENVIRONMENTS, chosen_environment

ale_py = pytest.importorskip("ale_py")
SEVEN = ("BeamRider", "Breakout", "Enduro", "Pong", "Qbert", "Seaquest", "SpaceInvaders")


def worlds_of(game="Breakout", num=1, mode="training", seed=0, **settings):
    entry, given = chosen_environment(DataChoice(name=f"atari:{game}", settings=settings))
    return entry.worlds(given, mode, num, seed)


def played(worlds, steps, seed=3):
    """What actions at random led to, as one list of comparable rows."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(steps):
        moved = worlds.step(draw.integers(0, 4, len(worlds)))
        arrays = (moved.observations, moved.led_to, moved.rewards, moved.terminated, moved.truncated)
        rows.append((*(array.tobytes() for array in arrays), moved.finished))
    return rows


def test_a_frame_is_the_larger_of_the_last_two_of_four_in_84_by_84():
    from PIL import Image

    entry, given = chosen_environment(DataChoice(name="atari:Pong", settings={"no_op_max": 0}))
    ours = entry.make(given, "training")
    ours.reset(seed=0)
    raw = ale_py.ALEInterface()
    raw.setFloat("repeat_action_probability", 0.0)
    raw.setInt("random_seed", 0)
    raw.loadROM(ale_py.roms.get_rom_path("pong"))
    actions = raw.getMinimalActionSet()
    for action in np.random.default_rng(0).integers(0, len(actions), 40):
        seen, reward, *_ = ours.step(action)
        screens, total = [], 0
        for _ in range(4):
            total += raw.act(actions[action])
            screens.append(raw.getScreenGrayscale())
        larger = Image.fromarray(np.maximum(screens[2], screens[3]))
        assert np.array_equal(seen, np.asarray(larger.resize((84, 84), Image.Resampling.BOX))[None])
        assert reward == np.sign(total)


def test_the_games_have_no_sticky_actions_and_their_own_number_of_actions():
    for game, actions in zip(SEVEN, (9, 4, 9, 6, 6, 18, 6), strict=True):
        entry = ENVIRONMENTS[f"atari:{game}"]
        assert entry.frame(entry.settings()).actions == actions
        made = gymnasium.spec(f"{game}NoFrameskip-v4")
        assert made.kwargs["repeat_action_probability"] == 0.0
        assert made.kwargs["frameskip"] == 1


# The emulator's own reset, without loading the game again, fails the first two.
@pytest.mark.parametrize("game", ["BeamRider", "Seaquest", "Breakout"])
def test_a_game_is_a_function_of_its_seed_whatever_was_played_before(game):
    first, second = worlds_of(game), worlds_of(game)
    played(second, 400, seed=9)
    second.restore(first.state())
    assert np.array_equal(first.observations, second.observations)
    assert played(first, 700) == played(second, 700)


def test_a_lost_life_ends_the_episode_for_the_learner_and_the_game_goes_on():
    worlds = worlds_of("Breakout")
    ends, finished = 0, []
    for action in np.random.default_rng(0).integers(0, 4, 1500):
        moved = worlds.step(np.array([action]))
        ends += int(moved.terminated[0])
        finished += moved.finished
        if moved.finished:
            break
    assert ends == 5  # lives
    (episode,) = finished
    assert episode.score == episode.total >= 0  # single bricks of the lower rows: clipping changes nothing
    assert worlds_of("Breakout", lives_end=False).step(np.array([0])).terminated.tolist() == [False]


def test_evaluation_plays_all_lives_and_counts_the_whole_score():
    worlds = worlds_of("Qbert", mode="evaluation")
    draw = np.random.default_rng(0)
    ends = 0
    while True:
        moved = worlds.step(draw.integers(0, 6, 1))
        ends += int(moved.terminated[0])
        if moved.finished:
            break
    assert ends == 1
    assert moved.finished[0].score == moved.finished[0].total >= 25  # a cube is worth 25, so nothing was clipped


def test_a_game_is_brought_back_in_the_middle_of_a_later_life():
    worlds, again = worlds_of("Breakout", num=2), worlds_of("Breakout", num=2)
    played(worlds, 120)
    state = worlds.state()
    assert -1 in state["actions"].tolist()  # a life was lost, and the game went on
    again.restore(state)
    assert np.array_equal(worlds.observations, again.observations)
    assert played(worlds, 300, seed=5) == played(again, 300, seed=5)


def test_games_in_processes_are_the_games_in_this_one_and_come_back_exactly():
    alone, apart = worlds_of(num=3), worlds_of(num=3, processes=2)
    try:
        assert np.array_equal(alone.observations, apart.observations)
        assert len(apart) == 3
        assert played(alone, 150) == played(apart, 150)
        state, same = alone.state(), apart.state()
        assert all(state[name].equal(same[name]) for name in state)
        assert -1 in state["actions"].tolist()
        ahead = played(apart, 20)
        apart.restore(state)
        assert played(apart, 20) == ahead == played(alone, 20)
        with pytest.raises(UsageError, match="pictures"):
            apart.picture(0)
    finally:
        apart.close()


def test_a_process_that_died_is_told_in_one_line():
    apart = worlds_of(num=2, processes=2)
    try:
        apart._helpers[1]._process.kill()
        with pytest.raises(RunError, match="process that steps environments") as told:
            played(apart, 2)
        assert "\n" not in str(told.value)
    finally:
        apart.close()


@pytest.mark.slow  # 45 s
def test_an_interrupted_run_of_games_in_processes_goes_on_as_if_it_had_not_been(tmp_path):
    recipe = Recipe(
        name="atari-test",
        task="control",
        model=ModelChoice(name="dqn2013", settings={"replay": 400, "replay_starts": 40, "width": 16}),
        data=DataChoice(
            name="atari:Breakout", settings={"environments": 2, "processes": 2, "evaluation_episodes": 1}
        ),
        optimizer=Optimizer(name="graves-rmsprop", lr=2.5e-4, weight_decay=0.0, beta2=0.95, eps=0.01, momentum=0.0),
        batch_size=8,
        steps=240,
        checkpoint_every=100,
    )

    def stop(progress):
        if progress.step >= 150:
            raise RuntimeError("killed")

    whole = train_run(recipe, home=tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        train_run(recipe, home=tmp_path / "cut", on_step=stop)
    again = train_run(recipe, home=tmp_path / "cut")
    first, second = (load_weights(tmp_path / name / "runs" / whole.id) for name in ("whole", "cut"))
    assert all(first[name].equal(second[name]) for name in first)
    for key in ("test_return", "random_return", "episodes", "train_loss", "steps"):
        assert whole.summary[key] == again.summary[key]
