"""``sevenfold sample``: deterministic, resumable, and one line for what cannot be sampled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from painter import keep_classifier, painter_recipe
from sevenfold.actions.sample import sample
from sevenfold.cli import _sampling
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import InputFileError, UnknownNameError, UsageError
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.training import train_run
from sevenfold.training.sampling.sheets import read_png


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A home with two finished runs: without and with classes."""
    home = tmp_path_factory.mktemp("trained")
    patch = pytest.MonkeyPatch()
    patch.setenv("SEVENFOLD_HOME", str(home))
    keep_classifier(home)
    ids = (train_run(painter_recipe()).id, train_run(painter_recipe(name="by-class", data__condition="class")).id)
    patch.undo()
    return home, ids


@pytest.fixture
def runs(trained, home):
    """The same runs in the home of this test."""
    shutil.copytree(trained[0], home, symlinks=True)
    return trained[1]


def bytes_of(result) -> list[bytes]:
    return [Path(path).read_bytes() for path in result.images]


def test_one_seed_one_set_of_images(runs):
    first, other = sample("painter", num=5, seed=1), sample("painter", num=5, seed=2)
    pictures = bytes_of(first)
    assert len(set(pictures)) == 5
    assert bytes_of(other) != pictures
    assert bytes_of(sample("painter", num=5, seed=1, fresh=True)) == pictures
    assert first.folder.endswith("samples/num5-seed1")
    # In another request image i is still that of (seed, i).
    assert torch.equal(*(read_png(Path(r.images[3]), 1) for r in (first, sample("painter", num=4, seed=1))))
    assert read_png(Path(first.sheet), 1).shape == (1, 2 * 52 + 4, 3 * 52 + 4)


def test_settings_reach_the_model(runs):
    cold = sample("by-class", num=20, temperature=0.0, steps=7, guidance=2.0)
    assert cold.folder.endswith("num20-steps7-guidance2-temperature0-seed0")
    assert cold.conditions == tuple(str(number % 10) for number in range(20))
    pictures = [read_png(Path(path), 1) for path in cold.images]
    assert torch.equal(pictures[3], pictures[13])  # without noise a class has one image
    assert not torch.equal(pictures[3], pictures[4])
    assert sample("by-class", num=3, condition="7").conditions == ("7", "7", "7")
    assert sample("by-class", num=3, condition="1,2").conditions == ("1", "2", "1")
    assert sample("by-class", num=3, condition="1,2").folder != sample("by-class", num=3, condition="2,1").folder


def test_interrupted_it_goes_on_and_gives_the_same_images(runs):
    def stop(done, of):
        if done > 20:
            raise KeyboardInterrupt

    whole = bytes_of(sample("painter", num=40, seed=5))
    shutil.rmtree(data_home() / "runs" / runs[0] / "samples")
    with pytest.raises(KeyboardInterrupt):
        sample("painter", num=40, seed=5, on_sample=stop)
    again = sample("painter", num=40, seed=5)
    assert again.already_there == 16
    assert bytes_of(again) == whole
    assert sample("painter", num=40, seed=5).already_there == 40


def test_images_of_other_weights_are_not_taken_for_these(runs):
    sample("painter", num=2)
    train_run(painter_recipe(), fresh=True)
    assert sample("painter", num=2).already_there == 2  # trained again to the same bits
    request = Path(sample("painter", num=2).folder) / "request.json"
    told = json.loads(request.read_text())
    request.write_text(json.dumps({**told, "weights_sha256": "0" * 64}))
    assert sample("painter", num=2).already_there == 0


def test_refusals_in_one_line(runs, capsys):
    classifier = train_run(
        Recipe(
            name="digits-net",
            task="classification",
            model=ModelChoice(name="mlp-small", settings={"width": 4}),
            data=DataChoice(name="digits"),
            steps=2,
        )
    )
    with pytest.raises(
        UsageError, match="did not learn to sample images: got task classification, expected task gen"
    ):
        sample(classifier.id)
    assert run_guarded(["sample", "digits-net"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"sevenfold: run {classifier.id} did not learn to sample images")
    with pytest.raises(UnknownNameError, match="unknown run"):
        sample("nothing")
    for wrong, told in (
        ({"num": 0}, "not a number of images"),
        ({"steps": 0}, "sampling takes steps"),
        ({"temperature": -1.0}, "a temperature is not negative"),
        ({"condition": "3"}, "samples without a condition"),
        ({"guidance": 2.0}, "nothing to be guided by"),
    ):
        with pytest.raises(UsageError, match=told):
            sample("painter", **wrong)
    for condition in ("10", "-1", "seven", ""):
        with pytest.raises(UsageError, match=r"no such class: got .*expected 0 to 9"):
            sample("by-class", condition=condition)


def test_unfinished_runs_and_runs_without_weights_are_refused(runs):
    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    recipe = painter_recipe(name="half", seed=3)
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, on_step=stop)
    with pytest.raises(UsageError, match="no final weights: got state interrupted"):
        sample("half")
    train_run(painter_recipe(name="bare", seed=4), keep_weights=False)
    with pytest.raises(InputFileError, match="were not kept"):
        sample("bare")


def test_the_command(runs, capsys, monkeypatch):
    monkeypatch.setattr(_sampling, "_LINE_S", 0.0)
    assert run_guarded(["sample", "painter", "--num", "18", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert "18 images from seed 3" in out
    assert "sheet.png" in out
    assert "sample 16/18" in err
    assert run_guarded(["sample", "painter", "--num", "18", "--seed", "3", "--json"]) == 0
    shown, err = capsys.readouterr()
    result = json.loads(shown)
    assert err == ""
    assert (result["num"], result["already_there"], len(result["images"])) == (18, 18, 18)


def test_a_run_trained_by_command_draws_a_progress_line(home, capsys, monkeypatch):
    from sevenfold.cli import train as command

    keep_classifier(home)
    progress = command._Lines()
    monkeypatch.setattr(command, "_LINE_S", 0.0)
    train_run(painter_recipe(steps=3), on_step=progress)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("step 2/3") or lines[0].startswith("step 1/3")
    assert lines[-1] == "sample 359/359"
