"""Trunks of agents: observations to features. B examples, C channels, S side, F features, W width.

vector   [B, F] -> hidden layers of W
board    [B, C, S, S] -> 3 x 3 convolutions that keep the side -> W
atari    [B, 4, 84, 84] -> the convolutions of Mnih 2013 or 2015 -> W
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sevenfold.errors import UsageError
from sevenfold.layers import require_features, require_images
from sevenfold.models._entry import ModelEntry
from sevenfold.runs.recipe import Scalar

__all__ = ["Activation", "Body", "Trunk", "fit_observations", "observation_shape"]

Body = Literal["vector", "board", "atari2013", "atari2015"]
Activation = Literal["relu", "tanh"]
_ATARI = {"atari2013": ((16, 8, 4), (32, 4, 2)), "atari2015": ((32, 8, 4), (64, 4, 2), (64, 3, 1))}
_LARGEST = 255.0  # of a pixel


class Trunk(nn.Module):
    """Observations [B, channels] or [B, channels, side, side] -> features [B, width]."""

    def __init__(
        self, body: Body, channels: int, side: int, width: int, *, depth: int = 2, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.body, self.channels, self.side = body, channels, side
        bend = nn.ReLU if activation == "relu" else nn.Tanh
        layers: list[nn.Module] = []
        if body == "vector":
            for number in range(depth):
                layers += [nn.Linear(channels if number == 0 else width, width), bend()]
        elif body == "board":
            for number in range(depth):
                layers += [nn.Conv2d(channels if number == 0 else 32, 32, 3, padding=1), bend()]
            layers += [nn.Flatten(), nn.Linear(32 * side * side, width), bend()]
        else:
            before, left = channels, side
            for after, kernel, stride in _ATARI[body]:
                layers += [nn.Conv2d(before, after, kernel, stride), bend()]
                before, left = after, (left - kernel) // stride + 1
            if left < 1:
                raise UsageError(
                    f"{body} needs larger frames", got=f"image={side}", expected="84, as in the papers"
                )
            layers += [nn.Flatten(), nn.Linear(before * left * left, width), bend()]
        self.layers = nn.Sequential(*layers)

    def forward(self, observations: Tensor) -> Tensor:
        if self.body == "vector":
            observations = require_features("the agent's network", observations, self.channels)
        elif not observations.is_floating_point():
            # Pixels as bytes. Channels last: an update of DQN 2015 takes a quarter less time on a CPU.
            observations = observations.float() / _LARGEST
            require_images("the agent's network", observations, self.channels, self.side)
            observations = observations.contiguous(memory_format=torch.channels_last)
        else:
            require_images("the agent's network", observations, self.channels, self.side)
        features: Tensor = self.layers(observations)
        return features


def observation_shape(body: Body, channels: int, side: int) -> tuple[int, ...]:
    """The shape of one observation."""
    return (channels,) if body == "vector" else (channels, side, side)


def fit_observations(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of agents: the observation's shape and the number of actions."""
    body = str(entry.preset["body"])
    vector = body == "vector"
    square = len(input_shape) == 3 and input_shape[1] == input_shape[2]
    if (vector and len(input_shape) != 1) or (not vector and not square):
        raise UsageError(
            f"the network of {entry.name} does not fit these observations",
            got=f"observations of shape {list(input_shape)}",
            expected="a vector [numbers]" if vector else "square frames [channels, side, side]",
            hint="an agent for vectors, such as dqn-small"
            if len(input_shape) == 1
            else "an agent for boards or frames",
        )
    settings: dict[str, Scalar] = {"channels": input_shape[0], "actions": num_outputs}
    if not vector:
        settings["side"] = input_shape[1]
    return settings
