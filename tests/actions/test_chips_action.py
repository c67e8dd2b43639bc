"""The list of chips, and one chip with its sources, through the action and the command line."""

from __future__ import annotations

import json

import pytest

import sevenfold
from sevenfold.actions.chips import chips, show_chip
from sevenfold.cli import main
from sevenfold.hardware.stored import this_machine_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(list(arguments))
    captured = capsys.readouterr()
    return int(leave.value.code or 0), captured.out, captured.err


def test_the_action_lists_the_catalogue() -> None:
    names = [chip.name for chip in sevenfold.chips().chips]
    assert "h100" in names
    assert "this-machine" not in names  # not calibrated in this test's home


def test_show_has_every_figure_with_its_source() -> None:
    data = show_chip("h100").to_dict()
    assert data["knee_flops_per_byte"]["bfloat16"] == pytest.approx(989e12 / 3.35e12)
    for figure in data["peak_flops_per_s"].values():
        assert figure["source"]
    assert data["price_usd_per_hour"] is None


def test_a_damaged_calibration_does_not_hide_the_others() -> None:
    path = this_machine_path()
    path.parent.mkdir(parents=True)
    path.write_text("{")
    listed = chips()
    assert len(listed.chips) > 10
    assert listed.damaged is not None
    assert "damaged" in listed.damaged


def test_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "chips", "list")
    assert status == 0
    assert "h100" in out
    assert "unknown" in out  # what has no source is said to be unknown
    status, out, _ = run(capsys, "chips", "show", "tpu-v5e")
    assert status == 0
    assert "docs.cloud.google.com" in out
    assert "knee" in out
    status, out, _ = run(capsys, "chips", "show", "h100", "--json")
    assert json.loads(out)["peak_flops_per_s"]["bfloat16"]["value"] == 989e12
    status, out, _ = run(capsys, "chips", "list", "--json")
    assert {chip["name"] for chip in json.loads(out)["chips"]} >= {"h100", "mi300x"}


def test_an_unknown_chip_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "chips", "show", "mi300")
    assert status == 2
    assert "try mi300x" in err


def test_chips_known_memory_by_memory_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "chips", "list")
    assert status == 0
    assert "bf16 peak" in out
    assert "bf16 achievable" in out
    assert "794.5 TFLOP/s" in out  # beside the H100's peak of 989
    assert "nvdla" in out
    status, out, _ = run(capsys, "chips", "show", "eyeriss")  # a data sheet's, and memory by memory
    assert status == 0
    assert "278 mW" in out
    assert "55,296" in out
    status, out, _ = run(capsys, "chips", "show", "tpu-v1", "--json")
    assert json.loads(out)["spatial"]["levels"][0]["role"] == "dram"
    status, _, err = run(capsys, "chips", "show", "nvdl")
    assert status == 2
    assert "try nvdla" in err
    listed = {chip["name"]: chip for chip in chips().to_dict()["spatial_chips"]}
    assert listed["eyeriss"]["peak_macs_per_s"] == pytest.approx(33.6e9)
    assert listed["isca16-rs"]["dram_bytes_per_s"] is None
