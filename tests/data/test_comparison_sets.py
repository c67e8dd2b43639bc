"""Files of comparisons as data sets: rankings and pairs as tokens, prompts split whole, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sevenfold.data import load
from sevenfold.data.requests import END_TOKEN, decode, encode, prompt_tokens
from sevenfold.errors import InputFileError, UsageError
from sevenfold.runs.recipe import DataChoice

ANSWERS = ["gladly , here are two red cups .", "here are cups .", "nothing was left ."]


@pytest.fixture
def file(tmp_path):
    """Ten prompts with three ranked answers, the first of them with a judgement of two by another person."""

    def write(*more, count=10):
        rows = [{"prompt": f"i need two red {thing}", "answers": ANSWERS} for thing in THINGS[:count]]
        rows.append({"prompt": "i need two red cups", "answers": ANSWERS[1::-1], "labeller": "other"})
        path = tmp_path / "judged.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in (*rows, *more)))
        return f"comparisons:{path}"

    return write


THINGS = "cups plates spoons lamps chairs tables books maps coats hats".split()  # noqa: SIM905


def splits(data):
    return data.train, data.validation, data.test


def test_rankings_stand_best_first_and_short_ones_are_filled_up(file):
    data = load(DataChoice(name=file(), settings={"encoding": "requests"}), task="reward")
    assert sum(map(len, splits(data))) == 11
    seen = []
    for split in splits(data):
        tokens, places = split.batch(np.arange(len(split)))
        assert tokens.shape[:2] == places.shape
        for texts, order in zip(tokens, places, strict=True):
            given = [decode(text.tolist()) for text, place in zip(texts, order, strict=True) if place >= 0]
            prompt = given[0].split(" <answer> ")[0]
            seen.append(
                (prompt, [text.removeprefix(f"{prompt} <answer> ").removesuffix(" <end>") for text in given])
            )
            assert order[: len(given)].tolist() == list(range(len(given)))
            assert not texts[len(given) :].any()
    assert sorted(map(str, seen)) == sorted(
        str(one)
        for one in [
            *((f"i need two red {thing}", ANSWERS) for thing in THINGS),
            ("i need two red cups", ANSWERS[1::-1]),
        ]
    )


def test_pairs_mark_the_answers_alone(file):
    data = load(DataChoice(name=file(), settings={"encoding": "requests"}), task="preference")
    assert sum(map(len, splits(data))) == 10 * 3 + 1
    (tokens, answered), targets = data.train.batch(np.arange(3))
    assert len(targets) == 3
    for texts, marks in zip(tokens, answered, strict=True):
        for text, marked in zip(texts, marks, strict=True):
            said = text[1:][marked].tolist()
            assert said[-1] == END_TOKEN
            assert decode(said[:-1]) in ANSWERS
            assert decode(text.tolist()).endswith(f"<answer> {decode(said)}")


def test_prompts_are_split_whole(file):
    name = file()
    for seed in range(5):
        data = load(DataChoice(name=name, split_seed=seed, settings={"encoding": "requests"}), task="reward")
        asked = []
        for split in splits(data):
            tokens, _ = split.batch(np.arange(len(split)))
            asked.append({decode(texts[0].tolist()).split(" <answer>")[0] for texts in tokens})
        assert sum(map(len, asked)) == len(set.union(*asked)) == 10


def test_bytes_are_any_text(tmp_path):
    path = tmp_path / "any.jsonl"
    rows = [{"prompt": f"Grüße {i}?", "answers": ["ja, 日", "nein"]} for i in range(5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = load(DataChoice(name=f"comparisons:{path}"), task="reward")
    tokens, _ = data.train.batch(np.arange(1))
    text = [token for token in tokens[0, 0].tolist() if token]
    asked, said = text[: text.index(1)], text[text.index(1) + 1 : -1]
    assert bytes(token - 3 for token in asked).decode().startswith("Grüße ")
    assert bytes(token - 3 for token in said).decode() == "ja, 日"
    assert text[-1] == 2
    assert data.num_outputs == 259
    assert data.input_shape == (tokens.shape[2],)


def test_what_cannot_be_learned_from_is_told(file, tmp_path):
    with pytest.raises(UsageError, match=r"requests never have \(in judged.jsonl, prompt 'good'\): got 'good'"):
        load(DataChoice(name=file({"prompt": "good", "answers": ["a", "b"]}), settings={"encoding": "requests"}),
             task="reward")  # fmt: skip
    long = " ".join(["cups"] * 40)
    with pytest.raises(UsageError, match="longer than the context of requests: got 47 tokens, expected at most 40"):
        load(DataChoice(name=file({"prompt": "i need two red bags", "answers": [long, "here"]}),
                        settings={"encoding": "requests"}), task="reward")  # fmt: skip
    with pytest.raises(UsageError, match="too few prompts to split"):
        load(DataChoice(name=file(count=1)), task="reward")
    with pytest.raises(UsageError, match="does not serve the task"):
        load(DataChoice(name=file()), task="classification")
    with pytest.raises(InputFileError, match="cannot read comparisons"):
        load(DataChoice(name=f"comparisons:{tmp_path / 'none.jsonl'}"), task="reward")
    assert len(prompt_tokens("i need two red bags")) + len(encode(long)) + 1 == 47
