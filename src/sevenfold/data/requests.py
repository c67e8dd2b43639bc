"""``requests``: people ask for two red cups and get answers of known worth, to learn from people with.

A text is a prompt, ``<answer>``, the answer and ``<end>``, one token a word; `_request_grammar` has words and the
true reward). N items, T = 40 tokens of a window, V words.

    part=stories    plain text of the same world, a story an item, to learn the language from   (task causal-lm)
    part=answers    prompts with the answers of people of differing care; the loss is on the answers alone

    inputs [B, T] tokens, targets [B, T] the next tokens; -100 where nothing is learned: in prompts and padding

Splits hold whole wishes: what is tested is a number, colour and thing that training never saw together.
Everything is a function of the split seed; nothing is read.

>>> prompts("test")[0], demonstrations("test")[0][1]
('could i get six orange clocks', 'here are six orange clocks , do they suit you ?')
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset, Prompting, Provenance, Split
from sevenfold.data._request_grammar import (
    ANSWER,
    END,
    NUM_DRAWS,
    PADDING,
    WORDS,
    answer_of,
    prompt_of,
    story_of,
    true_reward,
    wants,
)
from sevenfold.data._tokenizing import Encoded, Encoding, TextTokenizer
from sevenfold.data.comparisons import Judgement
from sevenfold.data.order import noise, order
from sevenfold.data.rankings import noisy_ranking
from sevenfold.errors import UsageError
from sevenfold.spec import Spec

__all__ = [
    "ANSWER_TOKEN",
    "CONTEXT",
    "END_TOKEN",
    "LONGEST_ANSWER",
    "PADDING_TOKEN",
    "RequestTokenizer",
    "RequestsSettings",
    "SplitName",
    "answer_text",
    "decode",
    "demonstrations",
    "encode",
    "plain_texts",
    "prompt_tokens",
    "prompts",
    "simulated_judgement",
    "true_reward",
    "vocabulary",
]

SplitName = Literal["train", "validation", "test"]

PADDING_TOKEN, ANSWER_TOKEN, END_TOKEN = (WORDS.index(word) for word in (PADDING, ANSWER, END))
CONTEXT = 40  # tokens of a window
LONGEST_ANSWER = 31  # tokens of an answer, its end included; the longest prompt has 8 and <answer>
_PROMPTS_A_WANT = 2
_STORIES_A_WANT = 4
_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
_NOT_ASKED = -100
_TOKENS = {word: token for token, word in enumerate(WORDS)}


@dataclass(frozen=True, eq=False)
class TextSplit(Split):
    """Texts of different lengths; a batch is as long as its longest."""

    stored_inputs: torch.Tensor  # [N, T] int64
    stored_targets: torch.Tensor  # [N, T] int64, -100 where nothing is learned
    lengths: npt.NDArray[np.int64]  # [N]

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = int(self.lengths[indices].max())
        rows = torch.from_numpy(indices).to(self.stored_inputs.device)
        return self.stored_inputs[rows, :longest], self.stored_targets[rows, :longest]

    def take(self, indices: npt.NDArray[np.int64]) -> TextSplit:
        rows = torch.from_numpy(indices).to(self.stored_inputs.device)
        return TextSplit(self.stored_inputs[rows], self.stored_targets[rows], self.lengths[indices])

    def to(self, device: torch.device | str) -> TextSplit:
        return TextSplit(self.stored_inputs.to(device), self.stored_targets.to(device), self.lengths)


class RequestsSettings(Spec):
    """Settings of the requests."""

    part: Literal["stories", "answers"] = Field(
        default="answers", description="stories (plain text), or answers to prompts, which alone are learned"
    )


def vocabulary() -> tuple[str, ...]:
    """Every word, by its token; the first three are ``<padding>``, ``<answer>`` and ``<end>``."""
    return WORDS


def encode(text: str) -> list[int]:
    """The tokens of words with spaces between them; raises UsageError for a word that there is not.

    >>> decode(encode("i need two red cups"))
    'i need two red cups'
    """
    unknown = next((word for word in text.split() if word not in _TOKENS), None)
    if unknown is not None:
        raise UsageError(
            "a word that requests never have", got=repr(unknown), expected=f"one of {len(WORDS)} words"
        )
    return [_TOKENS[word] for word in text.split()]


def decode(tokens: Sequence[int]) -> str:
    """The words of tokens, padding left out."""
    return " ".join(WORDS[token] for token in tokens if token != PADDING_TOKEN)


def prompt_tokens(prompt: str) -> list[int]:
    """What a model is given to go on from: the prompt and ``<answer>``."""
    return [*encode(prompt), ANSWER_TOKEN]


def answer_text(tokens: Sequence[int]) -> str:
    """The answer that a model gave after ``prompt_tokens``: its words up to ``<end>``, or all where it has none."""
    given = list(tokens)
    return decode(given[: given.index(END_TOKEN)] if END_TOKEN in given else given)


@lru_cache(maxsize=16)
def demonstrations(split: SplitName, split_seed: int = 0) -> tuple[tuple[str, str], ...]:
    """Each prompt of a split with the answer of a person."""
    found = []
    for number in _wants_of(split, split_seed):
        want, seen = wants()[number], set[str]()
        for copy in range(_PROMPTS_A_WANT):
            draw = _draws(number, copy, "requests")
            prompt = prompt_of(want, draw)
            if prompt not in seen:
                found.append((prompt, answer_of(want, draw)))
            seen.add(prompt)
    return tuple(found)


def prompts(split: SplitName, split_seed: int = 0) -> tuple[str, ...]:
    """The prompts of a split; no two splits ask for the same."""
    return tuple(prompt for prompt, _ in demonstrations(split, split_seed))


@lru_cache(maxsize=16)
def plain_texts(split: SplitName, split_seed: int = 0) -> tuple[str, ...]:
    """Stories, each of three sentences, about what the split's prompts ask for."""
    return tuple(
        story_of(wants()[number], _draws(number, copy, "stories"))
        for copy in range(_STORIES_A_WANT)
        for number in _wants_of(split, split_seed)
    )


def simulated_judgement(prompt: str, answers: Sequence[str], error_rate: float, seed: int) -> Judgement:
    """Different answers ranked by their true rewards, by a labeller who gets a known share of the pairs wrong.

    Answers of equal worth come in an order drawn by chance; so does everything at ``error_rate`` 0.5.
    """
    rewards = np.array([true_reward(prompt, answer) for answer in answers])
    ranking = noisy_ranking(rewards, error_rate, seed)
    return Judgement(prompt, tuple(answers[place] for place in ranking.tolist()))


def _draws(number: int, copy: int, purpose: str) -> Callable[[int], int]:
    """Random numbers of one text, one after the other."""
    drawn = iter(noise(copy, np.array([number]), NUM_DRAWS, purpose=purpose)[0].tolist())
    return lambda size: next(drawn) % size


@lru_cache(maxsize=16)
def _wants_of(split: SplitName, split_seed: int) -> tuple[int, ...]:
    size = len(wants())
    first = round(size * _SHARES["train"])
    second = first + round(size * _SHARES["validation"])
    start, end = {"train": (0, first), "validation": (first, second), "test": (second, size)}[split]
    return tuple(order(split_seed, 0, start, end - start, size, purpose="splits").tolist())


class RequestTokenizer(TextTokenizer):
    """Words as tokens, with the methods of other tokenizers."""

    def __init__(self) -> None:
        super().__init__(Encoding(len(WORDS), _array, lambda tokens: decode(tokens.tolist()), "words"))

    def encode(self, text: str) -> Encoded:
        return Encoded(encode(text))


def _array(text: str) -> npt.NDArray[np.int32]:
    return np.array(encode(text), dtype=np.int32)


def _stories(split: SplitName, split_seed: int) -> TextSplit:
    return _padded([([], [*encode(story), END_TOKEN]) for story in plain_texts(split, split_seed)])


def _answers(split: SplitName, split_seed: int) -> TextSplit:
    pairs = demonstrations(split, split_seed)
    return _padded([(prompt_tokens(prompt), [*encode(answer), END_TOKEN]) for prompt, answer in pairs])


def _padded(texts: Sequence[tuple[Sequence[int], Sequence[int]]]) -> TextSplit:
    """Texts of a part that is given and a part that is learned; a first token cannot be learned."""
    inputs = torch.full((len(texts), CONTEXT), PADDING_TOKEN)
    targets = torch.full((len(texts), CONTEXT), _NOT_ASKED)
    for row, (given, learned) in enumerate(texts):
        whole = torch.tensor([*given, *learned])
        first = max(1, len(given))
        inputs[row, : len(whole) - 1] = whole[:-1]
        targets[row, first - 1 : len(whole) - 1] = whole[first:]
    return TextSplit(inputs, targets, np.array([len(given) + len(learned) - 1 for given, learned in texts]))


def _provenance() -> Provenance:
    told = "\n".join(f"{prompt}\t{answer}" for prompt, answer in demonstrations("train"))
    return Provenance(
        name="requests",
        source="sentences made by rule (sevenfold.data.requests)",
        licence="as this package",
        num_examples=_PROMPTS_A_WANT * len(wants()),
        sha256=hashlib.sha256(told.encode()).hexdigest(),
        version="1",
        notes=f"{len(WORDS)} words; splits by what is asked for; the true reward of every answer is known",
    )


def read_requests(settings: RequestsSettings, split_seed: int, task: str) -> Dataset:
    """Stories or answers as tokens."""
    made = _stories if settings.part == "stories" else _answers
    train = made("train", split_seed)
    return Dataset(
        name="requests",
        task=task,
        input_shape=(CONTEXT,),
        num_outputs=len(WORDS),
        train=train,
        validation=made("validation", split_seed),
        test=made("test", split_seed),
        provenance=_provenance(),
        num_train_whole=len(train),
        tokenizer=RequestTokenizer(),
        prompting=None
        if settings.part == "stories"
        else Prompting(prompts("validation", split_seed), prompt_tokens, answer_text, END_TOKEN),
    )


DATASETS.add(
    "requests",
    DatasetEntry(
        name="requests",
        tasks=("causal-lm",),
        summary="3,200 wishes in 6,400 prompts, answers whose true worth is known, and stories of the same world",
        settings=RequestsSettings,
        read=read_requests,
    ),
)
