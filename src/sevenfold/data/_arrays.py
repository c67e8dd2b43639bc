"""A caller's own arrays as a data set: checked, named by their contents, and ready to travel to another process.

>>> import numpy as np
>>> mine = arrays(np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2)
>>> mine.register().name[:7]
'arrays/'

Named by their SHA-256, so that equal contents are the same data set in every process and changed contents another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset, ExampleSplit, Provenance
from sevenfold.data._generation import Conditioning, for_task
from sevenfold.data._splitting import Parts, Shares, equal_groups, split_by_class
from sevenfold.errors import UnknownNameError, UsageError
from sevenfold.runs.recipe import DataChoice

__all__ = ["ArrayData", "arrays"]

Inputs = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Pair = tuple[Inputs, Labels]


class ArraySettings(Shares, Conditioning):
    """How a caller's arrays are split, and whether a model that samples is told the class."""


@dataclass(frozen=True, eq=False)
class ArrayData:
    """Checked arrays: inputs [N, ...] float32 and class numbers [N] int64; pickles whole.

    ``held_out`` are the caller's own (validation, test) pairs, where given; otherwise the splits are drawn by
    ``split_seed``.
    """

    inputs: Inputs
    labels: Labels
    num_classes: int
    held_out: tuple[Pair, Pair] | None
    name: str
    source: str
    licence: str
    sha256: str

    @property
    def choice(self) -> DataChoice:
        """What a recipe says to mean these arrays."""
        return DataChoice(name=f"arrays/{self.sha256[:12]}")

    def register(self) -> DataChoice:
        """Make the arrays known to this process as a data set; returns the choice that names them."""
        entry = DatasetEntry(
            name=self.choice.name,
            tasks=("classification", "generation", "contrastive"),
            summary=f"{self.name}: {len(self.labels):,} examples, {self.num_classes} classes, given by the caller",
            settings=ArraySettings,
            read=self._read,
        )
        DATASETS.add(self.choice.name, entry, replace=True)
        return self.choice

    def _read(self, settings: ArraySettings, split_seed: int, task: str) -> Dataset:
        if task == "generation" and (self.inputs.min() < 0 or self.inputs.max() > 1):
            raise UsageError(
                f"data set {self.name!r}: images to learn to sample have pixels in 0..1",
                got=f"{self.inputs.min():.4g} to {self.inputs.max():.4g}",
                hint="x / 255",
            )
        return for_task(task, self._labelled(settings, split_seed, task), settings)

    def _labelled(self, settings: Shares, split_seed: int, task: str) -> Dataset:
        train, validation, test, note = self._splits(settings, split_seed)
        num_equal = len(self.labels) - len(set(_contents(self.inputs)))
        return Dataset(
            name=self.choice.name,
            task=task,
            input_shape=tuple(self.inputs.shape[1:]),
            num_outputs=self.num_classes,
            train=train,
            validation=validation,
            test=test,
            provenance=Provenance(
                name=self.name,
                source=self.source,
                licence=self.licence,
                num_examples=len(train) + len(validation) + len(test),
                sha256=self.sha256,
                version="-",
                notes=f"values as given, as float32; {note}; {num_equal} examples equal an earlier one",
            ),
            num_train_whole=len(train),
        )

    def _splits(self, settings: Shares, seed: int) -> tuple[ExampleSplit, ExampleSplit, ExampleSplit, str]:
        if self.held_out is None:
            groups = equal_groups(_contents(self.inputs))
            parts = split_by_class(self.labels, groups, settings, seed)
            note = "stratified by class, equal examples kept in one split"
            return *_taken(self.inputs, self.labels, parts), note
        validation, test = self.held_out
        held = set(_contents(test[0]))
        kept_validation = [row for row, content in enumerate(_contents(validation[0])) if content not in held]
        held |= set(_contents(validation[0]))
        kept = [row for row, content in enumerate(_contents(self.inputs)) if content not in held]
        if not kept or not kept_validation:
            raise UsageError(
                "the splits given by the caller overlap",
                got="every training or validation example also in a split held out from it",
                expected="different examples in training, validation and test",
            )
        dropped = len(self.labels) - len(kept) + len(validation[1]) - len(kept_validation)
        return (
            _split(self.inputs[kept], self.labels[kept]),
            _split(validation[0][kept_validation], validation[1][kept_validation]),
            _split(*test),
            f"splits given by the caller, {dropped} examples left out because a held-out split has them too",
        )


def arrays(
    x: Any,
    y: Any,
    *,
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    classes: int | None = None,
    name: str = "arrays",
    source: str = "given by the caller",
    licence: str = "unknown",
) -> ArrayData:
    """Arrays (NumPy, torch, or nested lists) as a data set for classification.

    >>> arrays([[0.0, 1.0], [1.0, 0.0]] * 5, [0, 1] * 5).num_classes
    2

    ``x`` [N, ...] numbers, ``y`` [N] integer classes from 0; ``classes`` where not every class occurs in ``y``.
    ``validation`` and ``test`` are (x, y) pairs of the caller's own splits, given both or neither. Raises
    UsageError for lengths that differ, values that are not finite, or labels that are no class numbers.
    """
    inputs, labels = _checked_pair(x, y, "x", "y")
    num_classes = _num_classes(labels, classes)
    if (validation is None) != (test is None):
        raise UsageError("validation and test go together", got="one of them", expected="both, or neither")
    held_out = None
    if validation is not None and test is not None:
        pairs = [
            _checked_pair(*pair, f"{part}[0]", f"{part}[1]")
            for part, pair in (("validation", validation), ("test", test))
        ]
        for part, (part_inputs, part_labels) in zip(("validation", "test"), pairs, strict=True):
            if part_inputs.shape[1:] != inputs.shape[1:]:
                raise UsageError(
                    f"{part} examples have another shape than x",
                    got=part_inputs.shape[1:],
                    expected=inputs.shape[1:],
                )
            if part_labels.max() >= num_classes:
                raise UsageError(
                    f"{part} has a class that y has not",
                    got=int(part_labels.max()),
                    expected=f"0 to {num_classes - 1}",
                )
        held_out = (pairs[0], pairs[1])
    return ArrayData(
        inputs=inputs,
        labels=labels,
        num_classes=num_classes,
        held_out=held_out,
        name=name,
        source=source,
        licence=licence,
        sha256=_digest([(inputs, labels), *(held_out or ())], num_classes),
    )


def _checked_pair(x: Any, y: Any, x_name: str, y_name: str) -> Pair:
    inputs, labels = _inputs(x, x_name), _labels(y, y_name)
    if len(inputs) != len(labels):
        raise UsageError(
            f"{x_name} and {y_name} differ in length",
            got=f"{len(inputs)} and {len(labels)}",
            expected="one label an example",
        )
    return inputs, labels


def _as_numpy(values: Any, name: str) -> npt.NDArray[Any]:
    if isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
        return np.asarray((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())
    try:
        return np.asarray(values)
    except ValueError:
        raise UsageError(f"{name} is no regular array", got="rows of different lengths") from None


def _inputs(values: Any, name: str) -> Inputs:
    array = _as_numpy(values, name)
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{name} holds no numbers", got=f"dtype {array.dtype}", expected="floats or integers")
    if array.ndim < 2 or 0 in array.shape:
        raise UsageError(
            f"{name} has the wrong shape",
            got=array.shape,
            expected="[examples, ...] with at least one feature",
            hint=f"{name}.reshape(-1, 1)" if array.ndim == 1 else None,
        )
    with np.errstate(over="ignore"):
        # A copy: later changes by the caller must not change what a digest names. + 0.0 turns -0.0 into 0.0.
        inputs = np.array(array, dtype=np.float32, order="C") + np.float32(0.0)
    finite = np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise UsageError(
            f"{name} holds values that are not finite in float32",
            got=f"NaN or infinity in {len(bad)} of {len(inputs)} examples, the first is example {bad[0]}",
            expected="finite numbers",
        )
    return inputs


def _labels(values: Any, name: str) -> Labels:
    array = _as_numpy(values, name)
    if array.ndim != 1 or not len(array):
        raise UsageError(
            f"{name} has the wrong shape",
            got=array.shape,
            expected="[examples], one class number each",
            hint=f"{name}.argmax(axis=1)" if array.ndim == 2 and array.shape[1] > 1 else None,
        )
    if array.dtype.kind not in "iub":
        raise UsageError(
            f"{name} holds no class numbers",
            got=f"dtype {array.dtype}",
            expected="integers from 0 (classification)",
        )
    if array.min() < 0:
        raise UsageError(f"{name} holds a negative class", got=int(array.min()), expected="classes from 0")
    return array.astype(np.int64)


def _num_classes(labels: Labels, stated: int | None) -> int:
    present = np.unique(labels)
    num_classes = int(present[-1]) + 1 if stated is None else stated
    if present[-1] >= num_classes:
        raise UsageError(
            "y has a class that is too large", got=int(present[-1]), expected=f"0 to {num_classes - 1}"
        )
    if stated is None and len(present) != num_classes:
        missing = np.setdiff1d(np.arange(min(num_classes, 1_000_000)), present, assume_unique=True)
        raise UsageError(
            "y leaves out a class",
            got=f"{len(present)} different labels up to {present[-1]}, none of class {missing[0]}",
            expected="labels 0 to classes - 1",
            hint=f"np.unique(y, return_inverse=True)[1], or classes={num_classes} where a class has no example",
        )
    if num_classes < 2:
        raise UsageError("y has a single class", got=f"only class {present[0]}", expected="two classes or more")
    return num_classes


def _digest(pairs: list[Pair], num_classes: int) -> str:
    digest = hashlib.sha256(f"sevenfold arrays 1: {num_classes} classes".encode())
    for inputs, labels in pairs:
        digest.update(f"{inputs.shape}".encode())
        # Little-endian, so that the name is the same on every machine.
        digest.update(np.ascontiguousarray(inputs, dtype="<f4").data)
        digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def _contents(inputs: Inputs) -> list[bytes]:
    return [row.tobytes() for row in inputs]


def _split(inputs: Inputs, labels: Labels) -> ExampleSplit:
    return ExampleSplit(torch.from_numpy(inputs), torch.from_numpy(labels))


def _taken(inputs: Inputs, labels: Labels, parts: Parts) -> tuple[ExampleSplit, ExampleSplit, ExampleSplit]:
    splits = [_split(inputs[rows], labels[rows]) for rows in (parts.train, parts.validation, parts.test)]
    return splits[0], splits[1], splits[2]


def _find_unregistered(name: str) -> DatasetEntry | None:
    if not name.startswith("arrays/"):
        return None
    raise UnknownNameError(
        "these arrays are not known to this process",
        got=repr(name),
        expected="arrays that were registered here",
        hint="sevenfold.data.arrays(x, y).register() before the recipe is used",
    )


DATASETS.add_finder(_find_unregistered)
