"""Runs of the task rlhf: what they log and sum up, that an interrupted one is the same run, and what is refused."""

from __future__ import annotations

import pytest

from sevenfold.checkpoints import load_weights
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import SevenfoldError
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import DataChoice, Feedback, ModelChoice, Optimizer, Recipe
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run
from sevenfold.training.trained import trained_workload

TINY = {"width": 16, "layers": 1, "heads": 2}


def taught(home, **changes):
    """A language model that has seen some answers."""
    recipe = Recipe(
        name="taught",
        task="causal-lm",
        model=ModelChoice(name="gpt2-nano", settings=TINY),
        data=DataChoice(name="requests"),
        optimizer=Optimizer(lr=0.01),
        batch_size=32,
        steps=40,
        evaluate_examples=32,
    )
    return train_run(recipe.with_changes(changes), home=home)


def asked(start, **changes):
    return Recipe(
        name="asked",
        task="rlhf",
        model=ModelChoice(name="gpt2-nano", settings=TINY),
        data=DataChoice(name="requests"),
        start=start,
        feedback=Feedback(answer_tokens=12, minibatches=2, pretraining=1.0),
        optimizer=Optimizer(name="adam", lr=0.003, weight_decay=0.0),
        batch_size=16,
        steps=6,
        evaluate_every=3,
        evaluate_examples=24,
        checkpoint_every=2,
    ).with_changes(changes)


def test_a_run_says_how_it_answered_before_and_after(tmp_path):
    start = taught(tmp_path)
    record = train_run(asked(start.id), home=tmp_path)
    summary = record.summary
    assert record.state == "finished"
    assert summary["start_divergence"] == pytest.approx(0, abs=1e-7)
    assert summary["test_divergence"] > 1e-4
    assert summary["start_reward"] == pytest.approx(summary["start_true_reward"])
    assert summary["test_true_reward"] != summary["start_true_reward"]
    assert summary["start_plain_loss"] > summary["test_plain_loss"]  # its loss was trained on
    assert 1 <= summary["test_answer_tokens"] <= 12
    assert 0 <= summary["test_ended"] <= 1
    store = RunStore(tmp_path / "runs.sqlite")
    steps, ratio = store.metrics(record.id, "first_ratio")
    assert steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert ratio == pytest.approx([1.0] * 6, abs=1e-5)
    assert store.metrics(record.id, "validation_true_reward")[0].tolist() == [3, 6]
    assert train_run(asked(start.id), home=tmp_path).summary == summary  # not trained again
    model = trained_workload(record.id, home=tmp_path)[1].model
    kept = load_weights(tmp_path / "runs" / record.id)
    assert all(tensor.equal(kept[name]) for name, tensor in model.state_dict().items())


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    start = taught(whole).id
    assert taught(cut).id == start
    recipe = asked(start)
    first = train_run(recipe, home=whole)
    seen = []

    def stop(progress):
        seen.append(progress.step)
        if progress.step == 5:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        train_run(recipe, home=cut, on_step=stop)
    again = train_run(recipe, home=cut, on_step=lambda progress: seen.append(progress.step))
    assert seen == [1, 2, 3, 4, 5, 5, 6]
    kept = [load_weights(home / "runs" / first.id) for home in (whole, cut)]
    assert all(tensor.equal(kept[1][name]) for name, tensor in kept[0].items())
    clocks = {"train_seconds", "wall_seconds"}
    assert {k: v for k, v in first.summary.items() if k not in clocks} == {
        k: v for k, v in again.summary.items() if k not in clocks
    }
    for metric in ("train_loss", "reward", "divergence", "validation_reward"):
        one, other = (RunStore(home / "runs.sqlite").metrics(first.id, metric) for home in (whole, cut))
        assert one[0].tolist() == other[0].tolist()
        assert one[1].tolist() == other[1].tolist()


def test_settings_of_feedback_change_no_run_of_another_task():
    recipe = Recipe(name="r", task="causal-lm", model=ModelChoice(name="gpt2-nano"), data=DataChoice(name="digits"))
    assert "feedback" in recipe.to_dict()
    assert recipe.with_changes({"feedback.penalty": 0.05}).run_id() == recipe.run_id()
    assert recipe.with_changes({"feedback.penalty": 0.2}).run_id() != recipe.run_id()


def test_wrong_recipes_are_told_before_anything_is_answered(home):
    start = taught(data_home()).id
    for change, said in (
        ({"start": None}, "start"),
        ({"start": "nobody"}, "nobody"),
        ({"data.name": "request"}, "requests"),
        ({"data.part": "answers"}, "part"),
        ({"model.name": "mlp-small", "model.settings": {}}, "causal-lm"),
        ({"feedback.minibatches": 3}, "divisor"),
        ({"accumulate": 2}, "accumulate"),
        ({"feedback.reward": "nobody"}, "nobody"),
        ({"feedback.reward": start}, "no reward model"),
        ({"feedback.answer_tokens": 60}, "context"),
    ):
        with pytest.raises(SevenfoldError, match=said) as told:
            train_run(asked(start).with_changes(change))
        assert "\n" not in str(told.value)


def test_train_shows_the_answers_before_and_after(home, capsys):
    start = taught(data_home()).id
    path = home / "mine.py"
    told = asked(start, steps=2).to_dict()
    path.write_text(
        f"from sevenfold.runs.recipe import Recipe\ndef mine():\n    return Recipe.from_dict({told!r})\n"
    )
    assert run_guarded(["train", f"{path}:mine"]) == 0
    out, _ = capsys.readouterr()
    summary = next(one for one in RunStore().records() if one.id.startswith("asked")).summary
    for key in ("start_true_reward", "test_true_reward", "test_divergence", "test_plain_loss"):
        assert f"{summary[key]:.3f}" in out
    assert "32 answers" in out
    run = next(one.id for one in RunStore().records() if one.id.startswith("asked"))
    assert run_guarded(["generate", run, "--prompt", "i need two red cups <answer>", "--max-new-tokens", "5"]) == 0
    assert len(capsys.readouterr().out.split()) >= 5
