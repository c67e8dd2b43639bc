"""``hugging-face:NAME`` on folders that the ``datasets`` package itself wrote; no network is asked for anything."""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import sevenfold
from sevenfold.data import _row_texts, load
from sevenfold.errors import InputFileError, UnknownNameError, UsageError
from sevenfold.runs.recipe import DataChoice

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    datasets = pytest.importorskip("datasets")

datasets.disable_progress_bars()


def read(path, task="classification", seed=0, fraction=1.0, **settings):
    choice = DataChoice(name=f"hugging-face:{path}", settings=settings, split_seed=seed, fraction=fraction)
    return load(choice, task=task)


def picture(number, width=12, height=8):
    """Its middle square is one value; what is cut away is another."""
    array = np.full((height, width, 3), 255, dtype=np.uint8)
    array[:, (width - height) // 2 : (width + height) // 2] = number
    return Image.fromarray(array)


def images(first, last, hidden=False):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["even", "odd"])})
    numbers = range(first, last)
    labels = [-1 if hidden else number % 2 for number in numbers]
    return datasets.Dataset.from_dict({"image": [picture(n) for n in numbers], "label": labels}, features=features)


@pytest.fixture
def pictures(tmp_path):
    made = datasets.DatasetDict(train=images(0, 40), test=images(40, 50))
    made.save_to_disk(tmp_path / "pictures")
    return tmp_path / "pictures"


def test_images_are_scaled_cut_and_served_in_order(pictures):
    found = read(pictures)
    assert found.input_shape == (3, 8, 8)
    assert found.num_outputs == 2
    assert (len(found.train), len(found.validation), len(found.test)) == (36, 4, 10)
    inputs, targets = found.test.batch(np.array([3, 0]))
    assert inputs.dtype == torch.float32
    assert targets.tolist() == [1, 0]
    assert torch.equal(inputs[0], torch.full((3, 8, 8), 43 / 255))
    assert torch.equal(inputs[1], torch.full((3, 8, 8), 40 / 255))
    smaller = read(pictures, size=4, grayscale=True)
    assert smaller.input_shape == (1, 4, 4)
    assert smaller.test.batch(np.array([0]))[0].shape == (1, 1, 4, 4)


def test_few_labels_beside_unlabelled_images(pictures):
    found = read(pictures, labels=4, unlabelled=2)
    assert found.unlabelled == 2
    (labelled, beside), targets = found.train.batch(np.arange(4))
    assert labelled.shape == (4, 3, 8, 8)
    assert beside.shape == (4, 2, 3, 8, 8)
    assert sorted(targets.tolist()) == [0, 0, 1, 1]
    assert ((labelled[:, 0, 4, 4] * 255).round().int() % 2).tolist() == targets.tolist()


def numbers_of(split):
    return set((split.inputs[:, 0, 4, 4] * 255).round().int().tolist())


def test_splits_are_the_data_sets_own_and_what_is_missing_is_held_out_of_training(pictures):
    found = read(pictures)
    train, validation, test = (numbers_of(split) for split in (found.train, found.validation, found.test))
    assert test == set(range(40, 50))
    assert train | validation == set(range(40))
    assert not train & validation
    assert numbers_of(read(pictures, seed=1).validation) != validation
    assert numbers_of(read(pictures).validation) == validation
    subset = read(pictures, fraction=0.5)
    assert numbers_of(subset.train) < train
    assert subset.train.targets.tolist() == [n % 2 for n in sorted(numbers_of(subset.train))]
    swapped = read(pictures, train="test", test="train")
    assert numbers_of(swapped.test) == set(range(40))
    assert numbers_of(swapped.train) | numbers_of(swapped.validation) == set(range(40, 50))


def test_the_digest_follows_contents(pictures, tmp_path):
    before = read(pictures).provenance
    assert before.sha256 == read(pictures, size=4).provenance.sha256
    assert "36 train, 4 validation, 10 test rows" in before.notes
    other = datasets.DatasetDict(train=images(1, 41), test=images(40, 50))
    other.save_to_disk(tmp_path / "other")
    assert read(tmp_path / "other").provenance.sha256 != before.sha256


def test_images_that_cannot_serve_are_told(pictures, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown column for image: got 'img', expected one of image, label"):
        read(pictures, image="img")
    with pytest.raises(UsageError, match=r"column 'label' holds something else.*expected Image"):
        read(pictures, image="label")
    with pytest.raises(UnknownNameError, match=r"unknown split for test: got 'tset'.*try test"):
        read(pictures, test="tset")
    with pytest.raises(UsageError, match="the same split"):
        read(pictures, validation="test", test="test")
    with pytest.raises(UsageError, match="context means nothing for this data"):
        read(pictures, context=8)
    hidden = datasets.DatasetDict(train=images(0, 20), test=images(20, 24, hidden=True))
    hidden.save_to_disk(tmp_path / "hidden")
    with pytest.raises(
        UsageError, match=r"the test split has labels that are no class: got -1 to -1, expected 0 to 1"
    ):
        read(tmp_path / "hidden")


def test_a_recipe_trains_on_them(pictures):
    changes = {"data.name": f"hugging-face:{pictures}", "steps": 2, "batch_size": 4, "evaluate_every": 2}
    record = sevenfold.train("digits-cnn", changes)
    assert record.state == "finished"
    assert record.provenance["name"] == f"hugging-face:{pictures}"


@pytest.fixture
def sentences(tmp_path):
    def made(first, last):
        return datasets.Dataset.from_dict(
            {"text": [f"row {n} of the text, as it stands" for n in range(first, last)]}
        )

    datasets.DatasetDict(train=made(0, 60), validation=made(60, 70), test=made(70, 80)).save_to_disk(
        tmp_path / "text"
    )
    return tmp_path / "text"


def test_text_becomes_windows_of_each_split(sentences):
    found = read(sentences, "causal-lm", context=16)
    assert found.input_shape == (16,)
    text = found.tokenizer.decode(found.test.batch(np.arange(2))[0].flatten().tolist())
    assert text == "row 70 of the text, as it stands"
    assert "row 60" in found.tokenizer.decode(found.validation.inputs.flatten().tolist())
    assert "row 60" not in found.tokenizer.decode(found.train.inputs.flatten().tolist())
    pieces = read(sentences, "causal-lm", context=16, tokenizer="bpe", vocabulary=300)
    assert pieces.num_outputs <= 300
    assert pieces.bytes_per_token["train"] > 2
    masked = read(sentences, "masked-lm", context=16)
    assert masked.train.batch(np.arange(2))[1].shape == (2, 16)
    with pytest.raises(UsageError, match="size means nothing for this data"):
        read(sentences, "causal-lm", size=8)
    with pytest.raises(UsageError, match="source and target are for another task"):
        read(sentences, "causal-lm", source="text", target="text")


def test_tokens_are_made_once_and_kept_on_disk(sentences, home, monkeypatch):
    first = read(sentences, "causal-lm", context=16)
    kept = sorted((home / "tokens").glob("*.bin"))
    assert len(kept) == 3
    assert not list((home / "tokens").glob("*.tmp"))
    written = {path: path.stat().st_mtime_ns for path in kept}
    first.train.tokens[0] = 0  # a private copy
    again = read(sentences, "causal-lm", context=16)
    assert {path: path.stat().st_mtime_ns for path in (home / "tokens").glob("*.bin")} == written
    assert "row 0 of" in again.tokenizer.decode(again.train.inputs.flatten().tolist())
    longest = max(kept, key=lambda path: path.stat().st_size)
    longest.write_bytes(longest.read_bytes()[:-4])  # cut short: made anew
    assert torch.equal(read(sentences, "causal-lm", context=16).train.inputs, again.train.inputs)
    read(sentences, "causal-lm", context=16, tokenizer="bpe", vocabulary=280)
    assert len(list((home / "tokens").glob("*.bin"))) == 6


def test_byte_pairs_of_a_long_text_are_learned_from_a_part_of_it(sentences, monkeypatch):
    monkeypatch.setattr(_row_texts, "_LEARNED_FROM", 600)
    found = read(sentences, "causal-lm", context=16, tokenizer="bpe", vocabulary=280)
    assert "byte pairs of 15 training rows" in found.provenance.notes  # 60 rows of 33 characters, a quarter of them
    text = found.tokenizer.decode(found.train.inputs.flatten().tolist())
    assert text.startswith("row 0 of the text, as it stands\n\nrow 1 of")


@pytest.fixture
def translations(tmp_path):
    words = ["eins", "zwei", "drei", "vier"], ["one", "two", "three", "four"]

    def made(count, longest):
        rows = [
            {"de": " ".join(words[0][: 1 + n % longest]), "en": " ".join(words[1][: 1 + n % longest])}
            for n in range(count)
        ]
        return datasets.Dataset.from_dict(
            {"translation": rows}, features=datasets.Features({"translation": datasets.Translation(["de", "en"])})
        )

    datasets.DatasetDict(train=made(40, 4), validation=made(8, 3), test=made(8, 2)).save_to_disk(tmp_path / "pairs")
    return tmp_path / "pairs"


SIDES = {"source": "translation.de", "target": "translation.en"}


def test_pairs_are_framed_padded_and_read_back(translations):
    found = read(translations, "seq2seq", tokenizer="char", **SIDES)
    assert found.input_shape == (len("eins zwei drei vier"), len("one two three four") + 1)
    (source, target_in), targets = found.train.batch(np.array([1, 0]))
    assert source.shape == (2, len("eins zwei"))
    assert target_in.shape == targets.shape == (2, len("one two") + 1)
    assert source[1].tolist()[4:] == [0] * 5
    assert target_in[:, 0].tolist() == [1, 1]
    assert targets[0, -1] == 2
    assert targets[1].tolist()[3:] == [2, -100, -100, -100, -100]
    assert torch.equal(target_in[0, 1:], targets[0, :-1])
    assert found.tokenizer.decode(source[0].tolist()) == "eins zwei"
    assert found.tokenizer.decode(targets[0].tolist()) == "one two"
    assert int(max(source.max(), targets.max())) < found.num_outputs
    half = found.train.take(np.arange(0, 40, 2))
    assert torch.equal(half.batch(np.array([1]))[1], found.train.batch(np.array([2]))[1])


def test_pairs_of_byte_pairs_and_what_is_too_long(translations):
    found = read(translations, "seq2seq", vocabulary=280, **SIDES)
    assert found.num_outputs <= 283
    (_, target_in), _ = found.train.batch(np.array([3]))
    assert found.tokenizer.decode(target_in[0].tolist()) == "one two three four"
    short = read(translations, "seq2seq", tokenizer="char", longest=10, **SIDES)
    assert (len(short.train), len(short.test)) == (20, 8)  # one and two words fit into ten characters
    assert "pairs of more than 10 tokens left out" in short.provenance.notes
    with pytest.raises(UsageError, match="no pair that is short enough"):
        read(translations, "seq2seq", tokenizer="char", longest=2, **SIDES)
    with pytest.raises(UsageError, match="pairs have two columns: got no target"):
        read(translations, "seq2seq", source="translation.de")
    with pytest.raises(UnknownNameError, match=r"unknown column for source.*expected one of de, en"):
        read(translations, "seq2seq", source="translation.fr", target="translation.en")


def test_a_folder_of_files_is_read_too(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / ".cache")
    (tmp_path / "train.csv").write_text("text\n" + "\n".join(f"line {n} here" for n in range(50)) + "\n")
    found = read(tmp_path, "causal-lm", context=8)
    assert "40 train, 5 validation, 5 test rows" in found.provenance.notes
    parts = [
        found.tokenizer.decode(s.inputs.flatten().tolist()) for s in (found.train, found.validation, found.test)
    ]
    assert sum(part.count("line") for part in parts) > 40


def test_a_missing_package_or_network_or_folder_is_one_line(monkeypatch, tmp_path):
    with pytest.raises(InputFileError, match=r"is not there: got .*save_to_disk"):
        read(tmp_path / "empty" if (tmp_path / "empty").mkdir() is None else None)
    with pytest.raises(UsageError, match="needs its name"):
        read("")

    def unreachable(*_, **__):
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub (LocalEntryNotFoundError)\nmore lines")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=unreachable))
    with pytest.raises(InputFileError) as caught:
        read("owner/name")
    said = str(caught.value)
    assert said.startswith("data set hugging-face:owner/name is not there: got ConnectionError: Couldn't reach")
    assert "more lines" not in said
    assert "try hugging-face:/path/to/folder" in said
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        InputFileError, match=r"needs the package datasets: got not installed; try pip install 'sevenf"
    ):
        read("owner/name")
