"""The deep Q-network of 2015: a third convolution, a target that stands still for a while, and clipped errors.

B batch, A actions.  observations [B, 4, 84, 84] bytes -> 32 filters of 8 x 8, stride 4 -> 64 of 4 x 4, stride 2
-> 64 of 3 x 3 -> 512 units -> Q [B, A]; rectified after every layer but the last.

    y = r + gamma max_a' Q_target(s', a')     the error y - Q(s, a) counts linearly beyond 1 (Huber's loss)
    the target is copied from the network every 10,000 updates, which come every four steps

Mnih et al. 2015, Human-level control through deep reinforcement learning, Nature 518, 529-533 (algorithm 1,
extended data table 1).
"""

from __future__ import annotations

from sevenfold.models._entry import Family, Landmark
from sevenfold.models.control._networks import fit_observations
from sevenfold.models.control._values import ActionValues, ValueSpec, observed


class DQN2015(ActionValues):
    """observations -> Q [B, A]."""


DQN = Family(
    Landmark(
        name="dqn2015",
        title="Deep Q-network (2015)",
        family="control",
        year=2015,
        paper="Mnih et al. 2015, Human-level control through deep reinforcement learning, Nature 518, 529-533",
        constraint="optimization",
        summary="A target network that stands still for a while and a clipped error keep Q-learning stable.",
        proof=(
            "Parameter counts; the network is stable-baselines3's NatureCNN, the loss and an update are its DQN's "
            "(tests/models/test_dqn2015.py)."
        ),
        preset="dqn2015",
    ),
    "control",
    ValueSpec,
    DQN2015,
    fit_observations,
    inputs=observed,
    dial="width",
)


@DQN.preset("paper", parameters=1_687_206)
def dqn2015() -> ValueSpec:
    """The network and settings of 2015, with the six actions of Pong."""
    return ValueSpec(body="atari2015", channels=4, side=84, actions=6, width=512)


@DQN.preset("laptop")
def dqn_small() -> ValueSpec:
    """Two hidden layers of 64 for observations that are vectors."""
    return ValueSpec(
        body="vector",
        channels=4,
        actions=2,
        width=64,
        replay=20_000,
        replay_starts=500,
        update_every=2,
        target_every=250,
        epsilon_final=0.04,
        epsilon_steps=8_000,
        epsilon_evaluation=0.0,
    )


@DQN.preset("laptop")
def dqn_board() -> ValueSpec:
    """Two convolutions of 3 x 3 and a hidden layer for boards such as Snake's."""
    return ValueSpec(
        body="board",
        channels=3,
        side=4,
        actions=4,
        width=128,
        discount=0.95,
        replay=50_000,
        replay_starts=1_000,
        update_every=4,
        target_every=500,
        epsilon_final=0.02,
        epsilon_steps=20_000,
        epsilon_evaluation=0.0,
    )
