"""A caller's own arrays: checked, split without overlap on contents, and known by their digest in any process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sevenfold.data import ArrayData, Dataset, arrays, load
from sevenfold.data._splitting import Shares, equal_groups, split_by_class
from sevenfold.errors import UnknownNameError, UsageError


def some(num: int = 120, num_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num, 4)), np.arange(num) % num_classes


def loaded(data: ArrayData, **changes: Any) -> Dataset:
    return load(data.register().with_changes(changes), task="classification")


def contents(dataset: Dataset) -> list[set[bytes]]:
    splits = (dataset.train, dataset.validation, dataset.test)
    return [{row.numpy().tobytes() for row in split.inputs} for split in splits]


def test_arrays_become_a_data_set_with_its_provenance() -> None:
    x, y = some()
    data = arrays(x, y, name="mine", source="a sensor", licence="CC0")
    dataset = loaded(data)
    assert data.choice.name == f"arrays/{data.sha256[:12]}"
    assert (dataset.input_shape, dataset.num_outputs) == ((4,), 3)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (72, 24, 24)
    by_row = {row.tobytes(): label for row, label in zip(x.astype(np.float32), y, strict=True)}
    for split in (dataset.train, dataset.validation, dataset.test):
        for row, label in zip(split.inputs, split.targets, strict=True):
            assert by_row[row.numpy().tobytes()] == label
    provenance = dataset.provenance
    assert (provenance.name, provenance.source, provenance.licence) == ("mine", "a sensor", "CC0")
    assert provenance.sha256 == data.sha256
    assert provenance.num_examples == 120


def test_the_name_is_the_contents_whatever_the_container() -> None:
    x, y = some()
    digest = arrays(x, y).sha256
    assert arrays(torch.from_numpy(x), torch.from_numpy(y)).sha256 == digest
    assert arrays(x.tolist(), y.tolist()).sha256 == digest
    assert arrays(np.asfortranarray(x), y.astype(np.uint8)).sha256 == digest
    assert arrays(x + 1e-3, y).sha256 != digest
    assert arrays(x, y[::-1]).sha256 != digest
    assert arrays(x.reshape(120, 2, 2), y).sha256 != digest
    assert arrays(x, y, classes=4).sha256 != digest


def test_later_changes_by_the_caller_change_nothing() -> None:
    x, y = some()
    x = x.astype(np.float32)
    data = arrays(x, y)
    kept = data.inputs.copy()
    x[:] = 0
    assert np.array_equal(data.inputs, kept)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), min_size=20, max_size=80), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_equal_examples_stay_in_one_split(items: list[tuple[int, int]], seed: int) -> None:
    values = np.repeat(np.arange(len(items)), [copies for copies, _ in items])
    labels = np.repeat([label for _, label in items], [copies for copies, _ in items])
    parts = split_by_class(labels, equal_groups([value.tobytes() for value in values]), Shares(), seed)
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(rows.tolist()) == list(range(len(values)))
    train, validation, test = (set(values[part].tolist()) for part in (parts.train, parts.validation, parts.test))
    assert not train & (validation | test)
    assert not validation & test


def test_repeated_examples_do_not_leak() -> None:
    x, y = some(40)
    dataset = loaded(arrays(np.repeat(x, 3, axis=0), np.repeat(y, 3)))
    train, validation, test = contents(dataset)
    assert not train & (validation | test)
    assert not validation & test
    assert len(train) + len(validation) + len(test) == 40
    assert "80 examples equal an earlier one" in dataset.provenance.notes


def test_the_callers_own_splits_are_kept_and_never_overlap() -> None:
    x, y = some(60)
    data = arrays(x, y, validation=(x[:5], y[:5]), test=(x[3:10], y[3:10]))
    dataset = loaded(data)
    train, validation, test = contents(dataset)
    assert (len(train), len(validation), len(test)) == (50, 3, 7)
    assert not train & (validation | test)
    assert not validation & test
    assert "12 examples left out" in dataset.provenance.notes
    with pytest.raises(UsageError, match="splits given by the caller overlap"):
        loaded(arrays(x, y, validation=(x, y), test=(x, y)))


def test_another_process_has_the_same_data_set_after_registering(tmp_path: Path) -> None:
    data = arrays(*some())
    path = tmp_path / "data.pickle"
    path.write_bytes(pickle.dumps(data))
    code = (
        "import pickle, sys; from sevenfold.data import load; data = pickle.load(open(sys.argv[1], 'rb'));"
        "print(load(data.register(), task='classification').test.inputs.double().sum().item())"
    )
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    assert float(out) == loaded(data).test.inputs.double().sum().item()


def test_arrays_that_nobody_registered_are_told_so() -> None:
    with pytest.raises(UnknownNameError, match="not known to this process"):
        load(arrays(*some(seed=99)).choice, task="classification")


def test_images_and_other_shapes_are_kept() -> None:
    dataset = loaded(arrays(np.zeros((40, 3, 8, 8)) + np.arange(40).reshape(40, 1, 1, 1), np.arange(40) % 2))
    assert dataset.input_shape == (3, 8, 8)


X, Y = some(12)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, Y[:-1], "x and y differ in length: got 12 and 11"),
        (np.where(np.arange(4) == 2, np.nan, X), Y, "not finite.*NaN or infinity in 12 of 12.*first is example 0"),
        (np.full((12, 4), 1e300), Y, "not finite in float32"),
        (X.astype(str), Y, "x holds no numbers: got dtype <U"),
        (X[:, 0], Y, r"x has the wrong shape: got \(12,\).*try x.reshape\(-1, 1\)"),
        (X[:0], Y[:0], "x has the wrong shape"),
        ([[1.0], [1.0, 2.0]], [0, 1], "x is no regular array"),
        (X, Y.astype(float), "y holds no class numbers: got dtype float64"),
        (X, np.eye(3)[Y], r"y has the wrong shape.*try y.argmax\(axis=1\)"),
        (X, Y - 1, "y holds a negative class: got -1"),
        (X, Y + 1, "y leaves out a class.*none of class 0"),
        (X, Y * 0, "y has a single class: got only class 0"),
        (X[:3], Y[:3], "too few examples to split"),
    ],
)
def test_wrong_arrays_are_told_in_one_line(x: Any, y: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        loaded(arrays(x, y))


def test_wrong_held_out_splits_are_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="validation and test go together"):
        arrays(X, Y, validation=(X, Y))
    with pytest.raises(UsageError, match="validation examples have another shape"):
        arrays(X, Y, validation=(X[:, :2], Y), test=(X, Y))
    with pytest.raises(UsageError, match="test has a class that y has not: got 3"):
        arrays(X, Y, validation=(X, Y), test=(X, Y + 1))
