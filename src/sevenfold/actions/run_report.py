"""The action behind ``sevenfold runs report``: a run as one HTML page."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCHEMA_VERSION = "1.0"
_SHEETS = {"samples.png": "samples", "real.png": "test images"}


@dataclass(frozen=True)
class RunReport:
    """Where the page of a run was written."""

    run: str
    path: str
    sheets: tuple[str, ...]  # what the page shows of the run's pictures

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def run_report(run: str, *, path: str | os.PathLike[str] | None = None) -> RunReport:
    """Write a run's page: curves, summary, and of a run that learned to sample its sheets and baselines.

    >>> run_report("ddpm-digits-s0").path  # doctest: +SKIP
    '.../runs/ddpm-digits-s0-.../report.html'

    ``path`` is ``report.html`` in the run's folder where it is left out. A run of any task and state has a page.
    Raises UnknownNameError for a run that is not there, StorageError where nothing can be written.
    """
    from sevenfold.actions._run_page import Curve, run_page
    from sevenfold.diagnosis.report.writing import write_whole
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore

    store = RunStore()
    record = store.require(run)
    folder = data_home() / "runs" / record.id
    names = [name for name in store.metric_names(record.id) if "loss" in name]
    curves: list[Curve] = []
    for name in sorted(names, key=lambda name: (not name.startswith("train_loss"), name)):
        steps, values = store.metrics(record.id, name)
        curves.append((name, steps.tolist(), values.tolist()))
    pictures = {title: folder / file for file, title in _SHEETS.items() if (folder / file).is_file()}
    pictures |= {f"sampled: {sheet.parent.name}": sheet for sheet in sorted(folder.glob("samples/*/sheet.png"))}
    page = run_page(record, curves, {title: picture.read_bytes() for title, picture in pictures.items()})
    target = folder / "report.html" if path is None else Path(path).expanduser()
    write_whole(target, page)
    return RunReport(run=record.id, path=str(target), sheets=tuple(pictures))
