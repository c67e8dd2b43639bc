"""``sevenfold count``: presets, a person's functions and modules, JSON, the table, and what bad input gets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sevenfold.actions.count import count, read_settings
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import InputFileError, SevenfoldError, UnknownNameError, UsageError
from sevenfold.recipes.references import is_reference, load_function

TOP_LEVEL = {
    "schema_version", "model", "inputs", "params", "param_bytes", "macs", "flops", "flops_backward", "vector_ops",
    "bytes_read", "bytes_written", "activation_bytes", "notes", "unknown", "operators",
}  # fmt: skip
OPERATOR = {
    "kind", "name", "path", "phase", "dtype", "bounds", "macs", "flops", "bytes_read", "bytes_written",
    "vector_ops", "params", "count",
}  # fmt: skip

MINE = """
import torch
from torch import nn

def net(width=8, *, bias=True):
    return nn.Linear(4, width, bias=bias), (torch.randn(2, 4),)

def keywords():
    class Net(nn.Module):
        def forward(self, *, x): return x * 2
    return Net(), {"x": torch.ones(3, requires_grad=True)}

def image_net():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))

def text_net():
    return nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 8))

def looks_at_values():
    rates = torch.linspace(0, 1, 3).tolist()  # impossible on the meta device
    return nn.Sequential(nn.Linear(4, 4), nn.Dropout(rates[1])), torch.ones(2, 4)

def picks():
    class Net(nn.Module):
        def forward(self, x): return x[x > 0] * 2
    return Net(), torch.tensor([1.0, -1.0, 2.0])

def fails():
    raise RuntimeError("no weights here")

def returns_text():
    return "a module"

huge = lambda: (nn.Linear(300_000, 300_000), torch.empty(1, 300_000))
constant = 3
"""


@pytest.fixture(autouse=True)
def _own_module_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = run_guarded(["count", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_json_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "gpt2-nano", "--batch", "2", "--seq", "16", "--json")
    assert (status, err) == (0, "")
    data = json.loads(out)
    assert set(data) == TOP_LEVEL
    assert data["schema_version"] == "1.0"
    assert data["model"] == "gpt2-nano"
    assert data["inputs"] == ["int64[2, 16]"]
    forward = [op for op in data["operators"] if op["phase"] == "forward"]
    assert data["flops"] == 2 * data["macs"] == 2 * sum(op["macs"] * op["count"] for op in forward)
    assert data["bytes_read"] == sum(op["bytes_read"] * op["count"] for op in forward)
    assert data["flops_backward"] == 2 * data["flops"]
    assert data["unknown"] == []
    assert all(set(op) == OPERATOR for op in data["operators"])
    assert data == count("gpt2-nano", batch=2, seq=16).to_dict()


def test_causal_halves_attention() -> None:
    full, causal = count("gpt2-nano", seq=16).graph, count("gpt2-nano", seq=16, causal=True).graph
    attention = sum(op.macs * op.count for op in full.select("forward", "attention"))
    assert attention > 0
    assert full.macs - causal.macs == attention * (16 * 16 - 16 * 17 // 2) // (16 * 16)


def test_image_and_settings() -> None:
    small, large = count("lecun1989-small", image=8).graph, count("lecun1989-small", image=16, batch=3).graph
    assert large.inputs == ("float32[3, 1, 16, 16]",)
    assert large.macs > 3 * small.macs
    deep = count("gpt2-nano", seq=8, settings=read_settings(["layers=3", "dropout=0.5"])).graph
    assert any(op.path.startswith("blocks.2.") for op in deep.operators)
    assert deep.select("forward", "random")


def test_forward_only_is_inference() -> None:
    graph = count("gpt2-nano", seq=8, settings={"dropout": 0.5}, backward=False).graph
    assert graph.select("backward") == ()
    assert graph.select(None, "random") == ()
    assert graph.activation_bytes == 0


def test_a_persons_functions(mine: str) -> None:
    graph = count(f"{mine}:net", settings=read_settings(["width=5", "bias=False"])).graph
    assert (graph.params, graph.macs) == (20, 40)
    assert count(f"{mine}:keywords").graph.vector_ops == 3
    assert count(f"{mine}:image_net", image=10, batch=2).graph.inputs == ("float32[2, 3, 10, 10]",)
    assert count(f"{mine}:text_net", seq=6).graph.macs == 6 * 64
    assert count(f"{mine}:looks_at_values").graph.macs == 2 * 16
    assert count(f"{mine}:huge").graph.params == 300_000 * 300_001  # 360 GB, never made
    assert count(f"{mine}:picks", device="cpu").graph.vector_ops > 0


def test_a_module_and_inputs() -> None:
    result = count(nn.Linear(4, 3), (torch.ones(2, 4),), dtype="bfloat16")
    assert result.graph.param_bytes == 2 * 15
    assert result.graph.name == "Linear"
    assert [row.name for row in result.kinds()] == ["matmul", "reduction"]
    assert [row.macs for row in result.modules(1)] == [24]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["gpt3-175"], ["unknown model", "try gpt3-175b"]),
        (["gpt2-nano", "--seq", "4096"], ["seq 4096", "1 to 64"]),
        (["gpt2-nano", "--image", "8"], ["tokens"]),
        (["gpt2-nano", "--set", "layer=2"], ["unknown setting", "try layers"]),
        (["gpt2-nano", "--set", "layers"], ["KEY=VALUE"]),
        (["gpt2-nano", "--dtype", "bf16"], ["unknown dtype", "try bfloat16"]),
        (["gpt2-nano", "--autocast", "fp16"], ["unknown autocast", "bfloat16, float16"]),
        (["gpt2-nano", "--batch", "0"], ["at least one example"]),
        (["nowhere.py:net"], ["no such file", "nowhere.py"]),
        (["nowhere.models:net"], ["no such module", "nowhere.models"]),
        (["math:sqrrt"], ["unknown function in math", "try sqrt"]),
        (["MINE:nets"], ["unknown function", "try net"]),
        (["MINE:constant"], ["cannot be called", "int"]),
        (["MINE:fails"], ["failed", "RuntimeError: no weights here"]),
        (["MINE:returns_text"], ["returned something else", "a str", "(module, example inputs)"]),
        (["MINE:net", "--set", "depth=2"], ["does not take these settings", "depth", "width=8"]),
        (["MINE:net", "--seq", "3"], ["brings its own inputs", "--seq"]),
        (["MINE:image_net"], ["needs the shape of one", "--image SIZE and --seq LENGTH"]),
        (["MINE:text_net", "--image", "8"], ["without a Conv2d"]),
        (["MINE:picks"], ["needs the values of its tensors", "--real"]),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], parts: list[str], mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument.replace("MINE", mine) for argument in arguments]
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("sevenfold: ")
    for part in parts:
        assert part in err
    status, out, err = run(capsys, *arguments, "--json")
    assert (status, out) == (2, "")
    assert set(json.loads(err)) == {"error", "got", "expected", "hint"}


@pytest.mark.parametrize(
    ("text", "part"), [("def net(:\n", "SyntaxError"), ("import nothing_here\n", "nothing_here"), ("1/0\n", "Zero")]
)
def test_a_file_that_does_not_import(text: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UsageError, match="failed") as caught:
        load_function(f"{path}:net")
    assert part in str(caught.value)


def test_references() -> None:
    assert is_reference("my_file.py:net")
    assert is_reference("package.module:net")
    assert not is_reference("gpt2")
    assert not is_reference("folder:/a/path")
    with pytest.raises(InputFileError):
        load_function("no_such_module_at_all:net")


def test_files_see_their_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_model.py").write_text("WIDTH = 3\n")
    text = "from neighbour_of_model import WIDTH\n\ndef net():\n    return WIDTH\n"
    (tmp_path / "main_of_mine.py").write_text(text)
    assert load_function(f"{tmp_path / 'main_of_mine.py'}:net")() == 3


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: count(nn.Linear(2, 2)), UsageError),
        (lambda: count("gpt2-nano", (torch.ones(2),)), UsageError),
        (lambda: count(nn.Linear(2, 2), 3), UsageError),  # type: ignore[arg-type]
        (lambda: count(nn.Linear(2, 2), (torch.ones(2),), settings={"a": 1}), UsageError),
        (lambda: count("no-such-model"), UnknownNameError),
    ],
)
def test_bad_calls(call: Any, error: type[SevenfoldError]) -> None:
    with pytest.raises(error):
        call()


def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    status, out, _ = run(capsys, "gpt2-nano", "--seq", "16", "--depth", "1")
    assert status == 0
    graph = count("gpt2-nano", seq=16).graph
    for text in ("gpt2-nano on int64[1, 16]", "blocks", "attention", "total", "share", f"{graph.flops:,}"):
        assert text in out
    assert f"{graph.activation_bytes:,}" in out
    assert "note: attention is counted as a fused kernel" in out
    names = ("(root)", "blocks", "token_", "position_", "final")
    rows = [line for line in out.splitlines() if line.startswith(names)]
    shares = [float(line.split("%")[0].split()[-1]) for line in rows]
    assert sum(shares) == pytest.approx(100, abs=0.3)


def test_every_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The surface grows on purpose: a new flag is a change here."""
    _, out, _ = run(capsys, "--help")
    flags = {word.strip(",") for word in out.split() if word.startswith("--")}
    assert flags == {
        "--batch", "--seq", "--image", "--causal", "--dtype", "--autocast", "--forward-only", "--real", "--depth",
        "--set", "--json", "--help",
    }  # fmt: skip
