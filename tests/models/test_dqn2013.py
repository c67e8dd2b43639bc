"""The Q-network of 2013 against torch's functions called one by one, on loud weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sevenfold.errors import UsageError
from sevenfold.models import MODELS


def reference(weights, pixels, *, strides=(4, 2), scale=255.0):
    x = pixels / scale if pixels.max() > 1 else pixels
    names = ["trunk.layers.0", "trunk.layers.2"]
    for name, stride in zip(names, strides, strict=True):
        x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride))
    x = F.relu(F.linear(x.flatten(1), weights["trunk.layers.5.weight"], weights["trunk.layers.5.bias"]))
    return F.linear(x, weights["head.weight"], weights["head.bias"])


def test_outputs_and_gradients(loud, difference):
    module = loud(MODELS["dqn2013"].build({"actions": 4}))
    frames = torch.rand(2, 4, 84, 84, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outputs, gradients = difference(module, reference, frames)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize("wrong", ["no bias", "exchanged filters", "frames backwards"])
def test_a_wrong_network_is_noticed(loud, difference, wrong):
    module = loud(MODELS["dqn2013"].build({"actions": 4}))
    frames = torch.rand(2, 4, 84, 84, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    name = "trunk.layers.0.bias"

    def mistaken(weights, pixels):
        changed = {
            "no bias": {name: torch.zeros_like(weights[name])},
            "exchanged filters": {"trunk.layers.2.weight": weights["trunk.layers.2.weight"].flip(1)},
            "frames backwards": {"trunk.layers.0.weight": weights["trunk.layers.0.weight"].flip(1)},
        }
        return reference({**weights, **changed[wrong]}, pixels)

    assert difference(module, mistaken, frames)[0] > 1e-3


def test_bytes_are_pixels_in_0_to_1():
    module = MODELS["dqn2013"].build()
    pixels = torch.randint(256, (2, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(pixels), module(pixels.float() / 255))


def test_frames_that_are_too_small_are_told():
    with pytest.raises(UsageError, match="84, as in the papers"):
        MODELS["dqn2013"].build({"side": 8})
