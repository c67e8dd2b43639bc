"""``sevenfold sweep``: variants of a chip within an area, processes or Ray, a picture, one line for bad input."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import sevenfold
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import UsageError

SMALL: dict[str, Any] = {"shapes": [(6, 7), (12, 14)], "buffers": [8000.0, 110592.0]}


def test_designs_come_in_order_with_what_the_model_costs_on_them(tmp_path: Path) -> None:
    found = sevenfold.sweep("lecun1989", **SMALL, picture=tmp_path / "pareto.png")
    assert [(d.rows, d.columns, d.buffer_bytes) for d in found.designs] == [
        (6, 7, 8000), (6, 7, 110592), (12, 14, 8000), (12, 14, 110592),
    ]  # fmt: skip
    same = sevenfold.cost("lecun1989", on=["eyeriss"])
    own = found.designs[3]  # Eyeriss itself: the layers' part of its cost
    layers = sum(group.joules or 0.0 for group in same.rows[0].groups if group.flops)
    host = same.rows[0].energy_by_level["host"]
    assert own.energy is not None
    assert own.energy == pytest.approx(same.rows[0].energy_j - host - 0.03 * (same.rows[0].latency_s - own.seconds))
    assert own.energy <= layers
    front = [design for design in found.designs if design.pareto]
    assert front
    for design in front:
        for other in found.designs:
            assert not (other.energy < design.energy and other.seconds < design.seconds)
            equal = (other.energy, other.seconds) == (design.energy, design.seconds)
            assert not (equal and other.area_bytes < design.area_bytes)
    with Image.open(tmp_path / "pareto.png") as picture:
        picture.verify()


def test_an_area_leaves_the_large_ones_out_and_the_table_says_which_win(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "lecun1989", "--shapes", "6x7,12x14", "--buffers", "8KB", "--area", "60KB"]
    assert run_guarded([*words, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [design["rows"] for design in data["designs"]] == [6]
    assert run_guarded(words) == 0
    assert "no other beats it" in capsys.readouterr().out


def test_ray_gives_the_same_designs() -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install 'sevenfold[ray]'")
    one = {"shapes": [(6, 7)], "buffers": [8000.0, 110592.0]}
    assert sevenfold.sweep("lecun1989", **one, backend="ray") == sevenfold.sweep("lecun1989", **one)


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "ray":
            raise ImportError("no module named ray")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"ray is not installed.*sevenfold\[ray\].*try processes"):
        sevenfold.sweep("lecun1989", shapes=[(6, 7)], buffers=[8000.0], backend="ray")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--shapes", "12by14"], "cannot read an array's shape: got '12by14'"),
        (["--shapes", "0x14"], "level 'array' has no rows: got 0"),
        (["--buffers", "0KB"], "level 'GLB' holds no word"),
        (["--area", "1KB"], "no design fits the area"),
        (["--goal", "speed"], "unknown goal"),
        (["--backend", "dask"], "unknown backend"),
        (["--chip", "h100"], "unknown spatial chip"),
        (["--chip", "isca16-nl"], "try isca16-nlr"),
        (["--buffers", "lots"], "lots"),
    ],
)
def test_bad_input_gets_one_line(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(["sweep", "lecun1989", *words]) == 2
    printed = capsys.readouterr().err.strip()
    assert expected in printed
    assert len(printed.splitlines()) == 1
