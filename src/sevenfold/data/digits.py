"""``digits``: 1,797 handwritten digits of 8 x 8 pixels, out of the installed scikit-learn package.

The test part of the Optical Recognition of Handwritten Digits set of the UCI repository (Alpaydin & Kaynak 1998).
The file is read where scikit-learn keeps it, without importing scikit-learn (which takes a second).
See it work: ``python -m sevenfold.data``.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import importlib.util
import io
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._class_left_out import ClassLeftOut, leave_out
from sevenfold.data._dataset import Dataset, ExampleSplit, Provenance, Split
from sevenfold.data._generation import Conditioning, enlarged, for_task
from sevenfold.data._labels_kept import LabelsKept, keep_labels
from sevenfold.data._splitting import Shares, equal_groups, split_by_class
from sevenfold.data.bought_labels import BoughtLabels, with_bought_labels
from sevenfold.errors import InputFileError, UsageError

_SHAPE = (1, 8, 8)
_LARGEST_PIXEL = 16


class DigitsSettings(Shares, Conditioning, LabelsKept, BoughtLabels, ClassLeftOut):
    """Settings of the digits; ``condition`` and ``image`` are for the task generation."""

    image: Literal[8, 16, 32] = Field(default=8, description="generation: 8, or 16 or 32 with every pixel repeated")


def _file() -> Path:
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise InputFileError(
            "the digits come with scikit-learn, which is not installed", hint="pip install scikit-learn"
        )
    return Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"


@lru_cache(maxsize=1)
def _rows() -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], str]:
    """[1797, 65] (64 pixels 0 to 16, and the digit), and the SHA-256 of the file."""
    path = _file()
    try:
        packed = path.read_bytes()
        rows = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.int64, ndmin=2)
    except (OSError, ValueError, EOFError) as error:
        raise InputFileError(
            "cannot read the digits", got=f"{path} ({error})", hint="pip install --force-reinstall scikit-learn"
        ) from None
    return rows, hashlib.sha256(packed).hexdigest()


def read_digits(settings: Shares, split_seed: int, task: str) -> Dataset:
    """The digits as [1, 8, 8] images with pixels in 0 to 1."""
    rows, digest = _rows()
    pixels, labels = rows[:, :64].astype(np.float32) / _LARGEST_PIXEL, rows[:, 64]
    parts = split_by_class(labels, equal_groups([row.tobytes() for row in pixels]), settings, split_seed)
    inputs, targets = torch.from_numpy(pixels).reshape(-1, *_SHAPE), torch.from_numpy(labels.copy())
    whole = ExampleSplit(inputs, targets)
    return Dataset(
        name="digits",
        task=task,
        input_shape=_SHAPE,
        num_outputs=10,
        train=whole.take(parts.train),
        validation=whole.take(parts.validation),
        test=whole.take(parts.test),
        provenance=Provenance(
            name="digits",
            source="scikit-learn datasets/data/digits.csv.gz (UCI Optical Recognition of Handwritten Digits, 1998)",
            licence="BSD-3-Clause, as scikit-learn ships it",
            num_examples=len(rows),
            sha256=digest,
            version=f"scikit-learn {importlib.metadata.version('scikit-learn')}",
            notes=(
                "pixels 0..16 divided by 16; stratified by digit; no two images are equal; the 13 writers are not "
                "marked, so that splits share them"
            ),
        ),
        num_train_whole=len(parts.train),
    )


def _read(settings: DigitsSettings, split_seed: int, task: str) -> Dataset:
    """The digits for a task: with their labels to tell, or as images to learn to sample from."""
    digits = leave_out(read_digits(settings, split_seed, task), settings)
    if task == "generation":
        digits = _enlarged(digits, settings.image)
    elif settings.image != 8:
        raise UsageError(
            "data set 'digits': image is for the task generation",
            got=f"image={settings.image} for {task}",
            expected="image=8",
        )
    return keep_labels(for_task(task, with_bought_labels(digits, settings), settings), settings)


def _enlarged(digits: Dataset, image: int) -> Dataset:
    def shown(split: Split) -> Split:
        assert isinstance(split, ExampleSplit)
        return ExampleSplit(enlarged(split.stored_inputs, image // 8), split.stored_targets)

    return replace(
        digits,
        input_shape=(1, image, image),
        train=shown(digits.train),
        validation=shown(digits.validation),
        test=shown(digits.test),
        levels=_LARGEST_PIXEL + 1,
    )


DATASETS.add(
    "digits",
    DatasetEntry(
        name="digits",
        tasks=("classification", "generation", "contrastive"),
        summary="1,797 handwritten digits, 8 x 8 pixels, 10 classes (scikit-learn)",
        settings=DigitsSettings,
        read=_read,
    ),
)
