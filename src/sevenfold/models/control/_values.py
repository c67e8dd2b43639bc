"""What the deep Q-networks share: their settings, and the value of every action from an observation.

B batch, A actions.  observations [B, C, S, S] (bytes or 0..1) or [B, F] -> Q [B, A]
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from sevenfold.models._entry import Input
from sevenfold.models.control._networks import Activation, Body, Trunk, observation_shape
from sevenfold.spec import Spec

__all__ = ["ActionValues", "ValueSpec", "observed"]


class ValueSpec(Spec):
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
    double: bool = Field(
        default=False, description="whether the network chooses the next action that the target values (double DQN)"
    )
    clipped_error: bool = Field(default=True, description="whether the error counts linearly beyond 1")
    epsilon_final: float = Field(default=0.1, ge=0, le=1, description="share of random actions in the end")
    epsilon_steps: int = Field(default=1_000_000, ge=1, description="agent steps until it is reached, from 1")
    epsilon_evaluation: float = Field(default=0.05, ge=0, le=1, description="share of random actions in evaluation")


class ActionValues(nn.Module):
    """observations -> Q [B, A]."""

    def __init__(self, spec: ValueSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = Trunk(
            spec.body, spec.channels, spec.side, spec.width, depth=spec.depth, activation=spec.activation
        )
        self.head = nn.Linear(spec.width, spec.actions)

    def forward(self, observations: Tensor) -> Tensor:
        values: Tensor = self.head(self.trunk(observations))
        return values


def observed(spec: ValueSpec) -> tuple[Input, ...]:
    """What the network is called with."""
    return (Input(observation_shape(spec.body, spec.channels, spec.side)),)
