"""``sevenfold cost RUN``: trained weights, its own data, its accuracy, and zeros that were measured."""

from __future__ import annotations

import json

import pytest
import torch

import sevenfold
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import UnknownNameError, UsageError


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEVENFOLD_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def run(home):
    return sevenfold.train("alexnet-digits", {"steps": 3, "evaluate_examples": 64})


def test_a_run_is_costed_with_its_own_values_and_accuracy(run):
    result = sevenfold.cost(run.id, on=["eyeriss", "nvdla"], batch=4)
    assert result.model == run.id
    assert result.inputs == ("float32[4, 1, 8, 8]",)
    assert result.metrics.accuracy == run.summary["test_accuracy"]
    assert result.metrics.layers == 8
    assert result.metrics.weights == run.summary["parameters"]
    eyeriss, nvdla = result.rows
    assert (eyeriss.values, nvdla.values) == ("measured", "no part")
    assert any("16 examples of digits" in note for note in eyeriss.notes)
    plain = sevenfold.cost(run.id, on=["eyeriss"], batch=4, measure_zeros=False)
    assert plain.rows[0].values == "no zeros assumed"
    assert plain.layer_values is None
    assert eyeriss.energy_j < plain.rows[0].energy_j
    saved = plain.rows[0].bytes_by_level["DRAM"] - eyeriss.bytes_by_level["DRAM"]
    # Inputs and outputs as coded, each layer's as often as its mapping moves them: at least once.
    least = 0.0
    for layer in result.layer_values.layers:
        least += 2 * 4 / 16 * layer.values * max(0.0, 1 - layer.coded)
    assert saved >= least > 0
    for level in ("GLB", "filter spad"):
        assert eyeriss.bytes_by_level[level] == plain.rows[0].bytes_by_level[level]


def test_a_models_own_layers_are_looked_at_with_real_inputs():
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3))
    images = torch.rand(2, 1, 8, 8)
    measured = sevenfold.cost(net, (images,), on=["eyeriss"], measure_zeros=True)
    assumed = sevenfold.cost(net, (images,), on=["eyeriss"])
    assert (measured.rows[0].values, assumed.rows[0].values) == ("measured", "no zeros assumed")
    assert measured.rows[0].energy_j < assumed.rows[0].energy_j
    assert measured.metrics.accuracy is None
    with pytest.raises(UsageError, match="values that do not exist"):
        sevenfold.cost(net, (images.to("meta"),), on=["eyeriss"], measure_zeros=True)


def test_a_rectifier_belongs_to_the_layer_that_it_follows():
    torch.manual_seed(2)

    class Functional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(4, 1, 3, 3))

        def forward(self, images):
            return torch.nn.functional.conv2d(images, self.weight, padding=1).relu_() + 1.0

    images = torch.randn(2, 1, 8, 8)
    net = Functional()
    (layer,) = sevenfold.activation_zeros(net, (images,)).layers
    wanted = torch.nn.functional.conv2d(images, net.weight, padding=1).relu()
    assert (layer.path, layer.kind) == ("", "conv")
    assert layer.zeros_out == pytest.approx(float((wanted == 0).float().mean()), abs=0.01)
    assert 0.3 < layer.zeros_out < 0.7


def test_one_clear_line_for_what_cannot_be_costed(run, capsys):
    for words, expected in (
        (["cost", "alexnet-digitz", "--on", "eyeriss"], "unknown model or run: got 'alexnet-digitz'"),
        (["cost", run.id, "--on", "eyeriss", "--seq", "4"], "brings its own data and settings: got --seq"),
        (["cost", "lecun1989", "--on", "eyeriss", "--measure-zeros"], "a preset has no trained weights"),
    ):
        assert run_guarded(words) == 2
        printed = capsys.readouterr().err
        assert expected in printed
        assert len(printed.strip().splitlines()) == 1
    with pytest.raises(UnknownNameError):
        sevenfold.cost("", on=["eyeriss"])


def test_the_table_and_its_json_say_what_was_measured(run, capsys):
    assert run_guarded(["cost", run.id[:-4], "--on", "eyeriss,h100"]) == 0
    shown = capsys.readouterr().out
    assert "accuracy" in shown
    assert "measured" in shown
    assert "of the multiply-accumulates of 8 layers read a zero" in " ".join(shown.split())
    assert run_guarded(["cost", run.id, "--on", "h100", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["metrics"]["accuracy_of"] == f"test split, run {run.id}"
    assert data["rows"][0]["price_usd_per_hour"] == 3.0
    assert data["rows"][0]["usd_per_million_items"] == pytest.approx(3 / 3600 * data["rows"][0]["latency_s"] * 1e6)
