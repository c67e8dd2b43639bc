"""What learners of policies share: their settings, and the network that says how likely and how good.

B batch, A actions.  observations [B, F] or [B, C, S, S] -> logits [B, A]; `judge` also gives V [B]

The baseline V is a second network for vectors, and a second head for boards and frames.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from sevenfold.models._entry import Input
from sevenfold.models.control._networks import Activation, Body, Trunk, observation_shape
from sevenfold.spec import Spec

__all__ = ["ActorCritic", "PolicySpec", "observed"]


class PolicySpec(Spec):
    """Settings of a policy and of how it learns."""

    body: Body = Field(description="how observations are read: vector, board, atari2013 or atari2015")
    channels: int = Field(ge=1, description="channels of an observation, all frames together, or its numbers")
    side: int = Field(default=1, ge=1, description="height and width of an observation, 1 for vectors")
    actions: int = Field(ge=1, description="number of actions")
    width: int = Field(ge=1, description="units of the last hidden layer, and of all of a vector's")
    depth: int = Field(default=2, ge=1, description="hidden layers of a vector, convolutions of a board")
    activation: Activation = Field(default="tanh", description="relu or tanh")
    algorithm: Literal["reinforce", "ppo-clip", "ppo-kl"] = Field(description="reinforce, ppo-clip or ppo-kl")
    discount: float = Field(default=0.99, ge=0, lt=1, description="gamma, the share of the value a step later")
    trace: float = Field(default=0.95, ge=0, le=1, description="lambda of the generalized advantages; 1: returns")
    horizon: int = Field(default=128, ge=1, description="steps of each environment between two updates")
    epochs: int = Field(default=4, ge=1, description="passes over these steps")
    clip: float = Field(default=0.2, gt=0, description="ppo-clip: how far the ratio of probabilities may go from 1")
    penalty: float = Field(default=1.0, ge=0, description="ppo-kl: weight of the divergence at first")
    divergence_aim: float = Field(
        default=0.01, gt=0, description="ppo-kl: the weight doubles above 1.5 times this, and halves below it"
    )
    value_weight: float = Field(default=0.5, ge=0, description="weight of the error of V")
    entropy_weight: float = Field(default=0.0, ge=0, description="weight of the policy's entropy")
    normalize: bool = Field(default=True, description="whether advantages are centred and scaled in each minibatch")


class ActorCritic(nn.Module):
    """observations -> logits [B, A]."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = self._trunk()
        self.value_trunk = self._trunk() if spec.body == "vector" else None
        self.head, self.value_head = nn.Linear(spec.width, spec.actions), nn.Linear(spec.width, 1)
        for layer in self.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                nn.init.orthogonal_(layer.weight, math.sqrt(2))
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.orthogonal_(self.head.weight, 0.01)  # every action is about as likely at first
        nn.init.orthogonal_(self.value_head.weight, 1.0)

    def forward(self, observations: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(observations))
        return logits

    def judge(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, A] and values [B]."""
        features = self.trunk(observations)
        seen = features if self.value_trunk is None else self.value_trunk(observations)
        return self.head(features), self.value_head(seen).squeeze(1)

    def _trunk(self) -> Trunk:
        spec = self.spec
        return Trunk(spec.body, spec.channels, spec.side, spec.width, depth=spec.depth, activation=spec.activation)


def observed(spec: PolicySpec) -> tuple[Input, ...]:
    """What the network is called with."""
    return (Input(observation_shape(spec.body, spec.channels, spec.side)),)
