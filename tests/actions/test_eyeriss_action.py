"""``sevenfold eyeriss simulate``: real layers, their outputs, counts and zeros; and one line for bad input."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn

import sevenfold
from sevenfold.actions import _simulating
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import UnknownNameError, UsageError


class Mixed(nn.Module):
    """Stride, padding, dilation, groups, a linear layer; and one filter that is too high for the array."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)
        self.second = nn.Conv2d(8, 6, (2, 3), padding=(0, 2), dilation=(2, 1))
        self.high = nn.Conv2d(6, 2, (13, 1), padding=(7, 0))
        self.head = nn.Linear(2 * 7 * 9, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.second(torch.relu(self.first(images))))
        return self.head(self.high(hidden).flatten(1))


@pytest.fixture
def mixed() -> tuple[Mixed, torch.Tensor]:
    torch.manual_seed(0)
    return Mixed(), torch.randn(2, 4, 14, 14)


def test_outputs_and_counts_of_every_layer_are_equal(mixed) -> None:
    net, images = mixed
    result = sevenfold.simulate_eyeriss(net, (images,))
    assert [layer.path for layer in result.layers] == ["first", "second", "high", "head"]
    assert result.equal
    high = result.layers[2]
    assert high.refused is not None
    assert "13 rows" in high.refused
    for layer in (result.layers[0], result.layers[1], result.layers[3]):
        assert layer.outputs_equal
        assert layer.counts_equal
        assert layer.lossless
        assert layer.fixed_point_error < 5e-4
        assert {count.level for count in layer.counts} >= {"DRAM", "GLB", "array", "psum spad"}
    # What the simulator met is what the values say by themselves.
    measured = {layer.path: layer for layer in sevenfold.activation_zeros(net, (images,)).layers}
    for layer in (result.layers[0], result.layers[1], result.layers[3]):
        assert layer.gated == pytest.approx(measured[layer.path].gated, abs=1e-12)
        assert layer.zeros == measured[layer.path].zeros
        assert layer.coded == measured[layer.path].coded
    assert result.layers[1].zeros > 0.2


def test_a_difference_is_told(mixed, monkeypatch: pytest.MonkeyPatch) -> None:
    net, images = mixed
    (layer,) = sevenfold.simulate_eyeriss(net, (images,), layer="first").layers
    wrong = dataclasses.replace(layer.counts[0], simulated=layer.counts[0].simulated + 1)
    assert not dataclasses.replace(layer, counts=(wrong, *layer.counts[1:])).counts_equal
    exact = _simulating._exact
    monkeypatch.setattr(_simulating, "_exact", lambda *arguments: exact(*arguments) + 1)
    changed = sevenfold.simulate_eyeriss(net, (images,), layer="first")
    assert not changed.layers[0].outputs_equal
    assert not changed.equal


def test_a_run_is_simulated_on_its_own_data(capsys: pytest.CaptureFixture[str]) -> None:
    run = sevenfold.train("digits-cnn", {"steps": 3, "evaluate_examples": 64})
    assert run_guarded(["eyeriss", "simulate", run.id, "--batch", "2"]) == 0
    shown = capsys.readouterr()
    assert "2 examples of digits (validation split)" in shown.out
    assert "DIFFER" not in shown.out
    assert "simulating" in shown.err
    name = sevenfold.simulate_eyeriss(run.id).layers[0].path
    assert run_guarded(["eyeriss", "simulate", run.id, "--layer", name, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["equal"] is True
    assert data["layers"][0]["counts_equal"] is True
    assert data["layers"][0]["zeros"] > 0.3  # paper
    assert run_guarded(["eyeriss", "simulate", run.id, "--layer", name]) == 0
    assert "words moved" in capsys.readouterr().out


def test_bad_input_gets_one_line(mixed, capsys: pytest.CaptureFixture[str]) -> None:
    net, images = mixed
    with pytest.raises(UnknownNameError) as caught:
        sevenfold.simulate_eyeriss(net, (images,), layer="fist")
    assert caught.value.hint == "first"
    with pytest.raises(UsageError, match="cannot take layer high"):
        sevenfold.simulate_eyeriss(net, (images,), layer="high")
    with pytest.raises(UsageError, match="Mixed failed on its inputs"):
        sevenfold.simulate_eyeriss(net, (images[:, :3],))
    with pytest.raises(UsageError, match="no convolution or linear layer"):
        sevenfold.simulate_eyeriss(nn.ReLU(), (images,))
    with pytest.raises(UsageError, match="at least one example"):
        sevenfold.simulate_eyeriss("lecun1989", batch=0)
    for words in (["alexnett"], ["lecun1989", "--layer", "conv9"], ["lecun1989", "--seq", "3"]):
        assert run_guarded(["eyeriss", "simulate", *words]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
