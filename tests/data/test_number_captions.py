"""Pictures of numbers with captions: which numbers are in which split, and that a picture shows its caption."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sevenfold.data import Dataset, Split, load
from sevenfold.data.number_captions import (
    CONTEXT,
    PHRASES,
    TEST_NUMBERS,
    TRAINING_NUMBERS,
    VOCABULARY,
    caption,
    tokenize,
)
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice


def numbers(split_seed: int = 0, fraction: float = 1.0) -> Dataset:
    choice = DataChoice(name="number-captions", split_seed=split_seed, fraction=fraction)
    return load(choice, task="image-text")


def batch_of(split: Split, indices: object) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = split.batch(np.asarray(indices))
    assert isinstance(inputs, tuple)
    assert targets.tolist() == list(range(len(targets)))
    return inputs[0], inputs[1]


def texts_of(split: Split) -> set[tuple[int, ...]]:
    return {tuple(row) for row in batch_of(split, np.arange(len(split)))[1].tolist()}


def said(wanted: tuple[int, ...], phrases: int = len(PHRASES)) -> set[tuple[int, ...]]:
    return {
        tuple(row)
        for phrase in range(phrases)
        for row in tokenize([caption(number, phrase) for number in wanted]).tolist()
    }


def test_captions_are_english_numbers() -> None:
    assert [caption(number).split(" ", 2)[2] for number in (0, 7, 13, 20, 21, 45, 99)] == [
        "zero", "seven", "thirteen", "twenty", "twenty one", "forty five", "ninety nine",
    ]  # fmt: skip
    assert len({caption(number) for number in range(100)}) == 100


def test_sixty_numbers_are_for_training_and_forty_for_the_test() -> None:
    assert len(TEST_NUMBERS) == 40
    assert sorted((*TEST_NUMBERS, *TRAINING_NUMBERS)) == list(range(100))
    words = {word for number in TRAINING_NUMBERS for word in caption(number).split()}
    # Every word of an unseen caption is known, and every digit of an unseen number was seen in its place.
    assert {word for number in TEST_NUMBERS for word in caption(number).split()} <= words
    for divide in (lambda n: n // 10, lambda n: n % 10):
        assert {divide(n) for n in TEST_NUMBERS} <= {divide(n) for n in TRAINING_NUMBERS}
        most = max(sum(divide(n) == digit for n in TEST_NUMBERS) for digit in range(10))
        assert most <= 5


@pytest.mark.parametrize("split_seed", [0, 3])
def test_no_caption_of_the_test_is_in_training(split_seed: int) -> None:
    dataset = numbers(split_seed)
    assert texts_of(dataset.train) == said(TRAINING_NUMBERS)
    assert texts_of(dataset.test) == said(TEST_NUMBERS, phrases=1)
    assert texts_of(dataset.validation) < said(TRAINING_NUMBERS, phrases=1)


def test_every_round_of_forty_has_every_caption_once() -> None:
    dataset = numbers()
    for split in (dataset.validation, dataset.test):
        assert len(split) == 36 * 40
        first = batch_of(split, np.arange(40))[1]
        assert len({tuple(row) for row in first.tolist()}) == 40
        for start in range(40, len(split), 40):
            assert torch.equal(batch_of(split, np.arange(start, start + 40))[1], first)


def test_a_picture_shows_the_two_digits_of_its_caption_and_splits_share_none() -> None:
    digits = load(DataChoice(name="digits"), task="classification")
    dataset = numbers()
    sentence = {tuple(tokenize([caption(n, p)])[0].tolist()): n for n in range(100) for p in range(len(PHRASES))}
    for own, plain in (
        (dataset.train, digits.train),
        (dataset.validation, digits.validation),
        (dataset.test, digits.test),
    ):
        assert isinstance(plain.inputs, torch.Tensor)
        known = {
            image.numpy().tobytes(): int(target) for image, target in zip(plain.inputs, plain.targets, strict=True)
        }
        pictures, texts = batch_of(own, np.arange(0, len(own), 7))
        assert pictures.shape[1:] == (1, 16, 16)
        heights = set()
        for picture, text in zip(pictures[:, 0], texts, strict=True):
            number = sentence[tuple(text.tolist())]
            height = next(
                h
                for h in range(9)
                if picture[h : h + 8, :8].contiguous().numpy().tobytes() in known
                and picture[h : h + 8, 8:].contiguous().numpy().tobytes() in known
            )
            heights.add(height)
            shown = [known[picture[height : height + 8, x : x + 8].contiguous().numpy().tobytes()] for x in (0, 8)]
            assert 10 * shown[0] + shown[1] == number
            rest = torch.cat([picture[:height], picture[height + 8 :]])
            assert not rest.any()
        assert heights == set(range(9))


def test_the_split_seed_fixes_everything_and_subsets_nest() -> None:
    one, two, other = numbers(1), numbers(1), numbers(2)
    for a, b in zip(batch_of(one.train, [0, 5, 900]), batch_of(two.train, [0, 5, 900]), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(batch_of(one.train, [0, 5, 900])[0], batch_of(other.train, [0, 5, 900])[0])
    assert len(numbers(fraction=0.25).train) == len(one.train) // 4 == 1200
    assert one.input_shape == (1, 16, 16, CONTEXT)
    assert one.num_outputs == VOCABULARY == int(tokenize([caption(1)]).max()) + 1  # the end token is the largest


def test_words_that_do_not_fit_are_told() -> None:
    with pytest.raises(UsageError, match="a word that no caption has: got 'hundred'"):
        tokenize(["the number one hundred"])
    with pytest.raises(UsageError, match="too long: got 8 words, expected at most 7"):
        tokenize(["one " * 8])


def test_the_reader_finds_the_numbers_of_unseen_digits_and_no_others() -> None:
    """A nearest neighbour over the training digits: both digits of a held-out picture are right in 19 of 20."""
    dataset = load(DataChoice(name="number-captions"), task="generation")
    assert dataset.checker is not None
    pictures, tokens = batch_of(dataset.test, np.arange(400))
    right = dataset.checker.fits(pictures, tokens).double().mean()
    assert float(right) > 0.93
    assert float(dataset.checker.parts_right(pictures, tokens).mean()) > 0.96
    exchanged = tokens.roll(7, 0)  # another number in every place of a round of forty
    assert float(dataset.checker.fits(pictures, exchanged).double().mean()) < 0.02
    noisy = (pictures + 0.05 * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert float(dataset.checker.fits(noisy, tokens).double().mean()) > 0.9
    white = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    for nothing in (torch.zeros(20, 1, 16, 16), torch.full((20, 1, 16, 16), 0.5), white):
        assert not dataset.checker.fits(nothing, tokens[:20]).any()


def test_captions_of_numbers_and_back() -> None:
    dataset = load(DataChoice(name="number-captions"), task="generation")
    assert dataset.captions is not None
    said = ["a handwritten seventy three", "the number twelve"]
    assert dataset.captions.texts(dataset.captions.tokens(said)) == said
    with pytest.raises(UsageError, match="tokens of no caption"):
        dataset.checker.fits(torch.zeros(1, 1, 16, 16), torch.zeros(1, CONTEXT, dtype=torch.int64))  # type: ignore[union-attr]
