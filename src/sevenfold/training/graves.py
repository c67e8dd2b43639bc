"""RMSProp as the DQN papers used it: epsilon inside the root, the gradient's mean taken off.

    m <- alpha m + (1 - alpha) g          v <- alpha v + (1 - alpha) g^2
    w <- w - lr g / sqrt(v - m^2 + eps)                                         Graves 2013, eq. 38-40

torch's RMSprop has epsilon outside the root: with eps = 0.01, as in the papers, its first step is another by far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = ["GravesRMSprop"]


class GravesRMSprop(torch.optim.Optimizer):
    """The optimizer; ``momentum`` is of the step, as in Graves' equation, 0 in the code of DQN 2015."""

    def __init__(
        self,
        parameters: list[nn.Parameter] | list[dict[str, Any]],
        lr: float,
        *,
        alpha: float = 0.95,
        eps: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(cast(Any, parameters), settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            for name in ("mean", "square", *(["movement"] if group["momentum"] else [])):
                state[name] = torch.zeros_like(parameter)
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        alpha = group["alpha"]
        state["mean"].lerp_(gradient, 1 - alpha)
        state["square"].mul_(alpha).addcmul_(gradient, gradient, value=1 - alpha)
        spread = state["square"].addcmul(state["mean"], state["mean"], value=-1).add_(group["eps"]).sqrt_()
        if group["momentum"]:
            state["movement"].mul_(group["momentum"]).addcdiv_(gradient, spread, value=-group["lr"])
            parameter.add_(state["movement"])
        else:
            parameter.addcdiv_(gradient, spread, value=-group["lr"])
