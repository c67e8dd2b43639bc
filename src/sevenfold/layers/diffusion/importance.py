"""Which steps a batch is trained on: all alike, or those with large losses more often and with less weight.

Nichol & Dhariwal 2021, section 3.3: L_vlb = E_{t ~ p}[L_t / p_t], p_t in proportion to sqrt(E[L_t^2]), the ten last
losses of each step remembered; before every step has ten, all alike. A share of 0.001 stays spread over all (the
authors' code). The memory is part of the model's state, so that a run goes on as it was.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["StepChooser"]


class StepChooser(nn.Module):
    """Chooses steps; however they are chosen, the mean of weight times loss estimates the mean over all steps.

    >>> t, weights = StepChooser(4).choose(3)
    >>> len(t), weights.tolist()
    (3, [1.0, 1.0, 1.0])
    """

    losses: Tensor  # [T, kept]
    counts: Tensor  # [T] int64

    def __init__(self, steps: int, *, by_loss: bool = False, kept: int = 10, uniform: float = 0.001) -> None:
        super().__init__()
        self.steps, self.by_loss, self.kept, self.uniform = steps, by_loss, kept, uniform
        if by_loss:
            self.register_buffer("losses", torch.zeros(steps, kept, dtype=torch.float64))
            self.register_buffer("counts", torch.zeros(steps, dtype=torch.int64))

    def probabilities(self) -> Tensor | None:
        """p_t [T] float64; None while all steps are alike."""
        if not self.by_loss or bool((self.counts < self.kept).any()):
            return None
        root = self.losses.square().mean(dim=1).sqrt()
        return (1 - self.uniform) * root / root.sum() + self.uniform / self.steps

    def choose(self, num: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Steps [num] int64 and the weights [num] of their losses, 1 / (T p_t), from torch's random numbers."""
        probabilities = self.probabilities()
        if probabilities is None:
            return torch.randint(self.steps, (num,), device=device), torch.ones(num, device=device)
        chosen = torch.multinomial(probabilities, num, replacement=True)
        return chosen.to(device), (1 / (self.steps * probabilities[chosen])).float().to(device)

    @torch.no_grad()
    def remember(self, t: Tensor, losses: Tensor) -> None:
        """The losses [B] of the steps [B]; the oldest of a step makes room."""
        if not self.by_loss:
            return
        for step, loss in zip(t.tolist(), losses.tolist(), strict=True):
            self.losses[step] = self.losses[step].roll(-1)
            self.losses[step, -1] = loss
            self.counts[step] = (self.counts[step] + 1).clamp(max=self.kept)
