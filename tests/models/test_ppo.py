"""PPO: one full update equals stable-baselines3's on the same batch, and each wrong version does not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from sevenfold.models import MODELS
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule
from sevenfold.training.reinforcement.learner import Updates
from sevenfold.training.reinforcement.policies import Experience, policy_loss

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sb3 = pytest.importorskip("stable_baselines3")

NAMES = {
    "mlp_extractor.policy_net.0": "trunk.layers.0",
    "mlp_extractor.policy_net.2": "trunk.layers.2",
    "mlp_extractor.value_net.0": "value_trunk.layers.0",
    "mlp_extractor.value_net.2": "value_trunk.layers.2",
    "action_net": "head",
    "value_net": "value_head",
}
EPOCHS, LENGTH = 4, 64


def peer():
    agent = sb3.PPO(
        "MlpPolicy", "CartPole-v1", n_steps=LENGTH, batch_size=LENGTH, n_epochs=EPOCHS, learning_rate=0.01,
        ent_coef=0.01, seed=0, device="cpu",
    )  # fmt: skip
    with torch.no_grad():
        draw = torch.Generator().manual_seed(3)
        for weight in agent.policy.parameters():  # loud: at first every action is about as likely
            weight.add_(0.3 * torch.randn(weight.shape, generator=draw))
    agent._setup_learn(1)
    agent.collect_rollouts(agent.env, _callback(agent), agent.rollout_buffer, LENGTH)
    return agent


def _callback(agent):
    from stable_baselines3.common.callbacks import BaseCallback

    class Silent(BaseCallback):
        def _on_step(self) -> bool:
            return True

    callback = Silent()
    callback.init_callback(agent)
    callback.on_training_start({}, {})
    return callback


def ours_of(agent, **settings):
    model = MODELS["ppo-small"].build({"entropy_weight": 0.01, "epochs": EPOCHS, **settings})
    theirs = agent.policy.state_dict()
    model.load_state_dict(
        {f"{mine}.{kind}": theirs[f"{name}.{kind}"] for name, mine in NAMES.items() for kind in ("weight", "bias")}
    )
    return model


def experience_of(agent, model):
    buffer = agent.rollout_buffer
    flat = torch.from_numpy(buffer.observations.reshape(LENGTH, -1))
    actions = torch.from_numpy(buffer.actions.reshape(-1)).long()
    with torch.no_grad():
        logits = model(flat)
    chosen = logits.log_softmax(1).gather(1, actions[:, None]).squeeze(1)
    np.testing.assert_allclose(chosen.numpy(), buffer.log_probs.reshape(-1), atol=1e-5)
    return Experience(
        flat, actions, logits, torch.from_numpy(buffer.advantages.reshape(-1)),
        torch.from_numpy(buffer.returns.reshape(-1)),
    )  # fmt: skip


def updated(model, experience):
    recipe = Recipe(
        name="parity", task="control", model=ModelChoice(name="ppo-small"),
        data=DataChoice(name="gymnasium:CartPole-v1"),
        optimizer=Optimizer(name="adam", lr=0.01, weight_decay=0.0, eps=1e-5, clip_norm=0.5),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
    )  # fmt: skip
    updates = Updates(recipe, model)
    for _ in range(EPOCHS):
        updates.move(policy_loss(model, experience, penalty=0.0), 0)
    return model


def apart(agent, model):
    theirs = agent.policy.state_dict()
    mine = model.state_dict()
    return max(
        float((theirs[f"{name}.{kind}"] - mine[f"{ours}.{kind}"]).abs().max())
        for name, ours in NAMES.items()
        for kind in ("weight", "bias")
    )


@pytest.fixture(scope="module")
def both():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent = peer()
        model = ours_of(agent)
        experience = experience_of(agent, model)
        wrong = {
            name: ours_of(agent, **settings)
            for name, settings in {
                "clip": {"clip": 0.05},
                "entropy": {"entropy_weight": 0.0},
                "value": {"value_weight": 1.0},
                "normalize": {"normalize": False},
                "reinforce": {"algorithm": "reinforce"},
            }.items()
        }
        agent.train()
    return agent, model, experience, wrong


def test_one_full_update_equals_stable_baselines(both):
    agent, model, experience, _ = both
    assert apart(agent, updated(model, experience)) < 2e-5


@pytest.mark.parametrize("name", ["clip", "entropy", "value", "normalize", "reinforce"])
def test_a_wrong_update_does_not(both, name):
    agent, _, experience, wrong = both
    assert apart(agent, updated(wrong[name], experience)) > 1e-3
