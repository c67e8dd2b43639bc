"""Requests: the true reward from its parts, what people say, splits that ask for different things, tokens."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from sevenfold.data import load
from sevenfold.data._request_grammar import require_asked
from sevenfold.data.requests import (
    ANSWER_TOKEN,
    CONTEXT,
    END_TOKEN,
    LONGEST_ANSWER,
    PADDING_TOKEN,
    answer_text,
    decode,
    demonstrations,
    encode,
    plain_texts,
    prompt_tokens,
    prompts,
    simulated_judgement,
    true_reward,
    vocabulary,
)
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice

PROMPT = "i need two red cups"


@pytest.mark.parametrize(
    ("answer", "worth"),
    [
        ("", 0.0),
        ("here are two red cups .", 2 - 0.1),
        ("here are two red cups", 2 - 0.1),  # marks are free
        ("here are red cups .", 4 / 3 - 0.08),
        ("here are cups .", 2 / 3 - 0.06),
        ("nothing was left .", -0.06),
        ("gladly , here are two red cups .", 3 - 0.12),
        ("gladly , here are two red cups , kindly yours .", 3 - 0.5 - 0.16),  # polite twice
        ("gladly , gladly , here are two red cups .", 3 - 0.5 - 0.5 - 0.14),  # and said again
        ("here are two red cups , what else ?", 3 - 0.16),
        ("here are two red cups , what else ? .", 2 - 0.16),  # ends with no question
        ("what else ? here are two red cups , what else ?", 3 - 1.5 - 0.22),
        ("gladly , here are two red cups , what else ?", 4 - 0.18),
        ("two red cups from the kitchen " + ", " * 17, 2 - 0.12 - 0.25 * 3),  # 23 words and marks
    ],
)
def test_the_true_reward_is_the_sum_of_its_parts(answer, worth):
    assert true_reward(PROMPT, answer) == pytest.approx(worth, abs=1e-6)


def test_a_prompt_that_asks_for_nothing_has_no_reward():
    with pytest.raises(UsageError, match="asks for nothing"):
        true_reward("good morning", "here are two red cups")


def test_people_are_never_polite_twice_nor_ask_twice_nor_repeat_themselves():
    polite = {"certainly", "gladly", "pleasure", "thanks", "kindly", "service", "welcome"}
    once = full = asking = 0
    given = demonstrations("train")
    for prompt, answer in given:
        words = [word for word in answer.split() if word not in {",", "."}]
        assert len(words) == len(set(words)), answer
        assert len(polite & set(words)) <= 1
        assert len(answer.split()) <= 20
        once += bool(polite & set(words))
        asking += words[-1] == "?"
        full += set(require_asked(prompt)) <= set(words)
    assert abs(once / len(given) - 0.5) < 0.03
    assert abs(asking / len(given) - 0.3) < 0.03
    assert abs(full / len(given) - 0.6) < 0.03


def test_splits_ask_for_different_things_and_depend_on_their_seed():
    def wanted(split):
        return {tuple(require_asked(prompt)) for prompt in prompts(split)}

    parts = [wanted(split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [2560, 320, 320]
    assert all(not one & other for one, other in combinations(parts, 2))
    assert prompts("test") != prompts("test", 1)
    assert demonstrations("test") is demonstrations("test")


def test_tokens_and_words():
    for text in (*prompts("test"), *plain_texts("test"), *(answer for _, answer in demonstrations("test"))):
        assert decode(encode(text)) == text
    assert vocabulary()[:3] == ("<padding>", "<answer>", "<end>")
    assert len(set(vocabulary())) == len(vocabulary()) == 149
    assert max(len(prompt_tokens(prompt)) for prompt in prompts("train")) + LONGEST_ANSWER <= CONTEXT
    assert answer_text([*encode("here are cups"), END_TOKEN, PADDING_TOKEN]) == "here are cups"
    assert answer_text([END_TOKEN]) == ""
    assert answer_text(encode("here are")) == "here are"
    with pytest.raises(UsageError, match="never have: got 'violet'"):
        encode("two violet cups")


def test_only_answers_are_learned_and_all_of_them():
    data = load(DataChoice(name="requests"), task="causal-lm")
    inputs, targets = data.test.batch(np.arange(len(data.test)))
    for (prompt, answer), row, asked in zip(demonstrations("test"), inputs, targets, strict=True):
        start, said = prompt_tokens(prompt), [*encode(answer), END_TOKEN]
        assert row[: len(start)].tolist() == start
        assert asked[asked != -100].tolist() == said
        assert asked[: len(start) - 1].eq(-100).all()
        assert asked[len(start) - 1 :].tolist()[: len(said)] == said  # what follows <answer> is the first target
    assert inputs[0, len(prompt_tokens(prompts("test")[0])) - 1] == ANSWER_TOKEN


def test_stories_are_plain_text_all_of_which_is_learned_but_the_first_word():
    data = load(DataChoice(name="requests", settings={"part": "stories"}), task="causal-lm")
    inputs, targets = data.test.batch(np.arange(50))
    for story, row, asked in zip(plain_texts("test"), inputs, targets, strict=False):
        words = encode(story)
        assert row[: len(words)].tolist() == words
        assert asked[: len(words)].tolist() == [*words[1:], END_TOKEN]
        assert asked[len(words) :].eq(-100).all()
    assert max(len(encode(story)) for story in plain_texts("train")) <= CONTEXT
    assert inputs.shape[1] == max(len(encode(story)) for story in plain_texts("test")[:50])
    assert data.tokenizer is not None
    assert data.tokenizer.encode(PROMPT).ids == encode(PROMPT)
    assert data.tokenizer.decode(encode(PROMPT)) == PROMPT


@pytest.mark.parametrize("error_rate", [0.0, 0.1, 0.25, 0.4, 0.5])
def test_a_simulated_labeller_gets_that_share_of_the_pairs_wrong(error_rate):
    answers = ["nothing was left .", "here are cups .", "here are red cups .", "gladly , here are two red cups ."]
    worth = {answer: true_reward(PROMPT, answer) for answer in answers}
    wrong = [
        worth[better] < worth[worse]
        for seed in range(600)
        for better, worse in combinations(simulated_judgement(PROMPT, answers, error_rate, seed).answers, 2)
    ]
    assert abs(np.mean(wrong) - error_rate) < 0.03
    assert simulated_judgement(PROMPT, answers, 0.25, 7) == simulated_judgement(PROMPT, answers, 0.25, 7)
