"""A run that makes images of images: its figures, its samples, and what is made of a given image."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sevenfold.actions.image_edits import reconstruct, translate
from sevenfold.actions.sample import sample
from sevenfold.data import load, parts_of
from sevenfold.data.striped_digits import plain
from sevenfold.errors import UsageError
from sevenfold.recipes import RECIPES
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run
from sevenfold.training.sampling.sheets import read_png


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A home with a run of three steps."""
    home = tmp_path_factory.mktemp("translated")
    patch = pytest.MonkeyPatch()
    patch.setenv("SEVENFOLD_HOME", str(home))
    run = train_run(RECIPES["cyclegan-digits"].recipe().with_changes({"steps": 3, "evaluate_examples": 8})).id
    patch.undo()
    return home, run


@pytest.fixture
def run(trained, home):
    shutil.copytree(trained[0], home)
    return trained[1]


def test_the_figures_hold_translations_to_the_true_ones(run):
    summary = RunStore().require(run).summary
    data = load(RECIPES["cyclegan-digits"].recipe().data, task="generation")
    (_, sources), _ = data.test.batch(np.arange(len(data.test)))
    true = plain(sources)
    assert summary["untranslated_error"] == pytest.approx(float((sources - true).abs().mean()), rel=1e-4)
    mean = data.train.inputs[0].mean(0)
    assert summary["mean_translation_error"] == pytest.approx(float((mean - true).abs().mean()), rel=1e-4)
    # Three steps teach nothing: worse than the mean image, and far from the real ones.
    assert summary["translation_error"] > summary["mean_translation_error"]
    assert summary["sample_frechet"] > 3 * summary["real_frechet"]


def test_samples_are_made_of_test_sources(run):
    made = sample(run, num=4)
    assert made.conditions == ()
    again = sample(run, num=4, seed=1)  # no random number is drawn
    for one, other in zip(made.images, again.images, strict=True):
        assert torch.equal(*(read_png(Path(path), 1) for path in (one, other)))
    with pytest.raises(UsageError, match="makes images of images: got '7'"):
        sample(run, num=4, condition="7")


def test_a_translation_begins_with_sources(run):
    edit = translate(run, num=3)
    assert edit.rows == ("image", "made of it")
    data = load(RECIPES["cyclegan-digits"].recipe().data, task="generation")
    _, sources = parts_of(data.test.batch(np.arange(3))[0])
    shown = read_png(Path(edit.picture), 1)[:, 4:52:6, 4:52:6]  # the first cell, each pixel 6 x 6
    torch.testing.assert_close(shown, (sources[0] * 255).round() / 255, rtol=0, atol=1 / 255)
    assert reconstruct(run, num=3).mean_squared_error > 0
