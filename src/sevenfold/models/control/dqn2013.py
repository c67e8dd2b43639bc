"""The deep Q-network of 2013: the value of every action from the last four frames, learned by replaying the past.

B batch, A actions.  observations [B, 4, 84, 84] bytes -> 16 filters of 8 x 8, stride 4 -> 32 of 4 x 4, stride 2
-> 256 units -> Q [B, A]; rectified after every layer but the last.

    y = r + gamma max_a' Q(s', a')            minimize (y - Q(s, a))^2 over a minibatch of remembered steps
    act: the best action with probability 1 - epsilon, else any; epsilon falls linearly from 1

The network is its own target, and learns at every step.

Mnih et al. 2013, Playing Atari with Deep Reinforcement Learning, arXiv 1312.5602 (algorithm 1, sections 4 and 5).
"""

from __future__ import annotations

from sevenfold.models._entry import Family, Landmark
from sevenfold.models.control._networks import fit_observations
from sevenfold.models.control._values import ActionValues, ValueSpec, observed


class DQN2013(ActionValues):
    """observations -> Q [B, A]."""


DQN = Family(
    Landmark(
        name="dqn2013",
        title="Deep Q-network (2013)",
        family="control",
        year=2013,
        paper="Mnih et al. 2013, Playing Atari with Deep Reinforcement Learning, arXiv 1312.5602",
        constraint="data",
        summary="One network learns seven games from pixels and score: experience is replayed, not thrown away.",
        proof=(
            "Parameter counts; outputs and gradients equal plain torch functions (tests/models/test_dqn2013.py)."
        ),
        preset="dqn2013",
    ),
    "control",
    ValueSpec,
    DQN2013,
    fit_observations,
    inputs=observed,
    dial="width",
)


@DQN.preset("paper", parameters=677_686)
def dqn2013() -> ValueSpec:
    """The network and settings of 2013, with the six actions of Pong."""
    return ValueSpec(
        body="atari2013",
        channels=4,
        side=84,
        actions=6,
        width=256,
        update_every=1,
        target_every=0,
        clipped_error=False,
    )
