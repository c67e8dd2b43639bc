"""REINFORCE: follow the gradient of the expected return, estimated from the actions that were taken.

    gradient of  E[log pi(a | s) (R - V(s))],   R the discounted return from s, V a learned baseline

Williams 1992, Simple statistical gradient-following algorithms for connectionist reinforcement learning, Machine
Learning 8, 229-256 (the baseline is his reinforcement baseline, learned as a value here).
"""

from __future__ import annotations

from sevenfold.models._entry import Family, Landmark
from sevenfold.models.control._networks import fit_observations
from sevenfold.models.control._policies import ActorCritic, PolicySpec, observed


class Reinforce(ActorCritic):
    """observations -> logits [B, A]."""


REINFORCE = Family(
    Landmark(
        name="reinforce",
        title="REINFORCE",
        family="control",
        year=1992,
        paper="Williams 1992, Simple statistical gradient-following algorithms, Machine Learning 8, 229-256",
        constraint="optimization",
        summary="The gradient of an expected reward from samples alone, without a model of what the actions do.",
        proof="Its gradient is unbiased on a bandit with a known gradient (tests/models/test_reinforce.py).",
        preset="reinforce-small",
    ),
    "control",
    PolicySpec,
    Reinforce,
    fit_observations,
    inputs=observed,
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
