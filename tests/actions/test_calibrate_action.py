"""What `sevenfold calibrate` refuses before it spends a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from sevenfold.actions.calibrate import calibrate
from sevenfold.errors import StorageError, UnknownNameError, UsageError


def test_more_threads_than_cores_are_refused() -> None:
    with pytest.raises(UsageError, match=r"not so many cores: got 999"):
        calibrate(threads=[999])


def test_an_unknown_recipe_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="try digits-cnn"):
        calibrate(check=["digits-cn"])


def test_a_folder_that_cannot_be_made_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("SEVENFOLD_HOME", str(tmp_path / "a-file" / "home"))
    with pytest.raises(StorageError, match="cannot make a folder"):
        calibrate(check=[])
