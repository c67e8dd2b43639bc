"""A finished run that learned to sample, opened: its model with its weights, its data, its folder.

Everything that is asked of such a run begins here, and is refused here in one line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sevenfold.errors import InputFileError, UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sevenfold.data import Dataset
    from sevenfold.layers import Generative
    from sevenfold.runs.record import RunRecord


@dataclass(frozen=True, eq=False)
class Opened:
    """A generative model and what it was trained on."""

    record: RunRecord
    model: Generative  # in evaluation mode, on the device
    dataset: Dataset
    device: torch.device
    folder: Path  # of the run
    weights_sha256: str

    def told(self, condition: str | None, num: int) -> tuple[Tensor | None, list[str]]:
        """The condition of each of ``num`` samples as the model takes it, and in words.

        Of classes ``condition`` is "7" or "0,1,2", of captions a caption; in turn, where there are fewer than
        samples. Without it: all classes in turn, or the captions of the test part. What is made of images is made
        of those of the test part.
        """
        kind = self.model.condition
        if kind == "none":
            if condition is not None:
                raise UsageError(f"run {self.record.id} samples without a condition", got=repr(condition))
            return None, []
        if kind == "class":
            return _classes(condition, num, self.dataset.num_outputs)
        if kind == "image":
            return self._sources(condition, num), []
        return self._captions(condition, num)

    def _sources(self, condition: str | None, num: int) -> Tensor:
        if condition is not None:
            raise UsageError(f"run {self.record.id} makes images of images", got=repr(condition))
        return self._of_test(num)

    def _of_test(self, num: int) -> Tensor:
        """What ``num`` examples of the test part are told beside their image, evenly spaced."""
        import numpy as np

        from sevenfold.data import parts_of

        test = self.dataset.test
        return parts_of(test.batch((np.arange(num, dtype=np.int64) * len(test) // num) % len(test))[0])[1]

    def _captions(self, condition: str | None, num: int) -> tuple[Tensor, list[str]]:
        captions = self.dataset.captions
        if captions is None:
            raise UsageError(f"the data of run {self.record.id} reads no captions", got=self.dataset.name)
        rows = self._of_test(num) if condition is None else captions.tokens([condition]).expand(num, -1)
        return rows, captions.texts(rows)


def open_generative(run: str) -> Opened:
    """Open a finished ``generation`` run by its id or a beginning of it.

    Raises UnknownNameError for a run that is not there, UsageError for one of another task or one that is not
    finished, InputFileError where its weights were not kept.
    """
    from sevenfold.checkpoints import load_weights, restore_model, weights_path
    from sevenfold.data import load
    from sevenfold.layers import Generative
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore
    from sevenfold.training.workload import fitted_model, resolve_device

    record = _require_generation(RunStore().require(run))
    folder = data_home() / "runs" / record.id
    if not weights_path(folder).is_file():
        raise InputFileError(
            f"the weights of run {record.id} were not kept", hint="`sevenfold train --fresh` with the same recipe"
        )
    recipe = record.run_recipe()
    dataset = load(recipe.data, task=recipe.task, subset_seed=recipe.seed)
    entry, settings = fitted_model(recipe, dataset)
    device = resolve_device(recipe)
    model = entry.build(settings)
    tensors = load_weights(folder)
    restore_model(model, tensors, source=str(folder))
    assert isinstance(model, Generative), "a model of the task generation is one"
    return Opened(record, model.to(device).eval(), dataset, device, folder, _digest(tensors))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Of names and values; the file's bytes differ from one writing to the next."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {list(tensors[name].shape)}\0".encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _require_generation(record: RunRecord) -> RunRecord:
    task = record.run_recipe().task
    if task != "generation":
        raise UsageError(
            f"run {record.id} did not learn to sample images",
            got=f"task {task}",
            expected="task generation",
            hint="`sevenfold generate`" if task == "causal-lm" else "`sevenfold runs list`",
        )
    if record.state != "finished":
        raise UsageError(
            f"run {record.id} has no final weights",
            got=f"state {record.state}",
            expected="a finished run",
            hint="`sevenfold train` with the same recipe, which goes on where it stopped",
        )
    return record


@contextmanager
def same_conditions(opened: Opened) -> Iterator[None]:
    """Threads and kernels as in training, so that one seed gives one picture, bit for bit on one machine."""
    from sevenfold.training.conditions import run_conditions

    with run_conditions(opened.record.run_recipe(), opened.device):
        yield


def checked_num(num: int, *, at_most: int = 100_000) -> int:
    """The number of images asked for; UsageError where it is none."""
    if not 1 <= num <= at_most:
        raise UsageError("not a number of images", got=num, expected=f"1 to {at_most:,}")
    return num


def _classes(condition: str | None, num: int, classes: int) -> tuple[Tensor, list[str]]:
    import torch

    asked: Sequence[int] = range(classes)
    if condition is not None:
        try:
            asked = [int(one) for one in condition.split(",")]
        except ValueError:
            asked = []
        if not asked or not all(0 <= one < classes for one in asked):
            raise UsageError(
                "no such class", got=repr(condition), expected=f"0 to {classes - 1}, or several as 0,1,2"
            )
    labels = [asked[number % len(asked)] for number in range(num)]
    return torch.tensor(labels), [str(label) for label in labels]
