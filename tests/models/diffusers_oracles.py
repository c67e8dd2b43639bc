"""What the parity tests against the diffusers library share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from encoder_oracles import differences, made_loud, read_into
from torch import Tensor, nn

from sevenfold.models._published import published


def diffusers() -> Any:
    """The diffusers library, or skip; its import warns of what it would do with other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("diffusers")


def made(name: str, dtype: torch.dtype = torch.float64, **config: Any) -> nn.Module:
    """A loud model of theirs; what it says of itself while it is built is of no interest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made_loud(getattr(diffusers(), name)(**config), dtype)


def compared(
    oracle: nn.Module,
    theirs: Callable[[nn.Module], Tensor],
    own: Callable[[nn.Module], Tensor],
    *,
    told: Mapping[str, Any] = {},
    change_state: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
) -> tuple[float, float]:
    """Differences of outputs and gradients between theirs and ours, which reads their weights as from a folder.

    ``told`` changes what ours is told, ``change_state`` what it reads: the mutations.
    """
    said = {**oracle.config, "_class_name": type(oracle).__name__}
    entry = published(said)
    spec = entry.spec({**said, **told})
    state = entry.weights(spec, oracle.state_dict())
    ours = read_into(entry.module(spec), change_state(state))
    renamed = lambda gradients: entry.weights(spec, gradients)  # noqa: E731
    return differences(ours, (own(ours),), oracle, (theirs(oracle),), renamed)
