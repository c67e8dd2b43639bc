"""Random numbers for samples, one generator an example: sample i depends on its own seed and on nothing else.

So a sheet of 16 begins with the 4 that a sheet of 4 has, and sampling that was interrupted goes on where it was.
Drawn on the CPU on every device, so that one seed is one picture everywhere (to the rounding of the arithmetic).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["Noise"]


class Noise:
    """One stream of random numbers for each of B examples.

    >>> Noise([7, 8, 9]).normal(1, 8, 8).shape
    torch.Size([3, 1, 8, 8])
    >>> bool((Noise([7]).normal(4) == Noise([6, 7]).normal(4)[1]).all())
    True
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        if not seeds:
            raise UsageError("noise is for at least one example", got="no seeds", expected="a seed an example")
        self.device = torch.device(device)
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self._generators)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers [B, *shape], float32."""
        return torch.stack([torch.randn(shape, generator=one) for one in self._generators]).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers [B, *shape] in 0..1, float32."""
        return torch.stack([torch.rand(shape, generator=one) for one in self._generators]).to(self.device)

    def choose(self, probabilities: Tensor) -> Tensor:
        """One index an example [B] int64, drawn by its row of weights [B, K], which need not sum to 1."""
        if probabilities.dim() != 2 or len(probabilities) != len(self):
            raise UsageError(
                "one row of probabilities an example",
                got=f"shape {list(probabilities.shape)}",
                expected=f"[{len(self)}, choices]",
            )
        rows = probabilities.detach().cpu()
        drawn = [torch.multinomial(row, 1, generator=one) for row, one in zip(rows, self._generators, strict=True)]
        return torch.cat(drawn).to(self.device)
