"""The page of a cost: one file that asks nothing of a network, with every layer, level and element in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

import sevenfold
from sevenfold.cli._boundary import run_guarded
from sevenfold.diagnosis.cost_report import ChipPage, CostPage, LayerLine, write_cost_report
from sevenfold.diagnosis.cost_report.figures import energy_figure, roofline_figure
from sevenfold.errors import StorageError


def embedded(html: str, name: str) -> dict:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_holds_the_result_its_figures_and_the_array(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cost.html"
    result = sevenfold.cost("lecun1989", on=["eyeriss", "isca16-rs", "h100"], html=path)
    assert str(path) in result.pictures
    html = path.read_text("utf-8")
    own = html.replace(get_plotlyjs().replace("</script", "<\\/script"), "")
    assert "default-src 'none'" in own
    assert not re.search(r'(src|href)="https?:', own)
    data = embedded(html, "diagnosis")
    assert data["rows"][0]["latency_s"] == result.rows[0].latency_s
    figures = embedded(html, "figures")
    # Rooflines of the chips whose DRAM has a rate; energies of those that are known memory by memory.
    assert [name.partition("-")[0] for name in figures] == ["roofline", "energy", "energy", "roofline"]
    energy = figures["energy-chip0-eyeriss"]["data"]
    assert {trace["name"] for trace in energy} >= {"DRAM", "GLB", "MAC", "static"}
    unit = {"nJ": 1e-9, "µJ": 1e-6, "pJ": 1e-12}[
        figures["energy-chip0-eyeriss"]["layout"]["xaxis"]["title"]["text"][-2:]
    ]
    drawn = sum(sum(trace["x"]) for trace in energy) * unit
    # What is drawn is all but the host's traffic and the static power while it lasts.
    by_level = result.rows[0].energy_by_level
    assert by_level["DRAM"] < drawn <= result.rows[0].energy_j
    films = embedded(html, "films")
    assert set(films) == {"chip0-eyeriss", "chip1-isca16rs"}
    for film in films["chip0-eyeriss"]:
        assert (film["rows"], film["columns"]) == (12, 14)
        assert 1 <= len(film["frames"]) <= 16
        for caption, cells in film["frames"]:
            places = [(row, column) for row, column, _, _ in cells]
            assert len(set(places)) == len(places)
            assert f"{len(cells)} of 168 elements work" in caption
    paths = {op.path for op in sevenfold.count("lecun1989", backward=False).graph.operators if op.macs}
    assert len(paths) >= 3
    for layer in paths:  # in every chip's table
        assert own.count(f"<td>{layer}</td>") >= 3


def test_charts_place_layers_where_they_are() -> None:
    line = LayerLine("fc", "M 4", 2e9, 1e7, 0.1, 0.5, 0.3, "array", {"DRAM": 0.3, "MAC": 0.2}, {"DRAM": 5e6}, 0.25)
    chip = ChipPage("a", "A", (), 6e10, 1e9, "J", (line,), (), ())
    roof = roofline_figure(chip)
    assert roof is not None
    dot = roof.data[1]
    assert (dot["x"], dot["y"]) == ([200.0], [2e10])
    bars = energy_figure(chip)
    assert bars is not None
    assert [trace["x"] for trace in bars.data] == [[pytest.approx(300)], [pytest.approx(200)]]  # mJ
    assert roofline_figure(ChipPage("a", "A", (), 6e10, None, "J", (line,), (), ())) is None


def test_markup_in_a_name_is_shown_and_a_folder_is_refused(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script>"
    line = LayerLine(nasty, "", 1.0, 1.0, 1.0, None, 0.0, nasty, {}, {}, None)
    chip = ChipPage("a", nasty, (), 1.0, 1.0, "J", (line,), (), (nasty,))
    report = CostPage(nasty, nasty, (), (), (), (chip,), (), {"model": nasty})
    html = write_cost_report(report, tmp_path / "x.html").read_text("utf-8")
    assert "<script>alert" not in html
    with pytest.raises(StorageError, match="name of a file"):
        write_cost_report(report, tmp_path)


def test_the_flag_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(["cost", "lecun1989-small", "--on", "h100", "--html", str(tmp_path / "c.html")]) == 0
    assert f"wrote {tmp_path / 'c.html'}" in capsys.readouterr().out
    assert run_guarded(["cost", "lecun1989-small", "--on", "h100", "--html", str(tmp_path)]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_gradients_are_told_from_the_layers_that_they_are_of(tmp_path: Path) -> None:
    path = tmp_path / "step.html"
    sevenfold.cost("lecun1989-small", on=["eyeriss"], train=True, html=path)
    own = path.read_text("utf-8")
    assert "<td>output</td>" in own
    assert "<td>output, backward</td>" in own
