"""Policies: the probability of every action from an observation, learned by following its gradient.

B batch, A actions.  observations [B, F] or [B, C, S, S] -> logits [B, A]; `judge` also gives V [B]

    REINFORCE   gradient of  E[log pi(a | s) (R - V(s))]
    PPO         several epochs over the same steps, as long as the new policy stays near the old one:
                minimize  -L_clip + c_v (V - R)^2 - c_e entropy,   or with a penalty on the divergence for the clip

The baseline V is a second network for vectors, as in the papers, and a second head for boards.

Williams 1992, Simple statistical gradient-following algorithms for connectionist reinforcement learning, Machine
Learning 8; Schulman et al. 2017, Proximal Policy Optimization Algorithms, arXiv 1707.06347 (section 3, table 3).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from sevenfold.models._entry import Family, Input, Landmark
from sevenfold.models.control._networks import Activation, Body, Trunk, fit_observations, observation_shape
from sevenfold.spec import Spec


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


class Policy(nn.Module):
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


def _inputs(spec: PolicySpec) -> tuple[Input, ...]:
    return (Input(observation_shape(spec.body, spec.channels, spec.side)),)


REINFORCE = Family(
    Landmark(
        name="reinforce",
        title="REINFORCE",
        family="control",
        year=1992,
        paper="Williams 1992, Simple statistical gradient-following algorithms, Machine Learning 8, 229-256",
        constraint="optimization",
        summary="The gradient of an expected reward from samples alone, without a model of what the actions do.",
        proof="Its gradient is unbiased on a bandit with a known gradient (tests/training/test_policy_losses.py).",
        preset="reinforce-small",
    ),
    "control",
    PolicySpec,
    Policy,
    fit_observations,
    inputs=_inputs,
    dial="width",
)
PPO = Family(
    Landmark(
        name="ppo",
        title="Proximal policy optimization",
        family="control",
        year=2017,
        paper="Schulman et al. 2017, Proximal Policy Optimization Algorithms, arXiv 1707.06347",
        constraint="optimization",
        summary="Many updates from the same experience, as long as the policy stays near the one that made it.",
        proof=(
            "Losses, advantages and one full update equal stable-baselines3's on the same batch "
            "(tests/training/test_ppo.py)."
        ),
        preset="ppo-atari",
    ),
    "control",
    PolicySpec,
    Policy,
    fit_observations,
    inputs=_inputs,
    dial="width",
)


@REINFORCE.preset("laptop")
def reinforce_small() -> PolicySpec:
    """Two hidden layers of 64 for vectors, whole returns, one update from each batch of steps."""
    return PolicySpec(
        body="vector",
        channels=4,
        actions=2,
        width=64,
        algorithm="reinforce",
        trace=1.0,
        horizon=256,
        epochs=1,
    )


@PPO.preset("laptop")
def ppo_small() -> PolicySpec:
    """Two hidden layers of 64 for vectors, clipped."""
    return PolicySpec(body="vector", channels=4, actions=2, width=64, algorithm="ppo-clip", horizon=256, epochs=8)


@PPO.preset("laptop")
def ppo_board() -> PolicySpec:
    """Two convolutions of 3 x 3 and a hidden layer for boards such as Snake's, clipped."""
    return PolicySpec(
        body="board",
        channels=3,
        side=10,
        actions=4,
        width=128,
        activation="relu",
        algorithm="ppo-clip",
        horizon=64,
        entropy_weight=0.01,
    )


@PPO.preset("paper", parameters=1_687_719)
def ppo_atari() -> PolicySpec:
    """The network of DQN 2015 with a policy's and a value's head; the paper's own Atari network is that of A3C."""
    return PolicySpec(
        body="atari2015",
        channels=4,
        side=84,
        actions=6,
        width=512,
        activation="relu",
        algorithm="ppo-clip",
        horizon=128,
        epochs=4,
        clip=0.1,
        entropy_weight=0.01,
    )
