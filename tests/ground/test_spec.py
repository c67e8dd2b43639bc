"""Specs: strict, frozen, unknown keys refused with the nearest known name, changes read as the field's own type."""

from __future__ import annotations

import copy
import json
import math
import pickle
import subprocess
import sys
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sevenfold.errors import SpecError, UnknownNameError, UsageError
from sevenfold.spec import Spec, parse_assignments, settings_of


class Leaf(Spec):
    width: int = Field(default=8, ge=1, description="how wide")
    kind: Literal["a", "b"] = "a"


class Branch(Spec):
    name: str = "branch"
    leaf: Leaf = Leaf()
    settings: dict[str, bool | int | float | str | None] = {}
    rate: float | None = Field(default=None, gt=0)


class Tree(Spec):
    branch: Branch = Branch()
    leaves: list[Leaf] = []
    by_name: dict[str, Leaf] = {}
    maybe: Leaf | None = None
    many: list[Leaf] | None = None
    shape: tuple[int, ...] = ()
    flag: bool = False
    note: str | None = None
    steps: int = 1


@pytest.mark.parametrize(
    ("data", "told", "hint"),
    [
        ({"brnch": {}}, "unknown setting", "branch"),
        ({"branch": {"laef": {}}}, "branch.laef", "branch.leaf"),
        ({"branch": {"leaf": {"widht": 3}}}, "branch.leaf.widht", "branch.leaf.width"),
        ({"leaves": [{}, {"widht": 3}]}, "leaves.1.widht", "leaves.1.width"),
        ({"by_name": {"leaf": {"widht": 3}}}, "by_name.leaf.widht", "by_name.leaf.width"),
        ({"maybe": {"widht": 3}}, "maybe.widht", "maybe.width"),
        ({"many": [{"widht": 3}]}, "many.0.widht", "many.0.width"),
    ],
)
def test_an_unknown_key_at_any_depth_names_the_nearest(data: dict[str, Any], told: str, hint: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        Tree.from_dict(data)
    assert told in str(caught.value)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"branch": {"leaf": {"width": "8"}}}, "branch.leaf.width"),
        ({"branch": {"leaf": {"width": 8.5}}}, "branch.leaf.width"),
        ({"branch": {"leaf": {"width": 0}}}, "greater than or equal to 1"),
        ({"branch": {"leaf": {"kind": "c"}}}, "'a' or 'b'"),
        ({"branch": {"rate": math.nan}}, "finite"),
        ({"branch": {"rate": math.inf}}, "finite"),
        ({"flag": 1}, "flag"),
        ({"flag": "true"}, "flag"),
        ({"steps": True}, "steps"),
        ({"note": 3}, "note"),
        ({"shape": [1, 2.5]}, "shape.1"),
        ({"note": object()}, "plain data"),
    ],
)
def test_values_are_strict(data: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        Tree.from_dict(data)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_constructor_is_as_strict() -> None:
    with pytest.raises(SpecError, match="width does not fit: got '8'"):
        Leaf(width="8")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="try width"):
        Leaf(widht=8)  # type: ignore[call-arg]


def test_specs_are_frozen_and_do_not_share_defaults() -> None:
    tree = Tree()
    with pytest.raises(ValueError, match="frozen"):
        tree.steps = 2  # type: ignore[misc]
    tree.branch.settings["x"] = 1
    assert Branch().settings == {}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("steps", "500", 500),
        ("steps", "1_000", 1000),
        ("steps", "1e3", 1000),
        ("branch.rate", "3e-4", 3e-4),
        ("branch.rate", "1", 1.0),
        ("branch.rate", "none", None),
        ("branch.leaf.kind", "b", "b"),
        ("branch.leaf.width", "64", 64),
        ("branch.name", "12", "12"),
        ("branch.name", "true", "true"),
        ("flag", "true", True),
        ("flag", "False", False),
        ("shape", "[1, 2]", [1, 2]),
        ("note", "a text = more", "a text = more"),
        ("maybe.width", "3", {"width": 3, "kind": "a"}),
        ("branch.settings.width", "64", {"width": 64}),
        ("branch.width", "64", {"width": 64}),
        ("branch.width", "0.5", {"width": 0.5}),
        ("branch.tokenizer", "bpe", {"tokenizer": "bpe"}),
        ("branch.bias", "false", {"bias": False}),
        ("branch.settings", '{"width": 3}', {"width": 3}),
        ("steps", 7, 7),
    ],
)
def test_a_change_is_read_as_the_type_of_its_field(key: str, text: Any, value: Any) -> None:
    tree = Tree()
    before = copy.deepcopy(tree)
    changed: Any = tree.with_changes({key: text}).to_dict()
    parts = key.split(".")
    if isinstance(value, dict):
        parts = ["maybe"] if parts[0] == "maybe" else ["branch", "settings"]
    for part in parts:
        changed = changed[part]
    assert changed == value
    assert type(changed) is type(value)
    assert tree == before


@pytest.mark.parametrize(
    ("key", "text", "kind", "told"),
    [
        ("steps", "1.5", SpecError, "steps does not fit: got '1.5'"),
        ("steps", "many", SpecError, "steps"),
        ("flag", "yes", SpecError, "flag"),
        ("branch.rate", "-1", SpecError, "greater than 0"),
        ("branch.rate", "nan", SpecError, "finite"),
        ("branch.leaf.kind", "c", SpecError, "'a' or 'b'"),
        ("branch", "other", SpecError, "try branch.name=other"),
        ("stesp", "1", UnknownNameError, "try steps"),
        ("branch.leaf.widht", "1", UnknownNameError, "try branch.leaf.width"),
        ("steps.x", "1", UnknownNameError, "a value for steps"),
        ("", "1", UnknownNameError, "unknown setting ''"),
        (".", "1", UnknownNameError, "unknown setting '.'"),
    ],
)
def test_a_change_that_does_not_fit(key: str, text: str, kind: type[UsageError], told: str) -> None:
    with pytest.raises(kind) as caught:
        Tree().with_changes({key: text})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_assignments() -> None:
    assert parse_assignments(["a.b=1", "c = x=y"]) == {"a.b": "1", "c": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError) as caught:
            parse_assignments(wrong, option="--limit")
        assert "--limit" in str(caught.value)


def test_the_help_is_the_one_beside_the_field() -> None:
    rows = {key: (kind, default, text) for key, kind, default, text in settings_of(Tree)}
    assert rows["branch.leaf.width"] == ("int", 8, "how wide")
    assert rows["branch.rate"][:2] == ("float | None", None)
    assert "branch" not in rows


def test_a_digest_is_the_same_everywhere_and_blind_to_how_it_was_made() -> None:
    # A literal: a change of it makes every stored run another run.
    assert Leaf().digest() == "5176d558be0c644e4017038c1fcedbc943516550dc3ac65e33c9f31a5274950a"
    settings = {"b": 1, "a": 2.5}
    made = [
        Branch(settings=settings),
        Branch(settings=dict(reversed(settings.items()))),
        Branch.from_dict({"settings": settings}),
        Branch().with_changes({"settings.a": "2.5", "settings.b": "1"}),
        Branch.from_dict(json.loads(json.dumps(Branch(settings=settings).to_dict()))),
        pickle.loads(pickle.dumps(Branch(settings=settings))),
    ]
    assert len({branch.digest() for branch in made}) == 1
    assert Branch(rate=1.0).digest() == Branch.from_dict({"rate": 1}).digest()
    assert Branch(settings={"b": 2, "a": 2.5}).digest() != made[0].digest()


def test_a_digest_does_not_depend_on_the_process() -> None:
    code = (
        "from sevenfold.runs.recipe import *;"
        "print(Recipe(name='r', task='classification', model=ModelChoice(name='m', settings={'b': 1, 'a': 0.1}),"
        " data=DataChoice(name='d')).digest())"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in "ab"
    }
    assert len(found) == 1


@given(rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False), width=st.integers(1, 2**60))
def test_data_and_back_is_exact(rate: float, width: int) -> None:
    branch = Branch(rate=rate, leaf=Leaf(width=width))
    assert Branch.from_dict(json.loads(json.dumps(branch.to_dict()))) == branch
    assert Branch().with_changes({"rate": repr(rate), "leaf.width": str(width)}) == branch
