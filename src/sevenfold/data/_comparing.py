"""Judgements to a data set: prompts whose answers were ranked, as tokens, for reward models and for DPO.

N prompts, K answers at most, B prompts of a batch, T tokens, P pairs.

    reward       inputs [B, K, T] prompt and answer, best first; targets [B, K] the place 0 to K - 1, -1 where a
                 prompt has fewer answers
    preference   inputs [B, 2, T] the better and the worse, and [B, 2, T - 1] which of the tokens after the first
                 are the answer's; targets [B] zeros, unused. Every pair that a judgement says is an item

Padding is 0 and follows the text. It must not know who judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from sevenfold.data._dataset import Dataset, Inputs, Prompting, Provenance, Split
from sevenfold.data._tokenizing import TextTokenizer
from sevenfold.data.comparisons import Judgement, pairs_of
from sevenfold.errors import UsageError

__all__ = ["PairSplit", "RankingSplit", "TextCode", "compared", "digest_of_judgements"]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextCode:
    """How texts become tokens: ``encode(prompt, answer)`` is (tokens of the prompt, tokens of the answer)."""

    name: str
    vocabulary: int
    encode: Callable[[str, str], tuple[Sequence[int], Sequence[int]]]
    context: int | None = None  # of every model of this code; None: as long as the longest text
    tokenizer: TextTokenizer | None = None
    prompting: Prompting | None = None


@dataclass(frozen=True, eq=False)
class RankingSplit(Split):
    """Prompts with their answers, best first."""

    tokens: torch.Tensor  # [N, K, T] int64
    places: torch.Tensor  # [N, K] int64
    demonstrations: torch.Tensor | None = None  # [D, T] texts that people wrote, where there are any

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, indices: Indices) -> tuple[Inputs, torch.Tensor]:
        rows = torch.from_numpy(indices).to(self.tokens.device)
        return _trimmed(self.tokens[rows]), self.places[rows]

    def take(self, indices: Indices) -> RankingSplit:
        rows = torch.from_numpy(indices).to(self.tokens.device)
        return replace(self, tokens=self.tokens[rows], places=self.places[rows])

    def to(self, device: torch.device | str) -> RankingSplit:
        return replace(self, tokens=self.tokens.to(device), places=self.places.to(device))

    def beside(self, texts: Sequence[tuple[Sequence[int], Sequence[int]]]) -> RankingSplit:
        """The same with texts that people wrote: tokens of prompt and answer."""
        tokens = torch.zeros(len(texts), max(len(asked) + len(said) for asked, said in texts), dtype=torch.int64)
        for row, (asked, said) in enumerate(texts):
            tokens[row, : len(asked) + len(said)] = torch.tensor([*asked, *said])
        return replace(self, demonstrations=tokens)


@dataclass(frozen=True, eq=False)
class PairSplit(Split):
    """Pairs of answers, the better first; ``reference`` is how likely a reference finds them, once it is known."""

    tokens: torch.Tensor  # [P, 2, T] int64
    answered: torch.Tensor  # [P, 2, T - 1] bool
    reference: torch.Tensor | None = None  # [P, 2] log-probability of each answer

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, indices: Indices) -> tuple[Inputs, torch.Tensor]:
        rows = torch.from_numpy(indices).to(self.tokens.device)
        tokens = _trimmed(self.tokens[rows])
        inputs = (tokens, self.answered[rows][..., : tokens.shape[-1] - 1])
        known = inputs if self.reference is None else (*inputs, self.reference[rows])
        return known, torch.zeros(len(rows), dtype=torch.int64, device=tokens.device)

    def take(self, indices: Indices) -> PairSplit:
        rows = torch.from_numpy(indices).to(self.tokens.device)
        known = None if self.reference is None else self.reference[rows]
        return PairSplit(self.tokens[rows], self.answered[rows], known)

    def to(self, device: torch.device | str) -> PairSplit:
        known = None if self.reference is None else self.reference.to(device)
        return PairSplit(self.tokens.to(device), self.answered.to(device), known)

    def referred(self, reference: torch.Tensor) -> PairSplit:
        """The same with what the reference finds."""
        return replace(self, reference=reference)


def compared(
    name: str, task: str, parts: Mapping[str, Sequence[Judgement]], code: TextCode, provenance: Provenance
) -> Dataset:
    """A data set for the task reward or preference from judgements by split.

    Raises UsageError for an empty split and for a text that is longer than the code's context.
    """
    empty = next((part for part, judgements in parts.items() if not judgements), None)
    if empty is not None:
        raise UsageError(
            f"too few prompts with comparisons for {empty}",
            got=", ".join(f"{len(judgements)} for {part}" for part, judgements in parts.items()),
            hint="more comparisons, or other shares",
        )
    every = [judgement for judgements in parts.values() for judgement in judgements]
    longest = max(sum(map(len, code.encode(one.prompt, answer))) for one in every for answer in one.answers)
    if code.context is not None and longest > code.context:
        raise UsageError(
            f"a prompt and its answer are longer than the context of {code.name}",
            got=f"{longest} tokens",
            expected=f"at most {code.context}",
        )
    made: Callable[[Sequence[Judgement], TextCode, int], Split] = _rankings if task == "reward" else _pairs
    splits = {part: made(judgements, code, longest) for part, judgements in parts.items()}
    return Dataset(
        name=name,
        task=task,
        input_shape=(code.context or longest,),
        num_outputs=code.vocabulary,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        provenance=provenance,
        num_train_whole=len(splits["train"]),
        tokenizer=code.tokenizer,
        prompting=code.prompting,
    )


def digest_of_judgements(judgements: Sequence[Judgement]) -> str:
    """SHA-256 of judgements in their order."""
    return hashlib.sha256("\n".join(one.to_json() for one in judgements).encode()).hexdigest()


def _rankings(judgements: Sequence[Judgement], code: TextCode, longest: int) -> RankingSplit:
    most = max(len(one.answers) for one in judgements)
    tokens = torch.zeros(len(judgements), most, longest, dtype=torch.int64)
    places = torch.full((len(judgements), most), -1)
    for row, one in enumerate(judgements):
        for place, answer in enumerate(one.answers):
            prompt, said = code.encode(one.prompt, answer)
            tokens[row, place, : len(prompt) + len(said)] = torch.tensor([*prompt, *said])
            places[row, place] = place
    return RankingSplit(tokens, places)


def _pairs(judgements: Sequence[Judgement], code: TextCode, longest: int) -> PairSplit:
    pairs = pairs_of(judgements)
    tokens = torch.zeros(len(pairs), 2, longest, dtype=torch.int64)
    answered = torch.zeros(len(pairs), 2, longest - 1, dtype=torch.bool)
    for row, (prompt, better, worse) in enumerate(pairs):
        for side, answer in enumerate((better, worse)):
            asked, said = code.encode(prompt, answer)
            end = len(asked) + len(said)
            tokens[row, side, :end] = torch.tensor([*asked, *said])
            answered[row, side, len(asked) - 1 : end - 1] = True
    return PairSplit(tokens, answered)


def _trimmed(tokens: torch.Tensor) -> torch.Tensor:
    """Without the columns that are padding in every text."""
    used = (tokens != 0).flatten(0, -2).any(0).nonzero()
    return tokens[..., : int(used.max()) + 1 if len(used) else 1]
