"""Models on spatial chips beside GPUs, through the action and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from sevenfold.actions.cost import cost
from sevenfold.actions.count import count
from sevenfold.cli import main
from sevenfold.errors import UnknownNameError
from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
from sevenfold.hardware.spatial.layer import Layer
from sevenfold.hardware.spatial.workload import gradient_of_input, gradient_of_weight, workload_of


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEVENFOLD_HOME", str(tmp_path))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 16, 5)

    def forward(self, images_bchw: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.conv(images_bchw))).flatten(1))


INPUTS = (torch.empty(2, 4, 8, 8, device="meta"),)


def test_one_table_for_eyeriss_nvdla_tpu_and_a_gpu() -> None:
    result = cost(Small(), INPUTS, on=["eyeriss", "nvdla", "tpu-v1", "h100"])
    assert [(row.chip, row.method) for row in result.rows] == [
        ("eyeriss", "mapped"), ("nvdla", "mapped"), ("tpu-v1", "mapped"), ("h100", "roofline"),
    ]  # fmt: skip
    macs = 2 * 8 * 16 * 2 * 9 + 2 * 128 * 5
    for row in result.rows[:3]:
        assert row.energy_j is not None
        assert row.j_per_mac == pytest.approx(row.energy_j / macs)
        assert 0 < row.utilization <= 1
        assert sum(group.seconds for group in row.groups) == pytest.approx(row.latency_s)
        assert sum(group.flops for group in row.groups) == pytest.approx(2 * macs)
        assert sum(group.joules or 0.0 for group in row.groups) == pytest.approx(row.energy_j)
        assert sum(row.energy_by_level.values()) == pytest.approx(row.energy_j)
        assert row.power_w == pytest.approx(row.energy_j / row.latency_s)
        busy = sum(group.utilization * group.seconds for group in row.groups)
        assert busy / row.latency_s == pytest.approx(row.utilization)
        levels = {memory.name for memory in SPATIAL_CHIPS[row.chip].memories}
        assert set(row.bytes_by_level) == levels
        assert any("does not run" in note and "normalization" in note for note in row.notes)


def test_a_training_step_maps_every_gradient() -> None:
    graph = count(Small(), INPUTS, backward=True).graph
    for phases in (("forward",), ("backward",)):
        work = workload_of(graph, phases)  # type: ignore[arg-type]
        counted = sum(op.macs * op.count for op in graph.operators if op.phase in phases)
        assert sum(part.layer.macs * part.times for part in work.works) == counted
    forward, step = (cost(Small(), INPUTS, on=["eyeriss"], train=train).rows[0] for train in (False, True))
    assert step.latency_s > 2 * forward.latency_s
    assert set(step.seconds_by_phase) == {"forward", "backward", "optimizer"}


def test_gradients_are_the_convolutions_that_they_are() -> None:
    layer = Layer("c", N=2, M=8, C=4, P=6, Q=5, R=3, S=3, stride_h=2, dilation_w=2)
    weight, inputs = gradient_of_weight(layer), gradient_of_input(layer)
    assert layer.macs == weight.macs == inputs.macs
    assert weight.words("O") == layer.words("W")
    assert weight.words("W") == layer.words("O")  # what comes back takes the place of the weights
    assert weight.words("I") == layer.words("I")
    assert inputs.words("W") == layer.words("W")


def test_the_weight_gradient_as_a_convolution_is_torchs() -> None:
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    outputs = torch.nn.functional.conv2d(images, weights, stride=2)
    back = torch.randn_like(outputs)
    outputs.backward(back)
    # Channels are the batch, the batch the channels, output positions the taps, dilated by the stride.
    same = torch.nn.functional.conv2d(images.detach().transpose(0, 1), back.transpose(0, 1), dilation=2)
    assert weights.grad is not None
    assert torch.allclose(same.transpose(0, 1)[:, :, :3, :3], weights.grad)


def test_transformers_map_their_attention() -> None:
    row = cost("gpt2-nano", on=["tpu-v1"], batch=2).rows[0]
    assert row.item == "token"
    assert any("softmax" in note or "normalization" in note for note in row.notes)


def test_energy_tables_are_switched_by_name() -> None:
    rows = cost("lecun1989", on=["eyeriss", "eyeriss@7nm", "eyeriss@isca16"]).rows
    assert [row.chip for row in rows] == ["eyeriss", "eyeriss@7nm", "eyeriss@isca16"]
    assert rows[0].energy_j is not None
    assert rows[1].energy_j is not None
    assert rows[1].energy_j < rows[0].energy_j
    assert rows[2].energy_j is None  # in energies of one multiply-accumulate
    with pytest.raises(UnknownNameError) as caught:
        cost("lecun1989", on=["eyeriss@7mn"])
    assert caught.value.hint == "7nm"


def test_own_chips_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.json"
    chip = SPATIAL_CHIPS["eyeriss"].with_level("GLB", capacity_words=20000)
    path.write_text(json.dumps(chip.to_dict() | {"name": "mine"}))
    with pytest.raises(SystemExit) as leave:
        main(["cost", "lecun1989", "--on", f"{path},eyeriss", "--json"])
    assert leave.value.code in (0, None)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["chip"] for row in rows] == ["mine", "eyeriss"]
    with pytest.raises(UnknownNameError) as caught:
        cost("lecun1989", on=["eyeris"])
    assert caught.value.hint == "eyeriss"
