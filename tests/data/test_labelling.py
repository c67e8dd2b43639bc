"""A labelling session: what is asked, recorded, taken back, and gone on with; and how two people agree."""

from __future__ import annotations

import errno
import os
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.data.agreement import agreement_of, decided, read_labeller
from sevenfold.data.comparisons import (
    Candidates,
    Judgement,
    append_judgement,
    read_candidates,
    read_judgements,
    take_back_judgement,
    write_candidates,
)
from sevenfold.data.labellers import cohen_kappa, majority, noisy_labeller
from sevenfold.data.labelling import Labelling, order_of, pairs_to_compare
from sevenfold.errors import InputFileError, UsageError

FOUR = Candidates("p", ("a", "b", "c", "d"))


def session(out, *candidates, labeller="me"):
    return Labelling(pairs_to_compare(candidates or [FOUR], labeller), out, labeller)


def judge_all(labelling, better):
    """Answer every question by a function of the two answers; how many there were."""
    asked = 0
    while (pair := labelling.next()) is not None:
        assert labelling.judge(pair, first=better(pair.first, pair.second))
        asked += 1
    return asked


@given(st.permutations("abcdefg"))
def test_any_order_is_found_with_fewer_questions_and_without_a_circle(tmp_path_factory, ranking):
    out = tmp_path_factory.mktemp("out") / "mine.jsonl"
    labelling = session(out, Candidates("p", tuple("abcdefg")))
    asked = judge_all(labelling, lambda one, other: ranking.index(one) < ranking.index(other))
    assert labelling.done == len(labelling.pairs) == 21
    assert asked <= 21
    below = order_of(read_judgements(out))["p"]
    for place, answer in enumerate(ranking):
        assert below.get(answer, frozenset()) == set(ranking[place + 1 :])


def test_an_erratic_person_cannot_contradict_himself(tmp_path):
    draw = random.Random(0)
    for number in range(20):
        out = tmp_path / f"{number}.jsonl"
        assert judge_all(session(out), lambda one, other: draw.random() < 0.5) <= 6
        assert read_judgements(out)  # refuses a circle


def test_who_stands_first_depends_on_labeller_and_pair_and_on_nothing_else():
    many = [Candidates(f"p{n}", ("better", "worse")) for n in range(400)]
    turned = [Candidates(one.prompt, ("worse", "better")) for one in many]
    mine = pairs_to_compare(many, "me")
    assert pairs_to_compare(turned, "me") == mine
    share = np.mean([pair.first == "better" for pair in mine])
    assert share == pytest.approx(0.5, abs=0.1)
    other = pairs_to_compare(many, "you")
    assert np.mean([one.first == two.first for one, two in zip(mine, other, strict=True)]) < 0.65
    assert len(pairs_to_compare([*many, *turned], "me")) == 400


def test_a_session_goes_on_where_the_file_ends(tmp_path):
    out = tmp_path / "mine.jsonl"
    first = session(out)
    pair = first.next()
    first.judge(pair, first=True)
    again = session(out)
    assert again.done == 1
    assert again.next().key != pair.key
    assert session(out, labeller="you").done == 0  # another person's file it may be too


def test_undo_takes_back_skips_and_judgements_of_an_earlier_session_too(tmp_path):
    out = tmp_path / "mine.jsonl"
    labelling = session(out)
    one = labelling.next()
    labelling.judge(one, first=True)
    two = labelling.next()
    labelling.skip(two)
    assert (labelling.skipped, labelling.next() == two) == (1, False)
    assert labelling.undo()
    assert (labelling.skipped, labelling.next()) == (0, two)
    assert labelling.undo()
    assert (labelling.next(), labelling.recorded, out.read_text()) == (one, 0, "")
    assert not labelling.undo()
    labelling.judge(one, first=False)
    assert session(out).undo()
    assert out.read_text() == ""


def test_undo_leaves_what_others_wrote(tmp_path):
    out = tmp_path / "ours.jsonl"
    labelling = session(out)
    labelling.judge(labelling.next(), first=True)
    append_judgement(out, Judgement("p", ("a", "b"), "you"))
    before = out.read_text()
    assert not labelling.undo()
    append_judgement(out, Judgement("another prompt", ("a", "b"), "me"))
    assert not labelling.undo()
    assert out.read_text().startswith(before)


def test_two_sessions_of_one_person_do_not_compare_the_same_pair_twice(tmp_path):
    out = tmp_path / "mine.jsonl"
    one, other = session(out), session(out)
    pair = one.next()
    assert other.next() == pair
    assert one.judge(pair, first=True)
    assert not other.judge(pair, first=False)
    assert other.next() != pair
    assert len(read_judgements(out)) == 1


def test_a_skipped_pair_that_follows_from_others_counts_as_done(tmp_path):
    labelling = session(tmp_path / "mine.jsonl", Candidates("p", ("a", "b", "c")))
    labelling.skip(next(pair for pair in labelling.pairs if {pair.first, pair.second} == {"a", "c"}))
    judge_all(labelling, lambda one, other: one < other)
    assert (labelling.done, labelling.skipped) == (3, 0)


def test_a_line_that_the_disk_does_not_take_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    out = tmp_path / "mine.jsonl"
    append_judgement(out, Judgement("p", ("a", "b")))
    before = out.read_bytes()

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputFileError, match="No space left"):
        append_judgement(out, Judgement("p", ("b", "c")))
    assert out.read_bytes() == before


def test_files_written_by_hand(tmp_path):
    out = tmp_path / "mine.jsonl"
    out.write_text('{"prompt": "p", "answers": ["a", "b"]}')  # no end of line
    append_judgement(out, Judgement("p", ("b", "c\u2028d")))
    assert [one.answers for one in read_judgements(out)] == [("a", "b"), ("b", "c\u2028d")]
    assert not take_back_judgement(out, Judgement("p", ("a", "b")))
    assert take_back_judgement(out, Judgement("p", ("b", "c\u2028d")))
    assert out.read_text() == '{"prompt": "p", "answers": ["a", "b"]}\n'
    write_candidates(tmp_path / "new.jsonl", [FOUR])
    assert read_candidates(tmp_path / "new.jsonl") == [FOUR]
    with pytest.raises(InputFileError, match="File exists"):
        write_candidates(tmp_path / "new.jsonl", [FOUR])


def test_kappa_and_majority_are_scikit_learns_and_scipys():
    from sklearn.metrics import cohen_kappa_score

    draw = np.random.default_rng(0)
    truth = draw.integers(0, 4, 300)
    for seed, rate in enumerate((0.0, 0.2, 0.7, 1.0)):
        other = noisy_labeller(truth, rate, 4, seed)
        assert cohen_kappa(truth, other) == pytest.approx(cohen_kappa_score(truth, other), abs=1e-12)
    assert cohen_kappa(np.array([1, 1]), np.array([1, 1])) is None
    with pytest.raises(UsageError, match="one length"):
        cohen_kappa(truth, truth[:3])
    labels = np.stack([noisy_labeller(truth, 0.4, 4, 9 + k) for k in range(5)], 1)
    votes = np.stack([(labels == name).sum(1) for name in range(4)], 1)
    found = majority(labels)
    assert (votes[np.arange(300), found] == votes.max(1)).all()
    tied = (votes == votes.max(1, keepdims=True)).sum(1) > 1
    firsts = [next(x for x in row if v[x] == v.max()) for row, v in zip(labels[tied], votes[tied], strict=True)]
    assert (found[tied] == firsts).all()
    assert majority(np.array([[-1, 3, -1]])).tolist() == [3]


def lines(labeller, *comparisons):
    return [Judgement(prompt, tuple(answers), labeller) for prompt, answers in comparisons]


def test_agreement_counts_what_follows_and_its_kappa_is_of_both_orders():
    from sklearn.metrics import cohen_kappa_score

    one = lines("a", ("p", "xyz"), ("q", "uv"), ("r", "ab"), ("only", "ab"))
    other = lines("b", ("p", "xy"), ("p", "zy"), ("q", "uv"), ("r", "ba"))
    found = agreement_of(one, other)
    # p: x > y alike, y > z against z > y, x > z against nothing
    assert (found.shared, len(found.agreed), found.only_first, found.only_second) == (4, 2, 2, 0)
    assert found.share == 0.5
    assert found.kappa == pytest.approx(0, abs=1e-12)
    three = agreement_of(one, lines("b", ("p", "xyz"), ("q", "vu")))
    table = np.array([[1, 1], [1, 1], [1, 1], [1, 0]])
    both = np.concatenate([table, 1 - table])
    assert three.kappa == pytest.approx(cohen_kappa_score(both[:, 0], both[:, 1]))
    assert three.kappa == pytest.approx(2 * three.share - 1)
    with pytest.raises(UsageError, match="no pair of answers in common"):
        agreement_of(one, lines("b", ("else", "ab")))


def test_the_judge_decides_what_two_differ_on(tmp_path):
    one = lines("a", ("p", "xy"), ("q", "uv"), ("r", "ab"), ("s", "cd"))
    other = lines("b", ("p", "xy"), ("q", "vu"), ("r", "ba"), ("s", "dc"))
    agreement = agreement_of(one, other)
    assert {item.prompt for item in agreement.candidates()} == {"q", "r", "s"}
    found = decided(agreement, lines("c", ("q", "vu"), ("r", "ab"), ("p", "yx")))
    assert {(j.prompt, j.answers) for j in found.comparisons} == {
        ("p", ("x", "y")),
        ("q", ("v", "u")),
        ("r", ("a", "b")),
    }
    assert (found.judged, found.open, found.circular) == (2, 1, 0)


def test_what_is_decided_pair_by_pair_may_run_in_a_circle_and_is_left_out(tmp_path):
    """Three orders of three answers whose majorities run in a circle (Condorcet)."""
    one, other, judge = lines("a", ("p", "xyz")), lines("b", ("p", "yzx")), lines("c", ("p", "zxy"))
    found = decided(agreement_of(one, other), judge)
    assert (found.comparisons, found.circular) == ((), 1)
    path = tmp_path / "several.jsonl"
    for judgement in (*one, *other):
        append_judgement(path, judgement)
    with pytest.raises(InputFileError, match="a file of one labeller"):
        read_labeller(path)
