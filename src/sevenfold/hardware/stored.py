"""The calibrated chip ``this-machine`` on disk: written whole or not at all, checked when read."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from sevenfold.errors import StoreError, UsageError
from sevenfold.hardware.chip import Chip
from sevenfold.runs.home import data_home, made_folder

SCHEMA_VERSION = 1


def this_machine_path() -> Path:
    """Where the calibrated chip is kept."""
    return data_home() / "chips" / "this-machine.json"


def save_this_machine(chip: Chip) -> Path:
    """Write the chip atomically (temporary file, fsync, rename) and return the file."""
    path = this_machine_path()
    folder = made_folder(path.parent)
    stored = {"schema_version": SCHEMA_VERSION, "sha256": chip.digest(), "chip": chip.to_dict()}
    text = json.dumps(stored, indent=1, allow_nan=False)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".this-machine-", suffix=".json")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def load_this_machine() -> Chip:
    """The calibrated chip; UsageError where there is none yet, StoreError where the file is damaged."""
    path = this_machine_path()
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise UsageError(
            "this machine is not calibrated", expected=f"a file {path}", hint="`sevenfold calibrate`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise _damaged(path, f"no JSON ({error})") from None
    if not isinstance(data, dict) or not {"schema_version", "sha256", "chip"} <= data.keys():
        raise _damaged(path, "no schema_version, sha256 or chip")
    if data["schema_version"] != SCHEMA_VERSION:
        raise StoreError(
            f"the calibration of this machine is of another version ({path})",
            got=data["schema_version"],
            expected=SCHEMA_VERSION,
            hint="`sevenfold calibrate`",
        )
    try:
        chip = Chip.from_dict(data["chip"])
    except UsageError as error:
        raise _damaged(path, str(error)) from None
    if chip.digest() != data["sha256"]:
        raise _damaged(path, "its content does not have the SHA-256 that it names")
    return chip


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(
        "the calibration of this machine is damaged", got=f"{path}: {what}", hint="`sevenfold calibrate`"
    )
