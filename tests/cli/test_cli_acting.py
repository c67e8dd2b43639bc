"""Agents through the command line: what does not fit is one line, before a network, a game or a run is begun."""

from __future__ import annotations

import importlib.util

import pytest

from sevenfold.cli._boundary import run_guarded
from sevenfold.runs.store import RunStore
from sevenfold.training.reinforcement import playing

NEEDS_ATARI = pytest.mark.skipif(importlib.util.find_spec("ale_py") is None, reason="needs ale-py")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dqn-cartpole", "--set", "data.name=snake", "--set", "data.settings={}"], "shape [3, 10, 10]"),
        (["dqn-cartpole", "--set", "model.name=dqn2015", "--set", "model.settings={}"], "shape [4]"),
        pytest.param(["dqn-cartpole", "--set", "data.name=atari:Pong"], "shape [4, 84, 84]", marks=NEEDS_ATARI),
        (["dqn-cartpole", "--set", "data.name=gymnasium:Pendulum-v1"], "numbered actions"),
        (["dqn-cartpole", "--set", "data.name=gymnasium:CartPoel-v1"], "try CartPole-v1"),
        (["dqn-cartpole", "--set", "model.replay=1000000000000"], "fit this machine's memory"),
        (["dqn-cartpole", "--set", "model.replay=4", "--set", "data.environments=2"], "at least 6"),
        (["dqn-cartpole", "--set", "model.replay_starts=10"], "before there is a batch"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_built(capsys, monkeypatch, arguments, says):
    def built(*_):
        raise AssertionError("a network was built")

    monkeypatch.setattr(playing, "seeded", built)
    assert run_guarded(["train", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err
    assert "Traceback" not in err
    assert RunStore().records() == []


@NEEDS_ATARI
def test_a_replay_of_the_papers_size_takes_at_most_seven_and_a_half_gigabytes():
    import torch

    from sevenfold.recipes import RECIPES
    from sevenfold.training.reinforcement.replay import require_room

    for name in ("dqn2013-pong", "dqn2015-breakout"):
        frame = playing.chosen_environment(RECIPES[name].recipe().data)[0].frame(None)
        assert require_room(10**6, frame.shape, stack=frame.stack, streams=1, dtype=torch.uint8) <= 7.5e9


def test_the_memory_that_would_do_is_in_the_hint(capsys, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 1024)  # a megabyte
    assert run_guarded(["train", "dqn-cartpole", "--set", "model.replay=100000"]) == 2
    assert "model.replay=27962" in capsys.readouterr().err  # 0.8 MiB of 30 bytes: four numbers and 14
