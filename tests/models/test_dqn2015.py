"""DQN: its network and one update equal stable-baselines3's, its schedule is the papers', what it refuses."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.models import MODELS
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule
from sevenfold.training.reinforcement.playing import build_playing
from sevenfold.training.reinforcement.replay import Batch
from sevenfold.training.reinforcement.values import ValueLearner

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sb3 = pytest.importorskip("stable_baselines3")


def recipe(name="dqn-small", environment="gymnasium:CartPole-v1", **changes):
    return Recipe(
        name="dqn-test",
        task="control",
        model=ModelChoice(name=name, settings={"replay": 500, "replay_starts": 40}),
        data=DataChoice(name=environment),
        optimizer=Optimizer(name="adam", lr=0.01, weight_decay=0.0, clip_norm=10.0),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=32,
        steps=200,
    ).with_changes({key.replace("__", "."): value for key, value in changes.items()})


def learner_of(**changes) -> ValueLearner:
    learner = build_playing(recipe(**changes)).learner()
    assert isinstance(learner, ValueLearner)
    return learner


@pytest.mark.parametrize(("actions", "first", "second"), [(4, 677_172, 1_686_180), (18, 680_770, 1_693_362)])
def test_the_networks_have_the_counts_for_every_number_of_actions(actions, first, second):
    for name, count in (("dqn2013", first), ("dqn2015", second)):
        model = MODELS[name].build_meta({"actions": actions})
        assert sum(weight.numel() for weight in model.parameters()) == count


def test_the_network_of_2015_is_nature_cnn():
    from gymnasium import spaces
    from stable_baselines3.common.torch_layers import NatureCNN

    theirs = NatureCNN(spaces.Box(0, 255, (4, 84, 84), np.uint8), 512)
    ours = MODELS["dqn2015"].build()
    state = theirs.state_dict()
    names = dict(zip(state, [name for name in ours.state_dict() if name.startswith("trunk")], strict=True))
    ours.load_state_dict({names[name]: tensor for name, tensor in state.items()}, strict=False)
    pixels = torch.randint(256, (2, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours.trunk(pixels), theirs(pixels.float() / 255))


def test_one_update_equals_stable_baselines():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent = sb3.DQN(
            "MlpPolicy", "CartPole-v1", learning_rate=0.01, batch_size=32, seed=0, device="cpu", buffer_size=100
        )
        agent._setup_learn(1)
    learner = learner_of()
    for mine, theirs, seed in ((learner.model, agent.q_net, 1), (learner.target, agent.q_net_target, 2)):
        draw = torch.Generator().manual_seed(seed)
        state = {name: torch.randn(t.shape, generator=draw) * 0.4 for name, t in theirs.state_dict().items()}
        theirs.load_state_dict(state)
        names = dict(zip(state, mine.state_dict(), strict=True))
        mine.load_state_dict({names[name]: tensor for name, tensor in state.items()})
    draw = torch.Generator().manual_seed(3)
    batch = Batch(
        torch.randn(32, 4, generator=draw),
        torch.randint(2, (32,), generator=draw),
        torch.randn(32, generator=draw),
        torch.randn(32, 4, generator=draw),
        torch.rand(32, generator=draw) < 0.2,
    )
    from stable_baselines3.common.type_aliases import ReplayBufferSamples

    samples = ReplayBufferSamples(
        batch.observations,
        batch.actions[:, None],
        batch.led_to,
        batch.ended.float()[:, None],
        batch.rewards[:, None],
    )
    agent.replay_buffer.sample = lambda *_, **__: samples
    variants = {"right": learner, "squared": copy.deepcopy(learner), "own target": copy.deepcopy(learner)}
    variants["squared"]._spec = learner._spec.with_changes({"clipped_error": False})
    variants["own target"].target = variants["own target"].model
    agent.train(1, 32)
    for name, one in variants.items():
        one._updates = type(one._updates)(recipe(), one.model)
        one._updates.move(one.loss(batch), 0)
        apart = max(
            float((a - b).detach().abs().max())
            for a, b in zip(one.model.parameters(), agent.q_net.parameters(), strict=True)
        )
        assert apart < 1e-6 if name == "right" else apart > 1e-4, name


def test_epsilon_falls_linearly_and_stays():
    learner = learner_of(model__epsilon_steps=100, model__epsilon_final=0.1)
    assert [round(learner.epsilon(step), 6) for step in (0, 50, 100, 1000)] == [1.0, 0.55, 0.1, 0.1]


def test_updates_and_copies_to_the_target_come_when_they_are_due():
    learner = learner_of(model__update_every=4, model__target_every=5, model__replay_starts=40)
    first = copy.deepcopy(learner.target.state_dict())
    for step in range(39):
        learner.advance(step)
    assert learner._num_updates == 0
    copies = 0
    for step in range(39, 120):
        before = learner._num_updates
        learner.advance(step)
        if learner._num_updates > before and learner._num_updates % 5 == 0:
            copies += 1
            for mine, kept in zip(learner.model.parameters(), learner.target.parameters(), strict=True):
                assert torch.equal(mine, kept)
    assert learner._num_updates == 120 // 4 - 40 // 4 + 1
    assert copies == learner._num_updates // 5
    assert any(not torch.equal(first[name], tensor) for name, tensor in learner.target.state_dict().items())


def test_what_does_not_fit_is_told_in_one_line():
    for changes, said in (
        ({"name": "dqn-board"}, "does not fit these observations"),
        ({"name": "dqn2015"}, "does not fit these observations"),
        ({"environment": "gymnasium:Pendulum-v1"}, "numbered actions"),
        ({"environment": "gymnasium:CartPoel-v1"}, "CartPole-v1"),
        ({"name": "dqn-small", "environment": "snake"}, "does not fit these observations"),
        ({"batch_size": 50}, "before there is a batch"),
        ({"data__fraction": 0.5}, "no share"),
        ({"accumulate": 2}, "updates whole"),
    ):
        with pytest.raises((UsageError, LookupError, Exception), match=said) as told:
            build_playing(recipe(**changes)).learner()
        assert "\n" not in str(told.value)


def test_double_q_learning_values_with_the_target_what_the_network_chooses():
    learner = learner_of(model__double=True)
    draw = torch.Generator().manual_seed(0)
    for weight in [*learner.model.parameters(), *learner.target.parameters()]:
        weight.data.normal_(0, 0.5, generator=draw)
    batch = Batch(
        torch.randn(16, 4, generator=draw),
        torch.randint(2, (16,), generator=draw),
        torch.randn(16, generator=draw),
        torch.randn(16, 4, generator=draw),
        torch.arange(16) % 4 == 0,
    )
    errors, single = [], []
    value_of = learner.model(batch.observations).detach()
    for row in range(16):
        (ours,), (theirs,) = (net(batch.led_to[row : row + 1]).detach() for net in (learner.model, learner.target))
        for found, ahead in ((errors, theirs[int(ours.argmax())]), (single, theirs.max())):
            goal = batch.rewards[row] + (0 if batch.ended[row] else 0.99 * ahead)
            error = abs(float(value_of[row, batch.actions[row]] - goal))
            found.append(error**2 / 2 if error < 1 else error - 0.5)
    loss = learner.loss(batch)
    assert loss.item() == pytest.approx(sum(errors) / 16, rel=1e-5)
    assert sum(single) / 16 != pytest.approx(sum(errors) / 16, rel=1e-3)  # they choose otherwise somewhere
    loss.backward()
    assert all(weight.grad is None for weight in learner.target.parameters())
