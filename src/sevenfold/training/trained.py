"""What a finished run learned: its recipe as a workload whose model has the run's final weights."""

from __future__ import annotations

from pathlib import Path

from sevenfold import checkpoints
from sevenfold.errors import UsageError
from sevenfold.runs.home import data_home
from sevenfold.runs.record import RunRecord
from sevenfold.runs.store import RunStore
from sevenfold.training.starting import kept_tensors
from sevenfold.training.workload import Workload, build_workload

__all__ = ["trained_workload"]


def trained_workload(
    run: str, *, store: RunStore | None = None, home: Path | None = None
) -> tuple[RunRecord, Workload]:
    """The record of a run, and its model in evaluation mode with its data set.

    ``run`` is an id, or enough of its beginning. Raises UsageError for a run that is not finished, InputFileError
    where its weights were not kept.
    """
    home = home or data_home()
    record = (store or RunStore(home / "runs.sqlite")).require(run)
    if record.state != "finished":
        raise UsageError(
            f"run {record.id} has no final weights",
            got=f"state {record.state}",
            expected="a finished run",
            hint="`sevenfold train` with the same recipe, which goes on where it stopped",
        )
    tensors = kept_tensors(record.id, home)
    workload = build_workload(record.run_recipe())
    checkpoints.restore_model(workload.model, tensors, source=f"run {record.id}")
    workload.model.eval()
    return record, workload
