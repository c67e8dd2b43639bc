"""A fault inside an inner spec is told once, with its dotted key, by the constructor and from plain data alike."""

from __future__ import annotations

from typing import Any

import pytest

from sevenfold.errors import SpecError, UnknownNameError
from sevenfold.runs.recipe import Recipe

BASE: dict[str, Any] = {"name": "r", "task": "classification", "model": {"name": "m"}, "data": {"name": "d"}}


def test_an_unknown_key_is_named_at_any_depth() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown setting: got 'stepz'|unknown setting") as outer:
        Recipe.from_dict(BASE | {"stepz": 3})
    assert (outer.value.got, outer.value.hint) == ("'stepz'", "steps")
    with pytest.raises(UnknownNameError) as inner:
        Recipe.from_dict(BASE | {"optimizer": {"lrr": 1.0}})
    assert inner.value.message == "unknown setting 'optimizer.lrr'"
    assert inner.value.hint == "optimizer.lr"


def test_a_value_that_does_not_fit_is_named_at_any_depth() -> None:
    with pytest.raises(SpecError) as fault:
        Recipe.from_dict(BASE | {"optimizer": {"lr": -1.0}})
    assert str(fault.value) == "optimizer.lr does not fit: got -1.0, expected greater than 0"
    with pytest.raises(SpecError, match=r"^optimizer\.lr does not fit: got -1\.0, expected greater than 0$"):
        Recipe(**(BASE | {"optimizer": {"lr": -1.0}}))
