"""Best of n: draw n answers from a model and keep the one with the highest reward; no learning.

N answers a prompt are drawn once, and every n up to N is estimated from them without bias: of the subsets of n, the
answer of rank i (the worst is 1) is the best in C(i - 1, n - 1) of C(N, n).

    KL(best of n, model) <= log n - (n - 1) / n         equality where no two answers get the same reward

Stiennon et al. 2020, arXiv 2009.01325; the bound: Beirami et al. 2024, arXiv 2401.01879.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["best_of", "best_of_divergence"]


def best_of(rewards: Tensor, values: Tensor, n: int) -> Tensor:
    """What the best of ``n`` by ``rewards`` is expected to be worth [P] in ``values``; both [P, N].

    >>> best_of(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[3.0, 6.0, 9.0]]), 3).tolist()
    [9.0]
    >>> best_of(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[3.0, 6.0, 9.0]]), 1).tolist()
    [6.0]

    Of answers with equal rewards each is as likely to be taken.
    """
    if rewards.shape != values.shape or rewards.dim() != 2 or not 1 <= n <= rewards.shape[1]:
        raise UsageError(
            "the best of n answers",
            got=f"n = {n} of rewards {list(rewards.shape)} and values {list(values.shape)}",
            expected="[prompts, N] both, n from 1 to N",
        )
    num = rewards.shape[1]
    weights = torch.tensor([math.comb(i, n - 1) / math.comb(num, n) for i in range(num)], dtype=torch.float64)
    order = rewards.argsort(dim=1, stable=True)
    ranked, worth = rewards.gather(1, order), values.gather(1, order).double()
    # Equals share their ranks' weight: the mean of their values stands for each.
    same = (ranked[:, :, None] == ranked[:, None, :]).double()
    shared = (same @ worth[:, :, None]).squeeze(2) / same.sum(2)
    return (shared * weights).sum(1)


def best_of_divergence(n: int) -> float:
    """KL in nats of the best of ``n`` from the model that drew them, where no two answers tie; else a bound.

    >>> best_of_divergence(1)
    0.0
    """
    return math.log(n) - (n - 1) / n
