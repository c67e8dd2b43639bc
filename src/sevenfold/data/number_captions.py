"""``number-captions``: pictures of two handwritten digits, with the number that they make in words.

Two digits of `digits` (8 x 8) lie side by side on a 16 x 16 picture, at one of nine heights:

    "a handwritten seventy three"

Training has 60 of the 100 numbers. Test pictures show the other 40: no training item has their captions, though
each of their words stands in many. To name them, what was learnt of words has to be put together anew. Numbers
below twenty are all in training, as their words are not put together of others. Validation shows numbers of the
training. No handwritten digit is shared between the three splits.

Validation and test items come in rounds of 40, one of each of 40 numbers. Where the batch is 40 too, the share of
pictures that find their own text in their batch is the zero-shot accuracy over 40 captions; guessing gives 2.5%.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import CaptionTokens, Dataset, ExampleSplit, Split
from sevenfold.data._reading_numbers import NumberChecker
from sevenfold.data._splitting import Shares
from sevenfold.data.digits import read_digits
from sevenfold.data.order import order
from sevenfold.errors import UsageError

__all__ = ["CONTEXT", "TEST_NUMBERS", "TRAINING_NUMBERS", "VOCABULARY", "caption", "tokenize"]

Indices = npt.NDArray[np.int64]

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
#: Several ways to say the same; the first is the one of validation and test.
PHRASES = ("a handwritten {}", "the number {}", "a picture of the number {}")
_WORDS = sorted({*_SMALL, *_TENS, *(word for phrase in PHRASES for word in phrase.split() if word != "{}")})
#: Token 0 is padding, then the words; start and end are the last two, as in CLIP's own vocabulary.
_TOKENS = {word: token for token, word in enumerate(_WORDS, start=1)}
_START, _END = len(_WORDS) + 1, len(_WORDS) + 2
VOCABULARY = len(_WORDS) + 3
CONTEXT = 9  # the longest caption has seven words
_SIDE = 8

#: Of each row of ten from twenty on five are kept for the test, other units in every row.
TEST_NUMBERS = tuple(number for number in range(20, 100) if (3 * (number % 10) + 7 * (number // 10)) % 10 < 5)
TRAINING_NUMBERS = tuple(number for number in range(100) if number not in TEST_NUMBERS)
_ROUND = 40


class NumberSettings(Shares):
    """How many pictures are made."""

    pictures: int = Field(default=80, ge=1, description="training pictures of each of the 60 training numbers")


def caption(number: int, phrase: int = 0) -> str:
    """A number from 0 to 99 in words.

    >>> caption(73), caption(12, phrase=1)
    ('a handwritten seventy three', 'the number twelve')
    """
    tens, units = divmod(number, 10)
    words = _SMALL[number] if number < 20 else f"{_TENS[tens - 2]} {_SMALL[units]}" if units else _TENS[tens - 2]
    return PHRASES[phrase].format(words)


def tokenize(texts: Sequence[str]) -> torch.Tensor:
    """Words to tokens [B, CONTEXT]: start, words, end, padding. UsageError for a word that no caption has.

    >>> tokenize(["the number twelve"]).shape
    torch.Size([1, 9])
    """
    rows = torch.zeros(len(texts), CONTEXT, dtype=torch.int64)
    for row, text in zip(rows, texts, strict=True):
        words = text.split()
        unknown = [word for word in words if word not in _TOKENS]
        if unknown:
            raise UsageError("a word that no caption has", got=repr(unknown[0]), expected=", ".join(_WORDS))
        if len(words) > CONTEXT - 2:
            raise UsageError("a caption is too long", got=f"{len(words)} words", expected=f"at most {CONTEXT - 2}")
        tokens = [_START, *(_TOKENS[word] for word in words), _END]
        row[: len(tokens)] = torch.tensor(tokens)
    return rows


@dataclass(frozen=True, eq=False)
class CaptionSplit(Split):
    """Pictures [B, 1, 16, 16] and tokens [B, CONTEXT]; the target of item i of a batch is i."""

    digits: torch.Tensor  # [M, 8, 8] in 0 to 1
    captions: torch.Tensor  # [100 * phrases, CONTEXT]
    items: torch.Tensor  # [N, 5] int64: left digit's image, right digit's image, height, number, phrase

    def __len__(self) -> int:
        return self.items.shape[0]

    def batch(self, indices: Indices) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        rows = self.items[torch.from_numpy(indices).to(self.items.device)]
        left, right, height, number, phrase = rows.unbind(1)
        both_bhw = torch.cat([self.digits[left], self.digits[right]], dim=2)
        pictures = both_bhw.new_zeros(len(rows), 2 * _SIDE, 2 * _SIDE)
        lines = height[:, None] + torch.arange(_SIDE, device=rows.device)
        places = torch.arange(len(rows), device=rows.device)
        pictures[places[:, None], lines] = both_bhw
        return (pictures[:, None], self.captions[number * len(PHRASES) + phrase]), places

    def take(self, indices: Indices) -> CaptionSplit:
        return replace(self, items=self.items[torch.from_numpy(indices).to(self.items.device)])

    def to(self, device: torch.device | str) -> CaptionSplit:
        return CaptionSplit(self.digits.to(device), self.captions.to(device), self.items.to(device))


def _made(split: Split, numbers: Sequence[int], rounds: int, *, phrases: int, seed: int) -> CaptionSplit:
    """``rounds`` pictures of each number, round after round; which images and heights is drawn by the seed."""
    assert isinstance(split, ExampleSplit)
    images = [torch.nonzero(split.stored_targets == digit).flatten().numpy() for digit in range(10)]
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = [
        (
            generator.choice(images[number // 10]),
            generator.choice(images[number % 10]),
            generator.integers(_SIDE + 1),
            number,
            generator.integers(phrases),
        )
        for _, number in product(range(rounds), numbers)
    ]
    captions = tokenize([caption(number, phrase) for number in range(100) for phrase in range(len(PHRASES))])
    return CaptionSplit(split.stored_inputs[:, 0], captions, torch.tensor(np.array(rows, dtype=np.int64)))


def read_number_captions(settings: NumberSettings, split_seed: int, task: str) -> Dataset:
    """The data set, over the splits of `digits`; 36 rounds of 40 in validation and in test."""
    digits = read_digits(settings, split_seed, "classification")
    shown = np.sort(order(split_seed, 0, 0, _ROUND, len(TRAINING_NUMBERS), purpose="subset"))
    seen = [TRAINING_NUMBERS[place] for place in shown]
    train = _made(digits.train, TRAINING_NUMBERS, settings.pictures, phrases=len(PHRASES), seed=3 * split_seed)
    validation = _made(digits.validation, seen, 36, phrases=1, seed=3 * split_seed + 1)
    test = _made(digits.test, TEST_NUMBERS, 36, phrases=1, seed=3 * split_seed + 2)
    notes = "two digits side by side with their number in words; the 40 numbers of the test are not in training; "
    provenance = digits.provenance.with_changes(
        {
            "name": "number-captions",
            "num_examples": len(train) + len(validation) + len(test),
            "notes": notes + digits.provenance.notes,
        }
    )
    return replace(
        digits,
        name="number-captions",
        input_shape=(1, 2 * _SIDE, 2 * _SIDE, CONTEXT),
        num_outputs=VOCABULARY,
        train=train,
        validation=validation,
        test=test,
        provenance=provenance,
        task=task,
        num_train_whole=len(train),
        levels=17 if task == "generation" else None,
        captions=NumberCaptions(),
        checker=_checker(digits.train),
    )


class NumberCaptions(CaptionTokens):
    """Captions of numbers, in all their phrases."""

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        return tokenize(texts)

    def texts(self, tokens: torch.Tensor) -> list[str]:
        return [" ".join(_WORDS[token - 1] for token in row if 0 < token < _START) for row in tokens.tolist()]


def numbers_of(rows: Sequence[Sequence[int]]) -> list[int]:
    """The numbers that tokens [N][CONTEXT] name; UsageError for what names none.

    >>> numbers_of(tokenize(["the number twelve", "a handwritten seventy three"]).tolist())
    [12, 73]
    """
    known = _numbers_by_tokens()
    unknown = [row for row in rows if tuple(row) not in known]
    if unknown:
        raise UsageError("tokens of no caption", got=list(unknown[0]), expected="what tokenize gives")
    return [known[tuple(row)] for row in rows]


@lru_cache(maxsize=1)
def _numbers_by_tokens() -> dict[tuple[int, ...], int]:
    pairs = [(number, phrase) for number in range(100) for phrase in range(len(PHRASES))]
    rows = tokenize([caption(number, phrase) for number, phrase in pairs]).tolist()
    return {tuple(row): number for row, (number, _) in zip(rows, pairs, strict=True)}


def _checker(train: Split) -> NumberChecker:
    assert isinstance(train, ExampleSplit)
    return NumberChecker(train.stored_inputs[:, 0], train.stored_targets, numbers_of)


DATASETS.add(
    "number-captions",
    DatasetEntry(
        name="number-captions",
        tasks=("image-text", "generation"),
        summary="pictures of two handwritten digits and their number in words; 40 numbers are in the test only",
        settings=NumberSettings,
        read=read_number_captions,
    ),
)
