"""Reward models and DPO as runs: comparisons drawn from a model, the reference, the zero of rewards, bad files."""

from __future__ import annotations

import json
import math
import os
import signal
from itertools import pairwise

import pytest
import torch

import sevenfold
from sevenfold.cli._boundary import run_guarded
from sevenfold.data import requests
from sevenfold.data.comparisons import read_judgements
from sevenfold.data.drawn_comparisons import DrawnComparisonsSettings, comparisons_folder
from sevenfold.errors import UsageError
from sevenfold.models import MODELS
from sevenfold.recipes import RECIPES
from sevenfold.runs.recipe import Objective
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run
from sevenfold.training.alignment.comparing import ranked_answers
from sevenfold.training.alignment.preferring import margins
from sevenfold.training.trained import trained_workload

FEW = {"steps": 4, "batch_size": 4, "evaluate_examples": 32, "evaluate_every": 2}
TINY = {"model.width": 16, "model.layers": 1, "model.heads": 2}


@pytest.fixture
def answering():
    """A finished run of a tiny language model of requests."""
    changes = FEW | TINY | {"start": None, "steps": 40, "batch_size": 16, "optimizer.lr": 0.02}
    return train_run(RECIPES["sft-requests"].recipe().with_changes(changes))


def test_what_learned_to_answer_answers(answering):
    told = sevenfold.generate(answering.id, "i need two red cups", seed=3, max_new_tokens=25)
    assert told.prompt_tokens == 6  # <answer> is added
    assert told.ended == (told.new_tokens < 25)
    assert "<" not in told.text.replace("<answer>", "").replace("<padding>", "")
    assert told.text == sevenfold.generate(answering.id, "i need two red cups", seed=3, max_new_tokens=25).text


def recipe_on(run, name, **changes):
    few = FEW | TINY | {"start": run.id, "data.of": run.id, "data.num_prompts": 20, "data.answers": 3}
    return RECIPES[name].recipe().with_changes(few | {key.replace("__", "."): v for key, v in changes.items()})


def test_a_margin_is_the_sum_over_the_answers_tokens_against_the_reference():
    model = MODELS["gpt2-nano"].build({"vocabulary": 11, "context": 9, "width": 8}).double().eval()
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 11, (3, 2, 8), generator=draw)
    answered = torch.zeros(3, 2, 7, dtype=torch.bool)
    reference = torch.randn(3, 2, generator=draw)
    expected = []
    for row in range(3):
        found = []
        for side in range(2):
            start, end = 3 + row, 6 + side  # tokens start to end - 1 are the answer
            answered[row, side, start - 1 : end - 1] = True
            log = 0.0
            for place in range(start, end):
                logits = model(tokens[row, side, :place][None])[0, -1]
                shares = [math.exp(one) for one in logits.tolist()]
                log += math.log(shares[int(tokens[row, side, place])] / sum(shares))
            found.append(log - float(reference[row, side]))
        expected.append(0.3 * (found[0] - found[1]))
    got = margins(model, (tokens, answered, reference), Objective(beta=0.3))
    assert got.tolist() == pytest.approx(expected, abs=1e-5)  # log-probabilities are taken in float32
    assert not margins(model, (tokens, answered), Objective()).any()


def test_dpo_starts_where_its_reference_is(answering):
    """A step of no size leaves every margin at zero: the loss is that of a coin."""
    still = train_run(recipe_on(answering, "dpo-requests", optimizer__lr=1e-12))
    assert still.summary["test_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert still.summary["test_true_reward"] == answering.summary["test_true_reward"]  # the same answers
    moved = train_run(recipe_on(answering, "dpo-requests", optimizer__lr=1e-2, steps=40))
    assert moved.summary["final_train_loss_eval"] < math.log(2) - 0.05
    with pytest.raises(UsageError, match="against where the model starts: got start=none"):
        train_run(recipe_on(answering, "dpo-requests", start=None))


def test_dpo_goes_on_after_an_interruption_with_the_same_reference(answering):
    whole = train_run(recipe_on(answering, "dpo-requests", steps=6, seed=1, checkpoint_every=3))

    def stop(progress):
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    elsewhere = whole.run_recipe().with_changes({"name": "again"})
    with pytest.raises(KeyboardInterrupt):
        train_run(elsewhere, on_step=stop)
    resumed = train_run(elsewhere)
    store = RunStore()
    for metric in ("train_loss", "validation_loss"):
        first, second = (store.metrics(run.id, metric) for run in (whole, resumed))
        assert first[1].tolist() == second[1].tolist()
    assert resumed.summary["test_loss"] == whole.summary["test_loss"]


def test_drawn_comparisons_lie_as_files_and_are_drawn_once(answering):
    record = train_run(recipe_on(answering, "reward-requests", data__error_rate=0.0))
    settings = DrawnComparisonsSettings.from_dict(record.run_recipe().data.settings)
    folder = comparisons_folder(settings, 0)
    asked = [{one.prompt for one in read_judgements(folder / f"{part}.jsonl")} for part in ("train", "test")]
    assert asked[0] <= set(requests.prompts("train"))
    assert asked[1] <= set(requests.prompts("test"))
    for part in ("train", "validation", "test"):
        for one in read_judgements(folder / f"{part}.jsonl"):
            worth = [requests.true_reward(one.prompt, answer) for answer in one.answers]
            assert all(better >= worse for better, worse in pairwise(worth))
            assert part != "test" or all(better > worse for better, worse in pairwise(worth))
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = train_run(recipe_on(answering, "reward-requests", data__error_rate=0.0, seed=3))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    assert again.provenance["sha256"] == record.provenance["sha256"]


def test_answers_are_ranked_by_a_labeller_who_errs(answering):
    model = trained_workload(answering.id)[1].model
    prompts = requests.prompts("train")[:60]
    first, second = (ranked_answers(model, prompts, answers=3, error_rate=0.3, seed=5) for _ in range(2))
    assert first == second
    assert all(len(set(one.answers)) == len(one.answers) for one in first)
    wrong = [
        requests.true_reward(one.prompt, one.answers[0]) < requests.true_reward(one.prompt, one.answers[-1])
        for one in first
    ]
    assert 0.02 < sum(wrong) / len(wrong) < 0.4


@pytest.mark.parametrize(("preset", "variance"), [("instructgpt-nano", False), ("rlhf2019-nano", True)])
def test_the_zero_of_rewards_is_set_at_the_end(answering, preset, variance):
    few = FEW | TINY | {"start": answering.id, "data.of": answering.id, "data.num_prompts": 20, "data.answers": 3}
    record = train_run(RECIPES["reward-requests"].recipe().with_changes({"model.name": preset, **few}))
    workload = trained_workload(record.id)[1]
    data = workload.dataset.validation
    texts = data.tokens[data.places >= 0] if variance else data.demonstrations
    with torch.no_grad():
        rewards = workload.model(texts)
    assert abs(float(rewards.mean())) < 1e-4
    if variance:
        assert float(rewards.var(correction=0)) == pytest.approx(1, abs=1e-3)
    assert record.summary["started_parameters"] == sum(
        weight.numel() for name, weight in workload.model.named_parameters() if not name.startswith("reward.")
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [["a", "b"], ["b", "c"], ["c", "a"]],
            "contradict each other in judged.jsonl: got 'a' > 'b' > 'c' > 'a' (line 1, line 2, line 3)",
        ),
        ([["a", "b"], None], "a comparison without a prompt in judged.jsonl, line 2"),
        ([["a", "b"]], "too few prompts to split"),
    ],
)
def test_files_that_cannot_be_learned_from_are_told_before_training(capsys, tmp_path, rows, said):
    path = tmp_path / "judged.jsonl"
    lines = [{"answers": ["x", "y"]} if row is None else {"prompt": "p", "answers": row} for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    small = ["--set", "model.name=instructgpt-nano", "--set", "precision=fp32"]
    status = run_guarded(["train", "instructgpt-reward", "--set", f"data.name=comparisons:{path}", *small])
    out, err = capsys.readouterr()
    assert status == 2
    assert said in " ".join(err.split())
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert RunStore().records() == []


def test_a_reward_model_learns_from_a_persons_file(tmp_path):
    path = tmp_path / "judged.jsonl"
    rows = [{"prompt": f"number {i}?", "answers": [f"{i}, thank you", f"{i}"]} for i in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes = {"data.name": f"comparisons:{path}", "model.name": "instructgpt-nano", "precision": "fp32"}
    few = {"steps": 30, "batch_size": 8, "accumulate": 1, "optimizer.lr": 3e-3, "threads": 1}
    record = train_run(RECIPES["instructgpt-reward"].recipe().with_changes(changes | few))
    assert record.summary["test_accuracy"] == 1.0
