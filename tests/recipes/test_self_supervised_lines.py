"""The small labelled task of the paradigm self-supervised: which lines, which labels, and nothing of the answer."""

from __future__ import annotations

import numpy as np

from sevenfold.data import load
from sevenfold.recipes.paradigms.self_supervised import _counts, _lines
from sevenfold.runs.recipe import DataChoice


def test_lines_are_of_both_kinds_without_their_indentation():
    dataset = load(DataChoice(name="python-docs", settings={"context": 16}), task="masked-lm")
    tokens, labels = _lines(dataset, "train", 16, 60, seed=0)
    assert tokens.shape == (60, 16)
    assert labels.tolist() == [0, 1] * 30
    text = dataset.tokenizer.decode(dataset.train.windows.tokens.tolist())
    for row, label in zip(tokens.tolist(), labels.tolist(), strict=True):
        start = dataset.tokenizer.decode(row)
        assert start == start.lstrip()
        lines = [line for line in text.split("\n") if line.strip().startswith(start)]
        assert lines
        assert any((line[0] == " ") == bool(label) for line in lines)
    again, _ = _lines(dataset, "train", 16, 60, seed=0)
    other, _ = _lines(dataset, "train", 16, 60, seed=1)
    assert np.array_equal(tokens, again)
    assert not np.array_equal(tokens, other)


def test_counts_of_characters_and_pairs():
    rows = _counts(np.array([[1, 2, 1], [2, 2, 2]]), 5)
    assert rows.shape == (2, 5 + 512)
    assert rows[0, :5].tolist() == [0, 2, 1, 0, 0]
    assert rows[0, 5 + 1 * 5 + 2] == rows[0, 5 + 2 * 5 + 1] == 1
    assert rows[1, 5 + 2 * 5 + 2] == 2
    assert rows.sum(1).tolist() == [5, 5]
