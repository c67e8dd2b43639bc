"""The exception tree: one line, four facts, and the right exit status."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest

from sevenfold import errors
from sevenfold.errors import SevenfoldError, UnknownNameError, UsageError, unknown_name

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SevenfoldError)]


def test_a_failure_is_one_line_whatever_it_was_given() -> None:
    error = SevenfoldError("no\nmemory  left", got="batch\n4096", expected=8, hint="a smaller\n batch_size")
    assert str(error) == "no memory left: got batch 4096, expected 8; try a smaller batch_size"
    assert str(SevenfoldError("gone")) == "gone"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_the_way_through_a_worker(kind: type[SevenfoldError]) -> None:
    error = kind("failed", got=1, expected="two", hint="three")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.got, again.expected, again.hint) == ("failed", "1", "two", "three")
    assert json.loads(json.dumps(error.to_json())) == {
        "error": "failed",
        "got": "1",
        "expected": "two",
        "hint": "three",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_requests_exit_with_2_and_failures_with_1(kind: type[SevenfoldError]) -> None:
    assert kind.exit_status == (2 if issubclass(kind, ValueError) else 1)
    assert issubclass(kind, UsageError) == issubclass(kind, ValueError)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {
        word for line in (errors.__doc__ or "").splitlines() for word in line.split() if word.endswith("Error")
    }
    assert drawn == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize(
    ("got", "known", "nearest"),
    [
        ("h10", ["h100", "a100"], "h100"),
        ("H100", ["h100", "a100"], "h100"),
        ("MLP", ["mlp", "gpt2"], "mlp"),
        ("digit-cnn", ["digits-cnn", "python-docs-gpt"], "digits-cnn"),
        ("zzz", ["mlp", "gpt2"], None),
        ("", ["mlp"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name_is_the_hint(got: str, known: list[str], nearest: str | None) -> None:
    error = unknown_name("thing", got, known)
    assert isinstance(error, UnknownNameError)
    assert error.hint == nearest
    assert "unknown thing" in str(error)


def test_many_names_are_not_all_listed() -> None:
    error = unknown_name("run", "zzz", [f"run-{number}" for number in range(1000)], hint="`sevenfold runs list`")
    assert "(1000 in all)" in str(error)
    assert len(str(error)) < 300
    assert error.hint == "`sevenfold runs list`"
