"""The PNG pictures: drawn without a display, of the right size, with the numbers of the diagnosis."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import example_verdicts
import pytest

from sevenfold.diagnosis.report import write_pictures
from sevenfold.diagnosis.report.pictures import effects_picture, fits_picture


@pytest.mark.parametrize("name", ["data_binds", "troubled", "huge", "hostile"])
def test_both_pictures_are_written(name: str, tmp_path: Path) -> None:
    paths = write_pictures(example_verdicts.ALL[name](), tmp_path / "pictures")
    assert [path.name for path in paths] == ["effects.png", "fits.png"]
    for path in paths:
        raw = path.read_bytes()
        assert raw.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", raw[16:24])
        assert 1000 <= width <= 2000
        assert 500 <= height <= 2000
    assert "matplotlib.pyplot" not in sys.modules  # no display is ever asked for


def test_the_bars_are_the_effects() -> None:
    diagnosis = example_verdicts.data_binds()
    figure = effects_picture(diagnosis)
    assert figure is not None
    bars = [patch for patch in figure.axes[0].patches if patch.get_height() == 0.5]  # type: ignore[attr-defined]
    widths = [bar.get_width() for bar in bars]  # type: ignore[attr-defined]
    assert widths == sorted(widths, reverse=True)
    price = diagnosis.constraints["data"].shadow_price
    assert price is not None
    assert widths[0] == pytest.approx(price.value)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"0.023 ± 0.006", "−0.002 ± 0.005"} <= texts


def test_nothing_to_draw_is_no_picture(tmp_path: Path) -> None:
    base = example_verdicts.troubled()
    rows = {
        name: row.model_copy(
            update={"shadow_price": None, "headroom": None, "interval": None, "points": [], "fit": None}
        )
        for name, row in base.constraints.items()
    }
    empty = base.model_copy(update={"constraints": rows, "binding": [], "advice": []})
    assert effects_picture(empty) is None
    assert fits_picture(empty) is None
    assert write_pictures(empty, tmp_path) == []
