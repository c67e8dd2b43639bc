"""Where Sevenfold keeps what it records: one folder of the user, or ``SEVENFOLD_HOME``.

runs.sqlite      the run store
runs/RUN_ID/     checkpoints and weights of a run
chips/           calibrated chips, this-machine among them
diagnoses/       finished diagnoses as JSON
logs/            tracebacks of internal errors
"""

from __future__ import annotations

import os
from pathlib import Path

from sevenfold.errors import StorageError


def data_home() -> Path:
    """The folder (not created here): ``SEVENFOLD_HOME``, else the platform's folder for user data."""
    chosen = os.environ.get("SEVENFOLD_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("sevenfold", appauthor=False))


def made_folder(path: Path) -> Path:
    """The folder, created where missing; raises StorageError where it cannot be or is not writable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "cannot make a folder", got=f"{path} ({error.strerror})", hint="SEVENFOLD_HOME=/a/writable/folder"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise StorageError(
            "cannot write to a folder", got=f"{path} (read-only)", hint="SEVENFOLD_HOME=/a/writable/folder"
        )
    return path
