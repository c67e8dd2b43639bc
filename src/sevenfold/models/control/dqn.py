"""Deep Q-networks: the value of every action from the last frames, learned from replayed experience.

B batch, A actions.  observations [B, C, S, S] (bytes or 0..1) or [B, F] -> Q [B, A]

    y = r + gamma max_a' Q(s', a'; target)        minimize (y - Q(s, a))^2
    act: the best action with probability 1 - epsilon, else any; epsilon falls linearly

2013: two convolutions, one hidden layer of 256, the network is its own target, an update every step.
2015: three convolutions, a hidden layer of 512, a target network copied every 10,000 updates, an update every four
steps, the error clipped to -1..1.

Mnih et al. 2013, Playing Atari with Deep Reinforcement Learning, arXiv 1312.5602 (sections 4, 5); Mnih et al. 2015,
Human-level control through deep reinforcement learning, Nature 518 (extended data table 1).
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from sevenfold.models._entry import Family, Input, Landmark
from sevenfold.models.control._networks import Activation, Body, Trunk, fit_observations, observation_shape
from sevenfold.spec import Spec


class DQNSpec(Spec):
    """Settings of a deep Q-network and of how it learns."""

    body: Body = Field(description="how observations are read: vector, board, atari2013 or atari2015")
    channels: int = Field(ge=1, description="channels of an observation, all frames together, or its numbers")
    side: int = Field(default=1, ge=1, description="height and width of an observation, 1 for vectors")
    actions: int = Field(ge=1, description="number of actions")
    width: int = Field(ge=1, description="units of the last hidden layer, and of all of a vector's")
    depth: int = Field(default=2, ge=1, description="hidden layers of a vector, convolutions of a board")
    activation: Activation = Field(default="relu", description="relu or tanh")
    discount: float = Field(default=0.99, ge=0, lt=1, description="gamma, the share of the value a step later")
    replay: int = Field(default=1_000_000, ge=4, description="frames that are remembered")
    replay_starts: int = Field(default=50_000, ge=1, description="agent steps at random before learning begins")
    update_every: int = Field(default=4, ge=1, description="agent steps between updates")
    target_every: int = Field(
        default=10_000, ge=0, description="updates between copies to the target; 0: no target"
    )
    clipped_error: bool = Field(default=True, description="whether the error counts linearly beyond 1")
    epsilon_final: float = Field(default=0.1, ge=0, le=1, description="share of random actions in the end")
    epsilon_steps: int = Field(default=1_000_000, ge=1, description="agent steps until it is reached, from 1")
    epsilon_evaluation: float = Field(default=0.05, ge=0, le=1, description="share of random actions in evaluation")


class DQN(nn.Module):
    """observations -> Q [B, A]."""

    def __init__(self, spec: DQNSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = Trunk(
            spec.body, spec.channels, spec.side, spec.width, depth=spec.depth, activation=spec.activation
        )
        self.head = nn.Linear(spec.width, spec.actions)

    def forward(self, observations: Tensor) -> Tensor:
        values: Tensor = self.head(self.trunk(observations))
        return values


def _inputs(spec: DQNSpec) -> tuple[Input, ...]:
    return (Input(observation_shape(spec.body, spec.channels, spec.side)),)


_PROOF = (
    "Parameter counts; the loss and an update equal stable-baselines3's DQN's, the network its NatureCNN "
    "(tests/training/test_dqn.py)."
)
FIRST = Family(
    Landmark(
        name="dqn2013",
        title="Deep Q-network (2013)",
        family="control",
        year=2013,
        paper="Mnih et al. 2013, Playing Atari with Deep Reinforcement Learning, arXiv 1312.5602",
        constraint="data",
        summary="One network learns seven games from pixels and score: experience is replayed, not thrown away.",
        proof=_PROOF,
        preset="dqn2013",
    ),
    "control",
    DQNSpec,
    DQN,
    fit_observations,
    inputs=_inputs,
    dial="width",
)
SECOND = Family(
    Landmark(
        name="dqn2015",
        title="Deep Q-network (2015)",
        family="control",
        year=2015,
        paper="Mnih et al. 2015, Human-level control through deep reinforcement learning, Nature 518, 529-533",
        constraint="optimization",
        summary="A target network that stands still for a while and a clipped error keep Q-learning stable.",
        proof=_PROOF,
        preset="dqn2015",
    ),
    "control",
    DQNSpec,
    DQN,
    fit_observations,
    inputs=_inputs,
    dial="width",
)


@FIRST.preset("paper", parameters=677_686)
def dqn2013() -> DQNSpec:
    """The network and settings of 2013, with the six actions of Pong."""
    return DQNSpec(
        body="atari2013",
        channels=4,
        side=84,
        actions=6,
        width=256,
        update_every=1,
        target_every=0,
        clipped_error=False,
    )


@SECOND.preset("paper", parameters=1_687_206)
def dqn2015() -> DQNSpec:
    """The network and settings of 2015, with the six actions of Pong."""
    return DQNSpec(body="atari2015", channels=4, side=84, actions=6, width=512)


@SECOND.preset("laptop")
def dqn_small() -> DQNSpec:
    """Two hidden layers of 64 for observations that are vectors."""
    return DQNSpec(
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


@SECOND.preset("laptop")
def dqn_board() -> DQNSpec:
    """Two convolutions of 3 x 3 and a hidden layer for boards such as Snake's."""
    return DQNSpec(
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
