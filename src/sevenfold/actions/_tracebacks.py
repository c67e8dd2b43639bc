"""Keeps the traceback of an internal error, so that the person sees one line and we can still find the fault."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

from sevenfold.runs.home import data_home, made_folder


def keep_traceback(error: BaseException) -> Path:
    """Write the traceback to ``logs/`` in the user's data folder and return the file."""
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    path = made_folder(data_home() / "logs") / name
    path.write_text("".join(traceback.format_exception(error)))
    return path
