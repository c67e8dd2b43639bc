"""Names in eight languages: one a window, one split an item, and the language that is not in the window."""

from __future__ import annotations

import numpy as np
import pytest

from sevenfold.data import load
from sevenfold.data.latin_names import LANGUAGES, labelled_names
from sevenfold.errors import UsageError
from sevenfold.recipes.paradigms.self_supervised import _counts
from sevenfold.runs.recipe import DataChoice


def names(seed=0, **settings):
    choice = DataChoice(name="latin-names", settings={"context": 16, **settings}, split_seed=seed)
    return load(choice, task="masked-lm")


def test_every_window_is_a_name_and_its_label_its_language():
    dataset = names()
    seen = {}
    for part in ("train", "validation", "test"):
        split = getattr(dataset, part)
        tokens, labels = labelled_names(dataset, part, 0)
        assert len(split) == len(tokens)
        windows, _ = split.windows.batch(np.arange(len(split)))
        assert np.array_equal(windows.numpy(), tokens)
        for row, label in zip(tokens.tolist(), labels.tolist(), strict=True):
            seen.setdefault(part, {})[dataset.tokenizer.decode(row).rstrip()] = LANGUAGES[label]
        assert set(labels.tolist()) == set(range(len(LANGUAGES)))
    everywhere = {name: told for part in seen.values() for name, told in part.items()}
    assert everywhere["Deutschland"] == "de"
    assert everywhere["Alemania"] == "es"
    assert everywhere["Saksa"] == "fi"
    assert "Portugal" not in everywhere  # the same in several languages
    homes = [next(part for part in seen if name in seen[part]) for name in ("Deutschland", "Alemania", "Saksa")]
    assert len(set(homes)) == 1


def test_splits_are_the_seeds_and_only_characters_are_read():
    first, again, other = names(), names(), names(seed=1)
    assert first.provenance.sha256 == again.provenance.sha256 != other.provenance.sha256
    with pytest.raises(UsageError, match="latin-names are read by character"):
        names(tokenizer="bpe")


def test_counts_of_characters_and_pairs():
    rows = _counts(np.array([[1, 2, 1], [2, 2, 2]]), 5)
    assert rows.shape == (2, 5 + 1024)
    assert rows[0, :5].tolist() == [0, 2, 1, 0, 0]
    assert rows[0, 5 + 1 * 5 + 2] == rows[0, 5 + 2 * 5 + 1] == 1
    assert rows[1, 5 + 2 * 5 + 2] == 2
    assert rows.sum(1).tolist() == [5, 5]
