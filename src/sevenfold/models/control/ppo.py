"""Proximal policy optimization: several passes over the same experience, while the policy stays near its maker.

    rho = pi(a | s) / pi_old(a | s)
    clip      maximize  E[min(rho A, clip(rho, 1 - eps, 1 + eps) A)]                (7)
    penalty   maximize  E[rho A - beta KL(pi_old, pi)], beta follows the divergence  (8)
    with      - c_v (V - R)^2 + c_e entropy                                          (9)
    A         generalized advantages over ``horizon`` steps                          (11, 12)

Schulman et al. 2017, Proximal Policy Optimization Algorithms, arXiv 1707.06347.
"""

from __future__ import annotations

from sevenfold.models._entry import Family, Landmark
from sevenfold.models.control._networks import fit_observations
from sevenfold.models.control._policies import ActorCritic, PolicySpec, observed


class ProximalPolicy(ActorCritic):
    """observations -> logits [B, A]."""


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
            "(tests/models/test_ppo.py)."
        ),
        preset="ppo-atari",
    ),
    "control",
    PolicySpec,
    ProximalPolicy,
    fit_observations,
    inputs=observed,
    dial="width",
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
