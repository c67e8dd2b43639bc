"""The cost of models on chips, through the action and the command line."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from sevenfold.actions.cost import cost
from sevenfold.cli import main
from sevenfold.errors import UsageError


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(list(arguments))
    captured = capsys.readouterr()
    return int(leave.value.code or 0), captured.out, captured.err


def test_one_row_a_chip_with_the_exact_time_of_a_large_layer() -> None:
    layer = nn.Linear(4096, 4096, bias=False)
    result = cost(layer, (torch.empty(8192, 4096, device="meta"),), on=["h100", "tpu-v5p"], dtype="bf16")
    flops = 2 * 8192 * 4096 * 4096
    assert [row.latency_s for row in result.rows] == pytest.approx([flops / 989e12, flops / 459e12])
    assert [row.bound_by for row in result.rows] == ["compute", "compute"]
    assert result.rows[0].items_per_s == pytest.approx(8192 / result.rows[0].latency_s)
    assert result.rows[0].energy_j is not None
    assert result.rows[1].energy_j is None
    assert result.rows[1].energy_method.startswith("unknown")


def test_the_default_dtype_is_one_that_the_chip_has() -> None:
    rows = cost("mlp-small", on=["a100", "tpu-v4", "jetson-agx-orin"]).rows
    assert [row.dtype for row in rows] == ["float32", "bfloat16", "int8"]


def test_low_precisions_scale_peak_and_traffic() -> None:
    bf16, fp8 = (cost("gpt2-nano", on=["h100"], dtype=dtype, batch=64).rows[0] for dtype in ("bf16", "fp8"))
    assert fp8.latency_s == pytest.approx(bf16.latency_s / 2, rel=0.05)
    tf32, fp32 = (cost("gpt2", on=["a100"], seq=512, dtype=dtype).rows[0] for dtype in ("tf32", "fp32"))
    assert tf32.latency_s < fp32.latency_s


def test_a_training_step_is_forward_backward_and_optimizer() -> None:
    forward = cost("gpt2-nano", on=["h100"], batch=8).rows[0]
    step = cost("gpt2-nano", on=["h100"], batch=8, train=True).rows[0]
    assert set(step.seconds_by_phase) == {"forward", "backward", "optimizer"}
    assert 2.5 < step.latency_s / forward.latency_s < 6
    assert step.item == "token"


def test_groups_add_up_at_every_depth() -> None:
    for depth in (1, 2, 3):
        row = cost("gpt2-nano", on=["h100"], depth=depth).rows[0]
        assert sum(group.seconds for group in row.groups) == pytest.approx(row.latency_s)
        assert sum(group.share for group in row.groups) == pytest.approx(1.0)


def test_the_command_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "cost", "gpt2-nano", "--on", "h100,a100", "--depth", "1")
    assert status == 0
    assert "bound by" in out
    assert "blocks" in out
    status, out, _ = run(capsys, "cost", "gpt2-nano", "--on", "h100,a100", "--json")
    data = json.loads(out)
    assert status == 0
    assert data["schema_version"] == "1.1"
    assert [row["chip"] for row in data["rows"]] == ["h100", "a100"]
    assert {"latency_s", "items_per_s", "energy_j", "energy_method", "utilization", "bound_by"} <= set(
        data["rows"][0]
    )


def test_bad_requests_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "cost", "gpt2-nano", "--on", "h10", "--json")
    assert (status, out) == (2, "")
    assert json.loads(err)["hint"] == "h100"
    assert run(capsys, "cost", "gpt2-nano", "--on", "this-machine")[0] == 2
    assert run(capsys, "cost", "gpt2-nano", "--on", "tpu-v4", "--dtype", "float32")[0] == 2
    with pytest.raises(UsageError, match="no chip"):
        cost("gpt2-nano", on=[])
