"""What reward models of texts share: where a text ends, and the head that turns its last state into a number.

B texts, T tokens, D width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["RewardHead", "last_states", "texts_of"]


class RewardHead(nn.Module):
    """[B, D] -> rewards [B]: a random linear function at first, then scale and shift, which are not trained.

    Comparisons say nothing about where zero is; ``normalize`` says it. The initialization N(0, 1 / (D + 1)) is that
    of Stiennon et al. 2020, arXiv 2009.01325.

    >>> head = RewardHead(4)
    >>> head.normalize(head(torch.randn(50, 4)).detach())
    >>> head(torch.zeros(2, 4)).shape
    torch.Size([2])
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)
        nn.init.normal_(self.score.weight, std=1 / math.sqrt(width + 1))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("shift", torch.zeros(()))

    def forward(self, states_bd: Tensor) -> Tensor:
        rewards: Tensor = self.score(states_bd).squeeze(-1) * self.scale + self.shift
        return rewards

    @torch.no_grad()
    def normalize(self, rewards: Tensor, *, variance: bool = False) -> None:
        """Moves rewards so that those given [N] come to mean 0, and to variance 1 if asked; this head gave them."""
        factor = 1 / rewards.std(correction=0).clamp(min=1e-8) if variance else torch.ones_like(self.scale)
        self.scale.mul_(factor)
        self.shift.copy_((self.shift - rewards.mean()) * factor)


def texts_of(tokens: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """tokens [..., T] as texts [B, T], and the axes before T, to shape rewards like."""
    return tokens.flatten(0, -2), tuple(tokens.shape[:-1])


def last_states(states_btd: Tensor, tokens: Tensor, padding: int) -> Tensor:
    """The state [B, D] of each text's last token that is no padding; of a text of padding alone, the first."""
    positions = torch.arange(tokens.shape[1], device=tokens.device)
    last_b = (positions * (tokens != padding)).argmax(-1)
    return states_btd.gather(1, last_b[:, None, None].expand(-1, 1, states_btd.shape[-1])).squeeze(1)
