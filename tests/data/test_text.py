"""Text: splits that share no passage, windows that stay inside them, and encodings that lose nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sevenfold.data import Dataset, load
from sevenfold.data._dataset import WindowSplit
from sevenfold.data._splitting import split_by_size, subset
from sevenfold.data._text import TextSettings, without_repeats
from sevenfold.data._tokenizing import byte_pairs, characters
from sevenfold.data.python_docs import _topics
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice


def python_docs(fraction: float = 1.0, split_seed: int = 0, subset_seed: int = 0, **chosen: Any) -> Dataset:
    choice = DataChoice(name="python-docs", settings=chosen, split_seed=split_seed, fraction=fraction)
    return load(choice, task="causal-lm", subset_seed=subset_seed)


def texts(dataset: Dataset) -> list[str]:
    """The text of each split, read back out of its windows."""
    encoding = characters("".join(_topics().documents) + "\n")
    assert encoding.vocabulary == dataset.num_outputs
    splits = (dataset.train, dataset.validation, dataset.test)
    return [encoding.decode(split.inputs.numpy().reshape(-1)) for split in splits]


def passages(text: str) -> set[str]:
    """Paragraphs of forty characters and more, by their words."""
    return {words for part in text.split("\n\n") if len(words := " ".join(part.split())) >= 40}


@pytest.mark.parametrize("split_seed", [0, 1])
def test_no_passage_of_the_prose_lies_in_two_splits(split_seed: int) -> None:
    train, validation, test = map(passages, texts(python_docs(split_seed=split_seed)))
    assert min(map(len, (train, validation, test))) > 50
    assert not train & (validation | test)
    assert not validation & test


def test_without_taking_out_repeats_the_splits_would_share_passages() -> None:
    from pydoc_data.topics import topics

    documents = [topics[name] for name in sorted(topics)]
    parts = split_by_size([len(document) for document in documents], TextSettings(), 0)
    train, validation = (
        passages("\n\n".join(documents[row] for row in rows)) for rows in (parts.train, parts.validation)
    )
    assert len(train & validation) > 5


def test_the_prose_that_is_split_is_english_and_nearly_all_of_the_topics() -> None:
    from pydoc_data.topics import topics

    parts = texts(python_docs())
    assert 0.75 < sum(map(len, parts)) / sum(map(len, topics.values())) <= 1
    assert parts[0].count(" the ") > 2000
    shares = [len(part) / sum(map(len, parts)) for part in parts]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)


def test_targets_are_the_next_tokens_and_none_is_predicted_twice() -> None:
    dataset = python_docs(context=48)
    inputs, targets = dataset.train.batch(np.array([7, 0]))
    assert inputs.shape == targets.shape == (2, 48)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    stream = dataset.train.inputs.reshape(-1)
    assert torch.equal(dataset.train.targets.reshape(-1)[:-1], stream[1:])
    assert dataset.input_shape == (48,)
    assert (dataset.unit, dataset.examples_per_item) == ("token", 48)
    assert int(stream.max()) < dataset.num_outputs


@given(st.integers(1, 400), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_windows_cover_the_stream_without_overlap(length: int, context: int) -> None:
    split = WindowSplit.over(torch.arange(length, dtype=torch.int32), context)
    assert len(split) == (length - 1) // context
    if len(split):
        assert torch.equal(split.inputs.reshape(-1), torch.arange(len(split) * context))
        assert torch.equal(split.targets, split.inputs + 1)


def test_subsets_are_whole_windows_that_nest() -> None:
    whole, half, quarter = python_docs(), python_docs(0.5), python_docs(0.25)
    assert len(half.train) == math.ceil(len(whole.train) / 2)
    assert len(quarter.train) == math.ceil(len(whole.train) / 4)

    def windows(dataset: Dataset) -> set[bytes]:
        return {window.numpy().tobytes() for window in dataset.train.inputs}

    assert windows(quarter) < windows(half) < windows(whole)
    assert windows(python_docs(0.5, subset_seed=1)) != windows(half)
    assert torch.equal(half.validation.inputs, whole.validation.inputs)


@given(st.integers(1, 5000), st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 2**63))
@settings(max_examples=60, deadline=None)
def test_subsets_nest_and_have_the_size_asked_for(size: int, one: float, other: float, seed: int) -> None:
    small, large = sorted((one, other))
    kept = subset(size, small, seed)
    assert len(kept) == math.ceil(round(small * size, 9)) == len(set(kept.tolist()))
    assert set(kept.tolist()) <= set(subset(size, large, seed).tolist()) <= set(range(size))


def test_a_tenth_of_thirty_is_three() -> None:
    assert math.ceil(0.1 * 3 * 10) == 4  # what floating point says of 3
    assert len(subset(30, 0.1, 0)) == 3
    assert len(subset(10, 0.1 * 3, 0)) == 3


@given(st.lists(st.integers(1, 10_000), min_size=3, max_size=60), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_every_document_goes_to_exactly_one_split(sizes: list[int], seed: int) -> None:
    parts = split_by_size(sizes, TextSettings(), seed)
    everyone = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(everyone.tolist()) == list(range(len(sizes)))
    assert min(len(parts.train), len(parts.validation), len(parts.test)) >= 1


def test_repeats_are_taken_out_of_the_shorter_document() -> None:
    shared = "This paragraph has well over forty characters in it."
    longer = f"A heading\n\n{shared}\n\nAnd here is something else that nobody repeats anywhere."
    kept, left_out = without_repeats([f"  {shared}", longer])
    assert kept == (longer,)
    assert left_out == len(shared) + 2
    assert without_repeats(["short\n\nshort\n\n" + shared])[0] == ("short\n\nshort\n\n" + shared,)


def test_characters_read_back() -> None:
    text = "naïve “quotes” – 𝛼\n\n  end"
    encoding = characters(text)
    assert encoding.vocabulary == len(set(text))
    assert encoding.decode(encoding.encode(text)) == text


def test_byte_pairs_read_back_even_what_was_never_seen() -> None:
    encoding = byte_pairs("the cat sat on the mat, the cat sat there\n" * 50, 300)
    assert 257 < encoding.vocabulary <= 300
    for text in ("the cat sat\n\n  there", "Ünseen 𝛼 日本"):
        assert encoding.decode(encoding.encode(text)) == text
    assert len(encoding.encode("the cat sat on the mat")) < 10


def test_byte_pairs_are_learned_from_the_training_part_only(home: Path) -> None:
    dataset = python_docs(tokenizer="bpe", vocabulary=400)
    train = texts(python_docs())[0]
    again = byte_pairs(_joined_train(), 400)
    assert dataset.num_outputs == again.vocabulary == 400
    assert len(list((home / "tokenizers").iterdir())) == 1  # the same text: the same entry of the cache
    assert _joined_train().startswith(train[:1000])
    assert torch.equal(
        dataset.train.inputs.reshape(-1), torch.from_numpy(again.encode(_joined_train()))[: len(dataset.train) * 64]
    )


def _joined_train() -> str:
    from sevenfold.data._text import _joined

    documents = _topics().documents
    parts = split_by_size([len(document) for document in documents], TextSettings(), 0)
    return _joined([documents[index] for index in parts.train])


def test_training_byte_pairs_is_deterministic_and_the_cache_is_checked(home: Path) -> None:
    text = "".join(_topics().documents[:6])
    first = byte_pairs(text, 500)
    (path,) = (home / "tokenizers").iterdir()
    stored = path.read_bytes()
    path.unlink()
    byte_pairs(text, 500)
    assert path.read_bytes() == stored
    content = json.loads(stored)
    content["tokenizer"] = content["tokenizer"].replace('"the":', '"teh":')
    for damaged in (json.dumps(content).encode(), stored[: len(stored) // 2], b""):
        path.write_bytes(damaged)
        assert np.array_equal(byte_pairs(text, 500).encode(text), first.encode(text))
        assert path.read_bytes() == stored
    assert not list((home / "tokenizers").glob("*.tmp"))


def test_bits_per_byte_can_be_told_from_any_vocabulary() -> None:
    by_character, by_pair = python_docs(), python_docs(tokenizer="bpe")
    assert by_character.bytes_per_token["validation"] == pytest.approx(1.0, abs=0.01)
    assert 2 < by_pair.bytes_per_token["validation"] < 4
    # The uniform guess costs log2(vocabulary) bits a token: as bits per byte both say the same kind of number.
    bits = math.log2(by_pair.num_outputs) / by_pair.bytes_per_token["validation"]
    assert 2 < bits < 5
    assert "bytes a validation token" in by_pair.provenance.notes


def test_provenance_of_the_prose() -> None:
    provenance = python_docs().provenance
    assert provenance.licence == "PSF-2.0"
    assert provenance.version.startswith("CPython 3.")
    assert "repeated paragraphs left out" in provenance.notes
    assert provenance.num_examples == sum(
        len(split) for split in (python_docs().train, python_docs().validation, python_docs().test)
    )


def test_wrong_text_settings_are_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="vocabulary size is for byte pairs only"):
        python_docs(vocabulary=300)
    with pytest.raises(UsageError, match="byte-pair vocabulary is too small: got 100, expected at least 257"):
        python_docs(tokenizer="bpe", vocabulary=100)
    with pytest.raises(UsageError, match="too little text for one validation window"):
        python_docs(context=100_000)
    with pytest.raises(UsageError, match="'python-docs' does not serve the task: got classification"):
        load(DataChoice(name="python-docs"), task="classification")
    with pytest.raises(UsageError, match="too few documents to split: got 2"):
        split_by_size([5, 5], TextSettings(), 0)
