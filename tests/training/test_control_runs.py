"""Runs of the task control: what they log and sum up, and that an interrupted one is the same run."""

from __future__ import annotations

import pytest

from sevenfold.checkpoints import load_weights
from sevenfold.errors import SevenfoldError
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run

AGENTS = {
    "dqn-board": ({"replay": 300, "replay_starts": 40, "target_every": 10, "width": 8}, 16),
    "ppo-board": ({"horizon": 16, "epochs": 2, "width": 8}, 16),
}


def recipe(agent, **changes):
    settings, batch = AGENTS[agent]
    return Recipe(
        name="control-test",
        task="control",
        model=ModelChoice(name=agent, settings=settings),
        data=DataChoice(name="snake", settings={"size": 4, "environments": 2, "evaluation_episodes": 4}),
        optimizer=Optimizer(name="adam", lr=0.01, weight_decay=0.0),
        batch_size=batch,
        steps=256,
        checkpoint_every=64,
    ).with_changes(changes)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_run_says_how_it_played(agent, home):
    record = train_run(recipe(agent))
    summary = record.summary
    assert record.state == "finished"
    assert summary["steps"] == 256
    assert summary["episodes"] > 10
    assert summary["evaluation_episodes"] == 4
    assert -1 <= summary["random_return"] <= 14
    store = RunStore(home / "runs.sqlite")
    assert {"episode_return", "train_loss"} <= set(store.metric_names(record.id))
    assert train_run(recipe(agent)).summary == summary  # not played again


@pytest.mark.parametrize("agent", AGENTS)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(agent, home, tmp_path):
    whole = train_run(recipe(agent), home=tmp_path / "whole")
    seen = []

    def stop(progress):
        seen.append(progress.step)
        if progress.step >= 150:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        train_run(recipe(agent), home=tmp_path / "cut", on_step=stop)
    again = train_run(recipe(agent), home=tmp_path / "cut", on_step=lambda progress: seen.append(progress.step))
    assert seen[-1] >= 256
    assert len([step for step in seen if step <= 64]) == len({step for step in seen if step <= 64})  # went on
    first, second = (load_weights(tmp_path / name / "runs" / whole.id) for name in ("whole", "cut"))
    for name, tensor in first.items():
        assert tensor.equal(second[name]), name
    for key in ("test_return", "episodes", "random_return", "training_return"):
        assert whole.summary[key] == again.summary[key]
    metrics = [RunStore(tmp_path / n / "runs.sqlite").metrics(whole.id, "train_loss") for n in ("whole", "cut")]
    assert metrics[0][0].tolist() == metrics[1][0].tolist()
    assert metrics[0][1].tolist() == metrics[1][1].tolist()


def test_wrong_recipes_are_told_before_anything_is_played(home):
    for change, said in (
        ({"data.size": 1}, "size"),
        ({"data.name": "snak"}, "snake"),
        ({"model.replay": 10**12}, "memory"),
        ({"batch_size": 17, "model.name": "ppo-board", "model.settings": {}}, "divisor"),
    ):
        with pytest.raises(SevenfoldError, match=said) as told:
            train_run(recipe("dqn-board").with_changes(change))
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_starts_from_the_weights_of_another_run(agent, home):
    first = train_run(recipe(agent))
    second = train_run(recipe(agent, start=first.id, steps=32, seed=1, **{"optimizer.lr": 1e-12}))
    before, after = (load_weights(home / "runs" / run.id) for run in (first, second))
    for name, tensor in before.items():
        assert (after[name] - tensor).abs().max() < 1e-8, name
    assert second.summary["started_parameters"] == second.summary["parameters"]
