"""Where two people's comparisons agree, how much of that is chance, and what a third decides where they differ.

    share of agreement   p_o = pairs that both order alike / pairs that both order
    Cohen's kappa        (p_o - p_e) / (1 - p_e); neither of two answers is the first by nature, so that each pair
                         is counted in both orders: then p_e = 1/2, and kappa = 2 p_o - 1

A pair counts with what follows from it (a over b and b over c say a over c), since that is never asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sevenfold.data.comparisons import Candidates, Judgement, check_judgements, read_judgements
from sevenfold.data.labellers import cohen_kappa
from sevenfold.data.labelling import order_of
from sevenfold.errors import InputFileError, UsageError

__all__ = ["Agreement", "Decisions", "agreement_of", "decided", "read_labeller"]

Comparison = tuple[str, str, str]  # prompt, better, worse


@dataclass(frozen=True)
class Agreement:
    """Two people's comparisons beside each other."""

    agreed: tuple[Comparison, ...]
    disputed: tuple[Comparison, ...]  # as the first one said it
    only_first: int  # pairs that the second one has not compared
    only_second: int

    @property
    def shared(self) -> int:
        """Pairs that both have compared."""
        return len(self.agreed) + len(self.disputed)

    @property
    def share(self) -> float:
        """The share of the shared pairs on which they agree."""
        return len(self.agreed) / self.shared

    @property
    def kappa(self) -> float:
        """Cohen's kappa; 0 is chance, 1 is agreement on every pair, -1 on none."""
        one = np.array([1] * len(self.agreed) + [1] * len(self.disputed), dtype=np.int64)
        other = np.array([1] * len(self.agreed) + [0] * len(self.disputed), dtype=np.int64)
        both_orders = cohen_kappa(np.concatenate([one, 1 - one]), np.concatenate([other, 1 - other]))
        assert both_orders is not None  # each order occurs equally often
        return both_orders

    def candidates(self) -> list[Candidates]:
        """What is in dispute, for somebody to judge."""
        return [Candidates(prompt, (better, worse)) for prompt, better, worse in self.disputed]


@dataclass(frozen=True)
class Decisions:
    """What two people and their judge say together."""

    comparisons: tuple[Judgement, ...]
    judged: int  # of the comparisons: those that the judge decided
    open: int  # disputes that the judge has not decided
    circular: int  # prompts left out, since what was decided pair by pair runs in a circle


def read_labeller(path: Path) -> list[Judgement]:
    """One person's judgements; raises InputFileError where the file holds those of several."""
    found = read_judgements(path)
    names = sorted({one.labeller for one in found})
    if len(names) > 1:
        raise InputFileError(
            "a file of one labeller is needed here",
            got=f"{path} with {', '.join(repr(name) for name in names[:5])}",
            hint="a file for each: `sevenfold label --out`",
        )
    return found


def agreement_of(first: Sequence[Judgement], second: Sequence[Judgement]) -> Agreement:
    """The pairs that both have compared; raises UsageError where there is none."""
    one, other = _pairs(first), _pairs(second)
    agreed = tuple(pair for pair in one if pair in other)
    disputed = tuple(pair for pair in one if _turned(pair) in other)
    shared = len(agreed) + len(disputed)
    if not shared:
        raise UsageError(
            "the two have no pair of answers in common",
            got=f"{len(one)} pairs and {len(other)} pairs",
            expected="the same answers, compared by both",
        )
    return Agreement(agreed, disputed, len(one) - shared, len(other) - shared)


def decided(agreement: Agreement, judge: Sequence[Judgement]) -> Decisions:
    """What the two agree on, and what the judge says where they differ."""
    said = _pairs(judge)
    judged = [pair if pair in said else _turned(pair) for pair in agreement.disputed]
    judged = [pair for pair in judged if pair in said]
    by_prompt: dict[str, list[Comparison]] = {}
    for pair in (*agreement.agreed, *judged):
        by_prompt.setdefault(pair[0], []).append(pair)
    straight = {prompt: pairs for prompt, pairs in by_prompt.items() if not _circular(pairs)}
    kept = [pair for pairs in straight.values() for pair in pairs]
    return Decisions(
        comparisons=tuple(Judgement(prompt, (better, worse)) for prompt, better, worse in kept),
        judged=len(set(judged) & set(kept)),
        open=len(agreement.disputed) - len(judged),
        circular=len(by_prompt) - len(straight),
    )


def _pairs(judgements: Sequence[Judgement]) -> dict[Comparison, None]:
    """Each comparison once, in the order of the file."""
    return {
        (prompt, better, worse): None
        for prompt, below in order_of(judgements).items()
        for better, all_worse in below.items()
        for worse in sorted(all_worse)
    }


def _turned(pair: Comparison) -> Comparison:
    prompt, better, worse = pair
    return prompt, worse, better


def _circular(pairs: Sequence[Comparison]) -> bool:
    judgements = [Judgement(prompt, (better, worse)) for prompt, better, worse in pairs]
    try:
        check_judgements(judgements, [""] * len(judgements), source="")
    except InputFileError:
        return True
    return False
