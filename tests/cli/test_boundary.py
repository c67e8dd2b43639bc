"""The boundary: whatever fails is one line (or one JSON object) on stderr and an exit status, never a traceback."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sevenfold.cli._boundary import run_guarded
from sevenfold.errors import (
    CheckpointError,
    NonFiniteLossError,
    SevenfoldError,
    SpecError,
    StoreError,
    UsageError,
    unknown_name,
)

FAILURES: list[tuple[BaseException, int, str]] = [
    (UsageError("two limits for time", hint="one --limit time=60s"), 2, "two limits for time"),
    (unknown_name("recipe", "digit", ["digits-cnn"]), 2, "try digits-cnn"),
    (SpecError("steps does not fit", got="'x'"), 2, "steps does not fit"),
    (StoreError("the run store is damaged", got="runs.sqlite"), 1, "damaged"),
    (CheckpointError("damaged checkpoint"), 1, "damaged checkpoint"),
    (NonFiniteLossError("the loss became NaN", got="step 12", hint="a lower optimizer.lr"), 1, "became NaN"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "recipe.py"), 2, "recipe.py"),
    (PermissionError(errno.EACCES, "Permission denied", "/data/x"), 1, "/data/x (Permission denied)"),
    (OSError(errno.ENOSPC, "No space left on device", "/data/x"), 1, "the disk is full"),
    (OSError(errno.EROFS, "Read-only file system", "/data/x"), 1, "Read-only"),
    (OSError(errno.EIO, "Input/output error"), 1, "Input/output error"),
    (MemoryError(), 1, "no memory left"),
    (KeyError("lr"), 1, "internal error: got KeyError: 'lr'"),
    (RuntimeError("many\nlines\nof text"), 1, "many lines of text"),
    (RecursionError("maximum recursion depth exceeded"), 1, "internal error"),
]


def failing(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    def fail(**_: Any) -> NoReturn:
        raise failure

    monkeypatch.setattr("sevenfold.actions.runs.list_runs", fail)


@pytest.mark.parametrize(("failure", "status", "told"), FAILURES, ids=lambda value: type(value).__name__)
def test_a_failure_is_one_line(
    failure: BaseException,
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(monkeypatch, failure)
    assert run_guarded(["runs", "list"]) == status
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("sevenfold: ")
    assert errors.count("\n") == 1
    assert told in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("failure", "status", "told"), FAILURES, ids=lambda value: type(value).__name__)
def test_with_json_it_is_one_object(
    failure: BaseException,
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(monkeypatch, failure)
    assert run_guarded(["runs", "list", "--json"]) == status
    output, errors = capsys.readouterr()
    assert output == ""
    told_of = json.loads(errors)
    assert set(told_of) == {"error", "got", "expected", "hint"}
    assert isinstance(told_of["error"], str)


def test_an_internal_error_keeps_its_traceback_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    failing(monkeypatch, ZeroDivisionError("no seeds"))
    assert run_guarded(["runs", "list"]) == 1
    (kept,) = (home / "logs").iterdir()
    assert str(kept) in capsys.readouterr().err
    assert "ZeroDivisionError: no seeds" in kept.read_text()


def test_an_internal_error_without_a_place_for_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEVENFOLD_HOME", str(tmp_path / "file" / "home"))
    failing(monkeypatch, ZeroDivisionError("no seeds"))
    assert run_guarded(["runs", "list"]) == 1
    errors = capsys.readouterr().err
    assert errors == "sevenfold: internal error: got ZeroDivisionError: no seeds; try reporting it\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interruption_is_told_and_has_its_own_status(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert run_guarded(["runs", "list", *(["--json"] if as_json else [])]) == 130
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "interrupted" in (json.loads(errors)["error"] if as_json else errors)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["runz"], "runz"),
        (["runs", "lst"], "lst"),
        (["runs", "list", "--stat", "x"], "--stat"),
        (["runs", "list", "--limit", "many"], "--limit"),
        (["runs", "list", "--limit", "0"], "--limit"),
        (["runs", "list", "--limit"], "--limit"),
        (["runs", "show"], "run"),
        (["runs", "show", "a", "b"], "b"),
        (["--verison"], "--verison"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_command_that_is_none_exits_with_2(
    arguments: list[str], told: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_guarded([*arguments, *(["--json"] if as_json else [])]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    line = json.loads(errors)["error"] if as_json else errors
    assert told in line or as_json
    assert "Traceback" not in errors


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    from sevenfold import __version__

    for arguments in ([], ["--help"], ["runs"], ["runs", "--help"]):
        assert run_guarded(arguments) == 0
        output, errors = capsys.readouterr()
        assert "Usage:" in output
        assert errors == ""
    assert run_guarded(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def run(*arguments: str, code: str | None = None, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-c", code] if code else ["-m", "sevenfold"]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **settings)


def test_as_a_process() -> None:
    done = run("runs", "show", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sevenfold: unknown run")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "sevenfold", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, "")


HELP = """
import resource, sys
from sevenfold.cli._boundary import run_guarded
assert run_guarded(["--help"]) == 0
heavy = {"torch", "numpy", "scipy", "pydantic", "sqlite3", "matplotlib", "plotly", "sklearn"} & set(sys.modules)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, sorted(heavy), file=sys.stderr)
"""


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    best = float("inf")
    for _ in range(5):
        done = run(code=HELP)
        assert done.returncode == 0
        seconds, _, heavy = done.stderr.strip().partition(" ")
        assert heavy == "[]"
        best = min(best, float(seconds))
        if best < 0.25:
            break
    assert best < 0.3


def test_no_torch_free_floor_imports_torch() -> None:
    code = (
        "import sys, sevenfold.errors, sevenfold.units, sevenfold.spec, sevenfold.catalog, sevenfold.runs.store,"
        " sevenfold.ops, sevenfold.hardware, sevenfold.diagnosis, sevenfold.actions.runs\n"
        "print('torch' in sys.modules)"
    )
    done = run(code=code)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_every_kind_of_error_is_caught_at_the_boundary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [SevenfoldError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert len(kinds) > 10
    for kind in kinds:
        failing(monkeypatch, kind("failed"))
        assert run_guarded(["runs", "list"]) == kind.exit_status
        assert capsys.readouterr().err == "sevenfold: failed\n"
