"""The report of a diagnosis: an HTML page in one file, a table for the terminal, pictures, the JSON schema.

It shows a ``Diagnosis`` and computes nothing new; it must not know torch, nor how anything was measured.
``python -m sevenfold.diagnosis.report report.json out.html`` makes the page again from its JSON.
"""

from __future__ import annotations

from pathlib import Path

from sevenfold.diagnosis.result import Diagnosis

__all__ = ["write_json", "write_pictures", "write_report"]


def write_report(diagnosis: Diagnosis, path: Path) -> Path:
    """Write the self-contained HTML page, whole or not at all; returns the path.

    >>> write_report(diagnosis, Path("report.html"))  # doctest: +SKIP
    PosixPath('report.html')

    Raises StorageError (one line) for a full disk or a folder that takes no files.
    """
    from sevenfold.diagnosis.report.page import page
    from sevenfold.diagnosis.report.writing import write_whole

    return write_whole(Path(path), page(diagnosis))


def write_json(diagnosis: Diagnosis, path: Path) -> Path:
    """Write what ``--json`` prints, whole or not at all; returns the path. Raises StorageError."""
    import json

    from sevenfold.diagnosis.report.writing import write_whole

    return write_whole(Path(path), json.dumps(diagnosis.to_dict(), indent=2, allow_nan=False) + "\n")


def write_pictures(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """Write ``effects.png`` and ``fits.png`` (where there is something to draw); returns their paths.

    Raises StorageError.
    """
    from sevenfold.diagnosis.report.pictures import pictures
    from sevenfold.diagnosis.report.writing import write_whole

    return [write_whole(Path(folder) / name, data) for name, data in pictures(diagnosis).items()]
