"""Runs that draw augmentations, interrupted and resumed, come to the same weights; what is wrong is one line."""

from __future__ import annotations

import pytest
import torch

from sevenfold import checkpoints
from sevenfold.cli._boundary import run_guarded
from sevenfold.recipes import RECIPES
from sevenfold.runs.home import data_home
from sevenfold.training import train_run


@pytest.mark.parametrize("name", ["fixmatch-digits", "contrastive-digits"])
def test_an_interrupted_run_comes_to_the_same_weights(name, home):
    few = {"steps": 5, "batch_size": 8, "evaluate_every": 1, "evaluate_examples": 16, "checkpoint_every": 2}
    recipe = RECIPES[name].recipe().with_changes(few)
    whole = train_run(recipe)
    weights = checkpoints.load_weights(data_home() / "runs" / whole.id)

    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, on_step=stop, fresh=True)
    resumed = train_run(recipe)
    after = checkpoints.load_weights(data_home() / "runs" / resumed.id)
    assert resumed.summary["test_loss"] == whole.summary["test_loss"]
    assert all(torch.equal(weights[key], after[key]) for key in weights)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["data.labels=40", "data.unlabelled=7"], "mlp-small learns nothing from examples without labels"),
        (["data.labels=45"], "labels are as many of each class"),
        (["objective.teacher=no-such-run"], "no-such-run"),
    ],
)
def test_wrong_settings_are_one_line_before_training(changes, told, home, capsys):
    assert run_guarded(["train", "digits-mlp", *(part for one in changes for part in ("--set", one))]) != 0
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error
    assert not (data_home() / "runs").exists()
