"""A run's page: everything inside, nothing from outside, and texts that stay texts."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

import sevenfold
from painter import keep_classifier, painter_recipe
from sevenfold.actions._run_page import _plain_tick
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import UnknownNameError
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.training import train_run


def test_the_page_of_a_run_that_samples(home):
    keep_classifier(home)
    record = train_run(painter_recipe(data__condition="class"))
    sevenfold.sample(record.id, num=3)
    report = sevenfold.run_report("painter")
    assert report.path == str(data_home() / "runs" / record.id / "report.html")
    page = Path(report.path).read_text()
    pictures = [base64.b64decode(found) for found in re.findall(r"data:image/png;base64,([^\"]+)", page)]
    folder = Path(report.path).parent
    assert pictures[1:] == [
        (folder / name).read_bytes() for name in ("samples.png", "real.png", "samples/num3-seed0/sheet.png")
    ]
    assert pictures[0].startswith(b"\x89PNG")
    for figure in ("sample_frechet", "real_frechet", "pixel_frechet", "mean_frechet"):
        assert page.count(f"{record.summary[figure]:.4g}") >= 2  # in the comparison and in the summary
    assert "taken for the asked digit" in page
    assert "not the Inception FID" in page
    assert f"{100 * record.summary['classifier_accuracy']:.1f} %" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "default-src 'none'" in page


def test_the_page_of_another_run_and_of_one_that_failed(tmp_path):
    recipe = Recipe(
        name="net<script>",
        task="classification",
        model=ModelChoice(name="mlp-small", settings={"width": 4}),
        data=DataChoice(name="digits"),
        steps=3,
    )
    record = train_run(recipe)
    report = sevenfold.run_report(record.id, path=tmp_path / "deep" / "page.html")
    page = (tmp_path / "deep" / "page.html").read_text()
    assert report.sheets == ()
    assert "net&lt;script&gt;" in page
    assert "<script>" not in page
    assert "Samples beside baselines" not in page
    with pytest.raises(UnknownNameError):
        sevenfold.run_report("nothing")

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(recipe.with_changes({"name": "cut"}), on_step=stop)
    assert "interrupted" in Path(sevenfold.run_report("cut").path).read_text()


def test_the_command(capsys, tmp_path):
    train_run(painter_recipe(steps=2), keep_weights=False)
    assert run_guarded(["runs", "report", "painter", "--out", str(tmp_path / "a.html")]) == 0
    assert "a.html" in capsys.readouterr().out
    assert run_guarded(["runs", "report", "painter", "--json"]) == 0
    assert Path(json.loads(capsys.readouterr().out)["path"]).is_file()


def test_ticks_of_a_logarithmic_axis_are_plain_numbers() -> None:
    within, beyond = _plain_tick(1.2, 3.5), _plain_tick(0.01, 4.0)
    assert [within(value, 0) for value in (1.4, 3.0)] == ["1.4", "3"]
    assert [beyond(value, 0) for value in (0.03, 0.05, 2.0, 7.0)] == ["", "0.05", "2", ""]
