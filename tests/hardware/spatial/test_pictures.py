"""The pictures show what the mapping says: every element's ranges, every step, and files that open."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from sevenfold.actions.cost import cost
from sevenfold.errors import UsageError
from sevenfold.hardware.eyeriss.published import TABLE_III, alexnet
from sevenfold.hardware.spatial.array_pictures import cells, draw_array, frames, label_lines, num_active, steps
from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
from sevenfold.hardware.spatial.pictures import Dot, draw_roofline

CHIP = SPATIAL_CHIPS["eyeriss"]


@pytest.mark.parametrize("number", range(5))
def test_cells_are_the_active_elements_and_lie_row_stationary(number: int) -> None:
    layer = alexnet()[number]
    mapping = TABLE_III[layer.name]
    nest = mapping.mapping(layer, CHIP).on(layer, CHIP)
    found = list(cells(nest, next(iter(steps(nest)))))
    assert len(found) == mapping.active_pes(layer)
    assert len({(cell.row, cell.column) for cell in found}) == len(found)
    assert all(cell.row < 12 and cell.column < 14 for cell in found)
    by_place = {(cell.row, cell.column): cell.ranges for cell in found}
    # One step right and one up is the same input row: inputs go along diagonals.
    for (row, column), here in by_place.items():
        there = by_place.get((row - 1, column + 1))
        if there is not None and there["R"][0] == here["R"][0] - 1 and there["P"][0] == here["P"][0] + 1:
            assert there["C"] == here["C"]


def test_every_step_is_there_once() -> None:
    layer = alexnet()[3]
    nest = TABLE_III["CONV4"].mapping(layer, CHIP).on(layer, CHIP)
    first = list(islice(steps(nest), 60))
    assert len({tuple(step.items()) for step in first}) == 60


def test_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEVENFOLD_HOME", str(tmp_path / "home"))
    layer = alexnet()[3]
    nest = TABLE_III["CONV4"].mapping(layer, CHIP).on(layer, CHIP)
    with Image.open(draw_array(nest, tmp_path / "array.gif", number=3)) as picture:
        assert picture.n_frames == 3  # type: ignore[attr-defined]
    result = cost("lecun1989", on=["isca16-rs", "h100"], pictures=tmp_path / "pictures")
    names = {Path(path).name for path in result.pictures}
    assert names == {"energy-isca16-rs.png", "array-isca16-rs.gif", "roofline-h100.png"}
    for path in result.pictures:
        with Image.open(path) as picture:
            picture.verify()
    with pytest.raises(UsageError, match="no layer to draw"):
        draw_roofline([], 1.0, 1.0, "nothing", tmp_path / "none.png")


def test_active_elements_are_counted_without_listing_them() -> None:
    layer = alexnet()[3]
    nest = TABLE_III["CONV4"].mapping(layer, CHIP).on(layer, CHIP)
    for step in islice(steps(nest), 40):
        assert num_active(nest, step) == len(list(cells(nest, step)))
    first = next(iter(steps(nest)))
    corner = {(cell.row, cell.column) for cell in cells(nest, first) if cell.row < 5 and cell.column < 4}
    assert {(cell.row, cell.column) for cell in cells(nest, first, rows=5, columns=4)} == corner
    chosen = frames(nest, 8)
    assert len({frame.step for frame in chosen}) == 8
    assert label_lines(chosen[0].cells[0], nest) == ["r 0", "h 0", "p 0", "c 0-2", "m 0-15"]


def test_names_on_a_roofline_cover_neither_each_other_nor_a_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    from sevenfold.hardware.spatial import pictures

    kept = []
    monkeypatch.setattr(pictures, "save_figure", lambda figure, path: kept.append(figure) or path)
    dots = [Dot(f"layer.{n}", 1e9 * (1 + n / 20), 1e7, 0.02 + 0.001 * n) for n in range(30)]
    draw_roofline(dots, 6.72e10, 7.2e8, "many near each other", Path("none.png"))
    axes = kept[0].axes[0]
    kept[0].draw_without_rendering()
    named = [text for text in axes.texts if text.get_text().startswith("layer")]
    assert len(named) >= 3
    assert sum("layer" in part for text in named for part in text.get_text().split(",")) >= 5
    # An annotation's own extent has its arrow in it: the letters alone are compared.
    from matplotlib.text import Text

    boxes = [Text.get_window_extent(text) for text in named]
    for n, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[n + 1 :])
    (drawn,) = axes.collections
    places = axes.transData.transform(drawn.get_offsets())
    assert not any(box.contains(*place) for box in boxes for place in places)
