"""Reconstruct, interpolate, inpaint, translate: what the pictures hold, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import sevenfold
from painter import PainterSpec, keep_classifier, painter_recipe
from sevenfold.cli._boundary import run_guarded
from sevenfold.data import load
from sevenfold.errors import InputFileError, UsageError
from sevenfold.layers import Generative
from sevenfold.models import MODELS, ModelEntry
from sevenfold.models._entry import Input, fit_generation
from sevenfold.runs.recipe import DataChoice
from sevenfold.training import train_run
from sevenfold.training.sampling.sheets import read_png, write_png


class Grey(Generative):
    """A model that can do nothing but sample grey."""

    def __init__(self, spec: PainterSpec) -> None:
        super().__init__()
        self.spec, self.level = spec, nn.Parameter(torch.tensor(0.5))

    def forward(self, *inputs):
        return (inputs[0] - self.level).square().flatten(1).mean(1)

    def sample(self, num, *, noise, condition=None, sampling=None, on_step=None):
        return self.level.expand(num, self.spec.channels, self.spec.image, self.spec.image)


_GREY = ModelEntry(
    name="test-grey", landmark=None, task="generation", size="laptop", dial=None, dial_multiple=1, preset={},
    spec_type=PainterSpec, module=Grey, fit=fit_generation,
    inputs=lambda spec: (Input((spec.channels, spec.image, spec.image)),),
)  # fmt: skip
MODELS.add_finder(lambda name: _GREY if name == "test-grey" else None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained")
    patch = pytest.MonkeyPatch()
    patch.setenv("SEVENFOLD_HOME", str(home))
    keep_classifier(home)
    train_run(painter_recipe(name="by-class", data__condition="class"))
    train_run(painter_recipe(name="grey", model__name="test-grey", steps=1))
    patch.undo()
    return home


@pytest.fixture
def runs(trained, home):
    shutil.copytree(trained, home, symlinks=True)


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits"), task="generation").test.inputs


def cells(path, rows, columns):
    """The images [rows, columns, H, W] of a picture of 8 x 8 cells, each enlarged six times."""
    picture = read_png(Path(path), 1)[0]
    assert picture.shape == (rows * 52 + 4, columns * 52 + 4)
    grid = [[picture[4 + 52 * r : 52 * r + 52 : 6, 4 + 52 * c : 52 * c + 52 : 6] for c in range(columns)]
            for r in range(rows)]  # fmt: skip
    return torch.stack([torch.stack(row) for row in grid])


def test_reconstruct(runs, digits):
    result = sevenfold.reconstruct("by-class", num=5)
    assert result.rows == ("image", "reconstruction")
    shown = cells(result.picture, 2, 5)
    assert torch.allclose(shown[0], digits[:5, 0], atol=0.5 / 255)
    assert torch.allclose(shown[1], 0.5 * digits[:5, 0] + 0.25, atol=1.01 / 255)
    expected = float((0.25 - 0.5 * digits[:5]).square().mean())
    assert result.mean_squared_error == pytest.approx(expected, rel=1e-5)


def test_interpolate_between_test_images_and_files(runs, digits, tmp_path):
    write_png(tmp_path / "own.png", digits[9])
    result = sevenfold.interpolate("by-class", first="3", second=str(tmp_path / "own.png"), num=5)
    (path,) = cells(result.picture, 1, 5)
    assert torch.allclose(path[0], digits[3, 0], atol=1 / 255)
    assert torch.allclose(path[4], digits[9, 0], atol=1 / 255)
    assert torch.allclose(path[2], (digits[3, 0] + digits[9, 0]) / 2, atol=1.5 / 255)
    assert "interpolate-3-own-num5-seed0" in result.picture


@pytest.mark.parametrize(
    ("mask", "hidden"), [("center", 16), ("left", 32), ("right", 32), ("top", 32), ("bottom", 32)]
)
def test_inpaint_keeps_what_is_kept(runs, digits, mask, hidden):
    result = sevenfold.inpaint("by-class", mask=mask, num=3, seed=4)
    images, kept, filled = cells(result.picture, 3, 3)
    assert torch.allclose(images, digits[:3, 0], atol=1 / 255)
    covered = (kept != images).any(0)
    assert covered.sum() <= hidden
    assert (filled == images)[:, ~covered].all()
    assert (filled != images)[:, covered].float().mean() > 0.5
    assert result.mean_squared_error == 0.0
    before = Path(result.picture).read_bytes()
    assert Path(sevenfold.inpaint("by-class", mask=mask, num=3, seed=4).picture).read_bytes() == before


def test_a_mask_may_be_a_picture(runs, digits, tmp_path):
    mask = torch.zeros(1, 8, 8)
    mask[:, :, 3] = 1
    write_png(tmp_path / "mask.png", mask)
    _, kept, filled = cells(sevenfold.inpaint("by-class", mask=str(tmp_path / "mask.png"), num=2).picture, 3, 2)
    assert torch.allclose(filled[:, :, 3], digits[:2, 0, :, 3], atol=1 / 255)
    assert torch.allclose(kept[:, :, :3], torch.tensor(0.5), atol=1 / 255)


def test_translate_by_strength_and_condition(runs, digits):
    images, same = cells(sevenfold.translate("by-class", strength=0.0, num=4).picture, 2, 4)
    assert torch.allclose(same, images, atol=1 / 255)
    _, own = cells(sevenfold.translate("by-class", strength=1.0, num=4).picture, 2, 4)
    _, ones = cells(sevenfold.translate("by-class", strength=1.0, num=4, condition="1").picture, 2, 4)
    assert not torch.equal(own, ones)  # without a condition each image's own class is asked for


def test_refusals(runs, tmp_path, digits, capsys):
    with pytest.raises(UsageError, match=r"model of run grey.* cannot reconstruct images: got test-grey"):
        sevenfold.reconstruct("grey")
    for wrong, told in (
        (lambda: sevenfold.translate("by-class", strength=1.5), "no such strength"),
        (lambda: sevenfold.inpaint("by-class", mask="middle"), "no such mask: got 'middle', expected center, left"),
        (lambda: sevenfold.interpolate("by-class", num=1), "a path has two ends"),
        (lambda: sevenfold.interpolate("by-class", first="5000"), "no such test image"),
        (lambda: sevenfold.reconstruct("by-class", num=65), "not a number of images"),
    ):
        with pytest.raises(UsageError, match=told):
            wrong()
    write_png(tmp_path / "wide.png", torch.zeros(1, 8, 9))
    with pytest.raises(
        UsageError, match="another size than what the model learned: got 9 x 8 pixels, expected 8 x 8"
    ):
        sevenfold.reconstruct("by-class", images=[tmp_path / "wide.png"])
    with pytest.raises(UsageError, match="the mask has another size"):
        sevenfold.inpaint("by-class", mask=str(tmp_path / "wide.png"))
    with pytest.raises(InputFileError, match="cannot read an image"):
        sevenfold.reconstruct("by-class", images=[tmp_path / "none.png"])
    assert run_guarded(["inpaint", "grey"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_commands(runs, capsys, tmp_path):
    for command in (
        ["reconstruct"],
        ["interpolate"],
        ["inpaint", "--mask", "top"],
        ["translate", "--strength", "0.3"],
    ):
        out = tmp_path / f"{command[0]}.png"
        arguments = [command[0], "by-class", *command[1:], "--num", "3", "--out", str(out)]
        assert run_guarded(arguments) == 0
        assert f"{command[0]}, 3 images" in capsys.readouterr().out
        assert out.is_file()
        assert run_guarded([*arguments, "--json"]) == 0
        shown, err = capsys.readouterr()
        assert (json.loads(shown)["picture"], err) == (str(out), "")
