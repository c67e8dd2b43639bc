"""A finished run as a model with its trained weights, the data that it learned from, and what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sevenfold.errors import InputFileError, UsageError, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from sevenfold.data import Dataset
    from sevenfold.runs.record import RunRecord


@dataclass(frozen=True)
class TrainedRun:
    """The model in evaluation mode, its data set, its record."""

    record: RunRecord
    module: nn.Module
    dataset: Dataset

    def inputs(self, number: int) -> tuple[Any, ...]:
        """So many examples of the validation split, evenly spaced; repeated where the split has fewer."""
        import numpy as np

        from sevenfold.data import parts_of

        split = self.dataset.validation
        indices = (np.arange(number, dtype=np.int64) * max(1, len(split) // number)) % len(split)
        return parts_of(split.batch(indices)[0])


def model_or_run(name: str) -> str | None:
    """The id of the run that a name means; None where it is a preset or names a function.

    Raises UnknownNameError with the nearest of models and runs, UsageError where several runs begin so.
    """
    from sevenfold.models import MODELS
    from sevenfold.recipes.references import is_reference
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore

    if is_reference(name) or name in MODELS.names():
        return None
    store = RunStore() if (data_home() / "runs.sqlite").is_file() else None
    ids = store.ids() if store is not None else []
    if store is None or not any(known.startswith(name) for known in ids):
        raise unknown_name("model or run", name, [*MODELS.names(), *ids])
    return store.require(name).id


def trained_run(run_id: str) -> TrainedRun:
    """The run with its weights; raises UsageError for one that is not finished, InputFileError without weights."""
    from sevenfold.actions.load import load
    from sevenfold.checkpoints import weights_path
    from sevenfold.data import load as load_data
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore

    record = RunStore().require(run_id)
    if record.state != "finished":
        raise UsageError(
            f"run {record.id} has no final weights",
            got=f"state {record.state}",
            expected="a finished run",
            hint="`sevenfold train` with the same recipe, which goes on where it stopped",
        )
    folder = data_home() / "runs" / record.id
    if not weights_path(folder).is_file():
        raise InputFileError(
            f"the weights of run {record.id} were not kept", hint="`sevenfold train --fresh` with the same recipe"
        )
    recipe = record.run_recipe()
    dataset = load_data(recipe.data, task=recipe.data_task, subset_seed=recipe.seed)
    return TrainedRun(record, load(folder).module, dataset)
