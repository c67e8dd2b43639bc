"""``sevenfold label``: typed at, piped into, gone on with, judged; and what it refuses."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time

import pytest

import sevenfold
from sevenfold.cli._boundary import run_guarded
from sevenfold.data import requests
from sevenfold.data.comparisons import pairs_of, read_candidates, read_judgements
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe

ANSWERS = [
    {"prompt": "Is it raining?", "answers": ["No, sir.", "no"]},
    {"prompt": "Two and two?", "answers": ["four", "seven"]},
    {"prompt": "Tea?", "answers": ["yes, please", "yes"]},
]


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ANSWERS))
    return path


def typed(monkeypatch, keys, *words):
    monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
    return run_guarded(["label", *map(str, words)])


def longest(question):
    return "1" if len(question.first) > len(question.second) else "2"


def test_a_person_with_a_rule_is_recorded(answers, tmp_path):
    out = tmp_path / "mine.jsonl"
    result = sevenfold.label(answers, out=out, ask=longest, labeller="me")
    assert (result.pairs, result.done, result.recorded, result.ended) == (3, 3, 3, "all compared")
    better = {better for _, better, _ in pairs_of(read_judgements(out))}
    assert better == {"No, sir.", "yes, please", "seven"}
    assert all(one.labeller == "me" for one in read_judgements(out))
    again = sevenfold.label(answers, out=out, labeller="me", ask=lambda question: pytest.fail("asked again"))
    assert (again.done, again.recorded, again.ended) == (3, 0, "all compared")


def test_keys_from_a_pipe_are_recorded_and_the_same_command_goes_on(answers, tmp_path, monkeypatch, capsys):
    out = tmp_path / "mine.jsonl"
    assert typed(monkeypatch, "1\n s u 2\nx", answers, "--out", out) == 0
    shown = capsys.readouterr()
    assert "2 of 3 pairs compared (2 now): left by the labeller" in shown.out
    assert "Is it raining?" in shown.err
    assert "'x' is no key" in shown.err
    assert [one.prompt for one in read_judgements(out)] == ["Is it raining?", "Two and two?"]
    assert typed(monkeypatch, "s", answers, "--out", out, "--json") == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert (result["done"], result["recorded"], result["skipped"]) == (2, 0, 1)
    assert result["ended"] == "only skipped ones left"
    assert shown.err == ""
    assert typed(monkeypatch, "uq", answers, "--out", out) == 0
    assert len(read_judgements(out)) == 1


def test_control_characters_of_an_answer_are_shown_and_not_obeyed(tmp_path, monkeypatch, capsys):
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"prompt": "p", "answers": ["\x1b[2Jgone", ""]}) + "\n")
    assert typed(monkeypatch, "q", path, "--out", tmp_path / "mine.jsonl") == 0
    shown = capsys.readouterr().err
    assert "\x1b[2J" not in shown
    assert "␛[2Jgone" in shown
    assert "''" in shown  # an empty answer can be seen


def test_three_people(answers, tmp_path, monkeypatch, capsys):
    """Two label, a third judges what they differ on, and the decisions are a file of comparisons."""
    a, b, judge, final = (tmp_path / f"{name}.jsonl" for name in ("a", "b", "judge", "final"))
    sevenfold.label(answers, out=a, labeller="a", ask=lambda q: "1" if q.first < q.second else "2")
    sevenfold.label(
        answers,
        out=b,
        labeller="b",
        ask=lambda q: ("1" if q.first < q.second else "2") if q.prompt == "Tea?" else longest(q),
    )
    agreement = sevenfold.label_agreement(a, b)
    assert (agreement.shared, agreement.agreed) == (3, 2)
    asked = []
    result = sevenfold.label(
        judge=(a, b), out=judge, labeller="c", ask=lambda q: asked.append(q.prompt) or longest(q)
    )
    assert (result.pairs, asked) == (1, ["Two and two?"])
    words = ["--agreement", a, b, "--judged-by", judge, "--out", final, "--json"]
    assert typed(monkeypatch, "", *words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["comparisons"], shown["judged"], shown["open"]) == (3, 1, 0)
    assert ("Two and two?", "seven", "four") in pairs_of(read_judgements(final))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "need a file: --out"),
        (["--out", "mine.jsonl"], "nothing to compare"),
        (["none.jsonl", "--out", "mine.jsonl"], "cannot read answers"),
        (["{answers}", "--judge", "{answers}", "{answers}", "--out", "m"], "a judge compares what two"),
        (["{answers}", "--out", "mine.jsonl", "--prompts", "p.txt"], "prompts are for a model to answer"),
        (["{answers}", "--out", "{answers}"], "comparisons go to a file of their own"),
        (["--judge", "{answers}", "b.jsonl", "--out", "b.jsonl"], "comparisons go to a file of their own"),
        (["--agreement", "{answers}", "none.jsonl"], "cannot read comparisons"),
        (["--agreement", "{answers}", "{answers}", "--judged-by", "{answers}"], "what the judge decided goes"),
        (["--agreement", "{answers}", "{answers}", "--out", "{answers}"], "cannot write comparisons"),
        (["new.jsonl", "--from-run", "none", "--out", "mine.jsonl"], "unknown run"),
    ],
)
def test_what_does_not_fit_is_one_line(answers, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert typed(monkeypatch, "", *[word.format(answers=answers) for word in words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "mine.jsonl").exists()


def test_a_trained_model_answers_its_own_prompts_and_those_of_a_file(tmp_path, monkeypatch, capsys):
    small = {"steps": 3, "model.width": 16, "evaluate_examples": 64, "data.context": 32}
    run = sevenfold.train("python-docs-gpt", small).id
    drawn, out = tmp_path / "drawn.jsonl", tmp_path / "mine.jsonl"
    words = [drawn, "--from-run", run, "--out", out, "--num", "3", "--max-new-tokens", "12"]
    assert typed(monkeypatch, "12", *words) == 0
    assert "two answers to each of 3 prompts" in capsys.readouterr().out
    found = read_candidates(drawn)
    assert len(found) == 3
    assert all(len(set(one.answers)) == 2 for one in found)
    assert all(len(one.prompt) <= 8 for one in found)
    assert len(read_judgements(out)) == 2
    before = drawn.read_bytes()
    capsys.readouterr()
    assert typed(monkeypatch, "1", *words) == 0
    assert "is there: its answers are compared" in capsys.readouterr().err
    assert (drawn.read_bytes(), len(read_judgements(out))) == (before, 3)
    drawn.unlink()
    assert typed(monkeypatch, "", *words) == 0
    assert drawn.read_bytes() == before  # one seed, the same answers
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("The while\n\nif [x]\n")
    told = tmp_path / "told.jsonl"
    assert typed(monkeypatch, "", told, "--from-run", run, "--out", out, "--prompts", prompts) == 0
    assert [one.prompt for one in read_candidates(told)] == ["The while", "if [x]"]
    for flags, said in (
        (["--temperature", "0"], "differ by chance"),
        (["--num", "0"], "expected 1 or more"),
        (["--prompts", tmp_path / "none.txt"], "cannot read prompts"),
    ):
        assert typed(monkeypatch, "", tmp_path / "never.jsonl", "--from-run", run, "--out", out, *flags) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "never.jsonl").exists()


def test_a_run_of_another_task_has_no_answers(tmp_path, monkeypatch, capsys):
    run = sevenfold.train("digits-cnn", {"steps": 2, "evaluate_examples": 16}).id
    words = [tmp_path / "drawn.jsonl", "--from-run", run, "--out", tmp_path / "mine.jsonl"]
    assert typed(monkeypatch, "", *words) == 2
    assert "is no language model: got task classification" in capsys.readouterr().err


def test_a_model_of_requests_is_asked_as_it_was_trained(tmp_path):
    """Untrained, it says words at random; the prompt is whole and the answer holds no marks."""
    small: dict[str, object] = {"model.layers": 1, "model.width": 16, "model.heads": 2, "model.context": 40}
    recipe = Recipe(
        name="small",
        task="causal-lm",
        model=ModelChoice(name="gpt2-nano"),
        data=DataChoice(name="requests"),
        steps=2,
        evaluate_examples=8,
    ).with_changes(small)
    run = sevenfold.train(recipe).id
    drawn = tmp_path / "drawn.jsonl"
    sevenfold.label(drawn, out=tmp_path / "mine.jsonl", ask=lambda q: "q", from_run=run, num=3, max_new_tokens=10)
    found = read_candidates(drawn)
    assert len(found) == 3
    assert {one.prompt for one in found} <= set(requests.prompts("validation"))
    for one in found:
        assert all("<end>" not in answer and len(answer.split()) <= 10 for answer in one.answers)


def test_what_was_judged_is_kept_when_the_program_is_killed(answers, tmp_path, monkeypatch):
    out = tmp_path / "mine.jsonl"
    words = [sys.executable, "-m", "sevenfold", "label", str(answers), "--out", str(out)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    try:
        process.stdin.write(b"12")
        process.stdin.flush()
        deadline = time.monotonic() + 120
        while not (out.is_file() and out.read_bytes().count(b"\n") == 2) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.kill()  # no chance to write anything
        process.communicate()
    assert len(read_judgements(out)) == 2
    assert typed(monkeypatch, "1", answers, "--out", out) == 0
    assert len(read_judgements(out)) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_on_a_terminal_a_key_needs_no_return(answers, tmp_path):
    """The key is pressed until the program has gone: one that comes before it listens is lost."""
    leader, follower = os.openpty()
    out = tmp_path / "mine.jsonl"
    words = [sys.executable, "-m", "sevenfold", "label", str(answers), "--out", str(out)]
    process = subprocess.Popen(words, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 120
    try:
        while process.poll() is None and time.monotonic() < deadline:
            os.write(leader, b"1")
            time.sleep(0.5)
        assert process.wait(1) == 0
        assert process.stdout is not None
        assert "3 of 3 pairs compared" in process.stdout.read()
    finally:
        process.kill()
        process.communicate()
        os.close(leader)
        os.close(follower)
    assert len(read_judgements(out)) == 3


def test_how_answers_are_drawn_needs_a_run_that_draws_them(tmp_path):
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"prompt": "p", "answers": ["a", "b"]}\n')
    with pytest.raises(UsageError, match="a run's answers alone"):
        sevenfold.label(answers, out=tmp_path / "mine.jsonl", ask=lambda question: "q", seed=3)
