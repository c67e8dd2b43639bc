"""Comparisons by people: read, appended, and refused where they cannot be learned from."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.data.comparisons import Judgement, append_judgement, pairs_of, read_judgements
from sevenfold.errors import InputFileError


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_what_is_appended_is_read_again(tmp_path):
    path = tmp_path / "new" / "labels.jsonl"
    given_ = [Judgement("p?", ("a", "b")), Judgement("q", ("ü", "x", "y"), "me")]
    for one in given_:
        append_judgement(path, one)
    assert read_judgements(path) == given_
    assert pairs_of(given_)[1:] == [("q", "ü", "x"), ("q", "ü", "y"), ("q", "x", "y")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "no JSON in labels.jsonl, line 2"),
        ([1], "is an object"),
        ({"answers": ["a", "b"]}, "without a prompt in labels.jsonl, line 2"),
        ({"prompt": "", "answers": ["a", "b"]}, "without a prompt"),
        ({"prompt": "p", "answers": ["a"]}, "two answers or more"),
        ({"prompt": "p", "answers": ["a", "a"]}, "equal answers"),
        ({"prompt": "p", "chosen": "a"}, "unknown key"),
        ({"prompt": "p", "answers": ["a", "b"], "labeller": 3}, "labeller is a text"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, row, said):
    path = write(tmp_path / "labels.jsonl", {"prompt": "p", "answers": ["a", "b"]}, row)
    with pytest.raises(InputFileError, match=said) as told:
        read_judgements(path)
    assert "\n" not in str(told.value)


def test_a_circle_is_told_with_its_lines(tmp_path):
    rows = [{"prompt": "p", "answers": list(pair)} for pair in ("ab", "bc", "xy", "ca")]
    with pytest.raises(InputFileError, match=r"'a' > 'b' > 'c' > 'a' \(line 1, line 2, line 4\)"):
        read_judgements(write(tmp_path / "labels.jsonl", *rows))
    rows[3]["labeller"] = "another"  # who may think otherwise
    assert len(read_judgements(write(tmp_path / "labels.jsonl", *rows))) == 4
    rows[3] = {"prompt": "other", "answers": ["c", "a"]}
    assert len(read_judgements(write(tmp_path / "labels.jsonl", *rows))) == 4


@given(st.permutations(list("abcdef")), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=15))
def test_comparisons_that_follow_an_order_are_no_circle(tmp_path_factory, order, picks):
    rows = [
        {"prompt": "p", "answers": [order[min(pick)], order[max(pick)]]} for pick in picks if pick[0] != pick[1]
    ] or [{"prompt": "p", "answers": ["a", "b"]}]
    path = write(tmp_path_factory.mktemp("labels") / "labels.jsonl", *rows)
    assert len(read_judgements(path)) == len(rows)


def test_an_empty_file_and_a_missing_one(tmp_path):
    with pytest.raises(InputFileError, match="empty"):
        read_judgements(write(tmp_path / "labels.jsonl"))
    with pytest.raises(InputFileError, match="cannot read"):
        read_judgements(tmp_path / "none.jsonl")
