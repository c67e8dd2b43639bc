"""``sevenfold runs``: what a person reads, and what ``--json`` gives."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sevenfold.cli._boundary import run_guarded
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.runs.store import RunStore


def recipe(seed: int, name: str = "digits-cnn") -> Recipe:
    return Recipe(
        name=name, task="classification", model=ModelChoice(name="mlp"), data=DataChoice(name="digits"), seed=seed
    )


@pytest.fixture
def run_ids(home: Path) -> list[str]:
    """Two finished runs, one that failed with a text that rich would take for markup."""
    store = RunStore()
    for seed in (0, 1):
        with store.open(recipe(seed), provenance={"licence": "BSD-3"}, environment={"cores": 2}) as writer:
            writer.log(0, {"train_loss": 2.5})
            writer.log(1, {"train_loss": math.nan})
            summary: dict[str, Any] = {"validation_loss": 0.1234567 + seed / 100, "validation_accuracy": 0.975}
            writer.finish({**summary, "steps": 500, "parameters": 9760, "wall_seconds": 83.2, "energy_j": None})
    store.open(recipe(2, "[red]x"), provenance={}, environment={}).fail("[bold] is no [/markup]")
    return store.ids()


class Command:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        assert run_guarded(list(arguments)) == status
        captured = self._capsys.readouterr()
        return captured.out, captured.err


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_an_empty_store_says_so(command: Command, home: Path) -> None:
    output, errors = command("runs", "list")
    assert output == f"no runs yet in {home / 'runs.sqlite'}\n"
    assert errors == ""
    assert not home.exists()


def test_the_list_is_aligned_and_has_units(command: Command, run_ids: list[str]) -> None:
    lines = command("runs", "list")[0].splitlines()
    assert len(lines) == 5
    assert lines[0].split() == [
        *("run", "state", "val.", "loss", "accuracy", "steps", "time", "parameters", "last", "change"),
    ]
    assert [line.split()[0] for line in lines[2:]] == run_ids[::-1]
    assert "0.1335" in lines[3]
    assert "97.50 %" in lines[3]
    assert "1 min 23 s" in lines[3]
    assert "9.76 k" in lines[3]
    for figure in ("97.50 %", "1 min 23 s", "9.76 k"):
        assert lines[3].index(figure) == lines[4].index(figure)
    losses = lines[0].index("val. loss")
    assert lines[0][: losses + 9].endswith("val. loss")
    assert lines[3][: losses + 9].endswith("0.1335")
    assert lines[2][: losses + 9].endswith("-")


def test_a_narrow_terminal_cuts_nothing_off(
    command: Command, run_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    output, _ = command("runs", "list")
    assert max(map(len, output.splitlines())) <= 60
    assert "…" not in output
    assert "0.1335" in output
    width = output.index("state")
    assert run_ids[0] in "".join(line[:width].strip() for line in output.splitlines())


def test_the_list_is_chosen(command: Command, run_ids: list[str]) -> None:
    assert command("runs", "list", "--state", "failed")[0].count("\n") == 3
    assert command("runs", "list", "--recipe", "digits-cnn", "--limit", "1")[0].count("\n") == 3
    assert command("runs", "list", "--recipe", "other")[0].startswith("no runs like that")
    _, errors = command("runs", "list", "--state", "done", status=2)
    assert errors == (
        "sevenfold: unknown state: got 'done', expected one of running, finished, failed, interrupted\n"
    )


def test_one_run_in_full(command: Command, run_ids: list[str]) -> None:
    output, _ = command("runs", "show", "digits-cnn-s1")
    for text in (run_ids[1], "finished", "optimizer.lr", "BSD-3", "cores", "0.1335", "97.50 %", "2.5000", "nan"):
        assert text in output
    output, _ = command("runs", "show", run_ids[2])
    assert "[bold] is no [/markup]" in output
    assert "[red]x" in output


def test_runs_beside_each_other(command: Command, run_ids: list[str]) -> None:
    output, _ = command("runs", "compare", *run_ids[:2])
    assert "settings that differ" in output
    assert "+0.0100" in output
    assert "over 2 seeds" in output
    table = output.split("over 2 seeds")[1].splitlines()
    assert [line.split()[0] for line in table[2:]] == ["validation_loss"]  # the same steps for all need no interval
    assert table[2].split()[1:] == ["0.1285", "0.0649", "0.1920"]


def test_json_is_the_result_object(command: Command, run_ids: list[str]) -> None:
    listed = json.loads(command("runs", "list", "--json")[0])
    assert (listed["schema_version"], [line["id"] for line in listed["runs"]]) == ("1.0", run_ids[::-1])
    shown = json.loads(command("runs", "show", "digits-cnn-s1", "--json")[0])
    assert shown["run"]["summary"]["validation_loss"] == 0.1234567 + 1 / 100
    assert shown["metrics"][0]["last"] is None  # NaN is no JSON
    compared = json.loads(command("runs", "compare", *run_ids[:2], "--json")[0])
    assert compared["over_seeds"][0]["seeds"] == [0, 1]
    checked = json.loads(command("runs", "check", "--json")[0])
    assert (checked["num_runs"], checked["damage"]) == (3, [])


def test_an_unknown_run(command: Command, run_ids: list[str]) -> None:
    output, errors = command("runs", "show", "digit-cnn-s1", status=2)
    assert output == ""
    assert errors.startswith("sevenfold: unknown run: got 'digit-cnn-s1', expected one of ")
    assert errors.endswith(f"; try {run_ids[1]}\n")
    _, errors = command("runs", "compare", run_ids[0], "zzz", "--json", status=2)
    assert json.loads(errors) == {
        "error": "unknown run",
        "got": "'zzz'",
        "expected": f"one of {', '.join(sorted(run_ids))}",
        "hint": "`sevenfold runs list`",
    }


def test_a_damaged_store_is_told_in_one_line(command: Command, run_ids: list[str], home: Path) -> None:
    assert "is whole: 3 runs" in command("runs", "check")[0]
    path = home / "runs.sqlite"
    path.write_bytes(path.read_bytes()[:5000])
    for arguments in (["list"], ["show", "x"], ["compare", "x", "y"]):
        output, errors = command("runs", *arguments, status=1)
        assert output == ""
        assert errors.startswith("sevenfold: the run store is damaged")
        assert errors.count("\n") == 1
    output, errors = command("runs", "check", status=1)
    assert "damaged" in output
    assert errors == ""


def test_help(command: Command) -> None:
    output, errors = command("runs")
    assert errors == ""
    for verb in ("list", "show", "compare", "check"):
        assert verb in output
        assert "--json" in command("runs", verb, "--help")[0]
