"""The stored calibration: written whole, read back equal, damage noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_prediction import a_machine

from sevenfold.errors import SevenfoldError, StoreError, UsageError
from sevenfold.hardware import CHIPS
from sevenfold.hardware.stored import load_this_machine, save_this_machine, this_machine_path


def test_what_is_stored_is_found_in_the_catalogue() -> None:
    machine = a_machine(1, 2)
    path = save_this_machine(machine)
    assert path == this_machine_path()
    assert CHIPS["this-machine"] == machine
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file stays behind


def test_a_machine_that_is_not_calibrated_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="not calibrated") as caught:
        CHIPS["this-machine"]
    assert caught.value.hint == "`sevenfold calibrate`"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema_version": 1, "sha256": "", "chip": {}}', '{"chip": 3}', "\x00\xff"]
)
def test_damage_is_one_line_with_the_remedy(text: str) -> None:
    path = save_this_machine(a_machine())
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match="damaged") as caught:
        load_this_machine()
    assert caught.value.hint == "`sevenfold calibrate`"


def test_another_version_is_refused() -> None:
    path = save_this_machine(a_machine())
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "schema_version": 99}))
    with pytest.raises(StoreError, match="another version"):
        load_this_machine()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_flipped_byte_or_truncation_is_loaded_in_silence(data: st.DataObject) -> None:
    path = save_this_machine(a_machine())
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        damaged = whole[:place] + bytes([whole[place] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[place + 1 :]
    path.write_bytes(damaged)
    try:
        loaded = load_this_machine()
    except SevenfoldError:
        return
    assert loaded == a_machine()  # a digit beyond what a float holds was flipped


def test_a_folder_that_cannot_be_written_is_told(home: Path) -> None:
    home.mkdir()
    (home / "chips").write_text("in the way")
    with pytest.raises(SevenfoldError, match="cannot"):
        save_this_machine(a_machine())
