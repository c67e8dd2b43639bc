"""Chips and layers that cannot be: one clear error that names the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sevenfold
from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import UnknownNameError, UsageError
from sevenfold.hardware.spatial.architecture import SpatialChip
from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS

PLAIN = SPATIAL_CHIPS["eyeriss"].to_dict()


def changed(place: int, **settings: Any) -> dict[str, Any]:
    levels = [dict(level) for level in PLAIN["levels"]]
    levels[place] |= settings
    return {**PLAIN, "levels": levels}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (changed(1, capacity_words=0), "level 'GLB' holds no word: got 0"),
        (changed(1, role="cache"), "level 'GLB': role does not fit: got 'cache'"),
        (changed(2, rows="twelve"), "level 'array': rows does not fit: got 'twelve'"),
        (changed(2, rows=0), "level 'array' has no rows: got 0"),
        (changed(4, holds=["X"]), "level 'filter spad': holds"),
        (changed(1, kind="cache"), "level 'GLB' is of no kind: got 'cache'"),
        ({**PLAIN, "levels": PLAIN["levels"][1:]}, "the outermost level is a memory without limit: got GLB"),
        ({**PLAIN, "levels": [1]}, "levels.0"),
        ([1], "expected an object"),
    ],
)
def test_a_wrong_chip_is_one_line_with_the_levels_name(
    data: Any, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data))
    assert run_guarded(["cost", "lecun1989-small", "--on", str(path)]) == 2
    printed = capsys.readouterr().err.strip()
    assert expected in printed
    assert len(printed.splitlines()) == 1


def test_a_misspelt_field_of_a_level_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        SpatialChip.from_dict(changed(1, capcity_words=4))
    assert "level 'GLB'" in caught.value.message
    assert caught.value.hint == "capacity_words"
    assert SpatialChip.from_dict(PLAIN) == SPATIAL_CHIPS["eyeriss"]


def test_a_layer_with_a_zero_dimension_is_named() -> None:
    with pytest.warns(UserWarning, match="zero-element"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 0))
    with pytest.raises(UsageError, match=r"layer '2' has no N: got 0"):
        sevenfold.cost(net, (torch.rand(2, 3, 8, 8),), on=["eyeriss"])
    with pytest.raises(UsageError, match=r"the input of Conv2d is empty: got float32\[0, 3, 8, 8\]"):
        sevenfold.cost(nn.Conv2d(3, 4, 3), (torch.rand(0, 3, 8, 8),), on=["h100"])
