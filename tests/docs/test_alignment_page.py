"""The page on alignment: its commands exist, every setting and figure is told, its table is the benchmark's."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import typer

from sevenfold.cli._commands import app
from sevenfold.recipes import RECIPES
from sevenfold.runs.recipe import Feedback
from sevenfold.training.alignment.running import AnswerScore

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "alignment.md").read_text()


def test_every_command_and_flag_exists() -> None:
    lines = re.findall(r"^sevenfold .*$", PAGE, flags=re.M) + re.findall(r"`(sevenfold [^`]*)`", PAGE)
    assert len(lines) > 6
    for line in lines:
        words = shlex.split(line)[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
        if command.name == "train":
            changes = dict(word.split("=") for word in words if "=" in word)
            assert RECIPES[words[0]].recipe().with_changes(changes)


def test_every_figure_and_setting_is_told() -> None:
    told = set(re.findall(r"^\| `test_(\w+)` \|", PAGE, flags=re.M))
    assert told == {field.name for field in fields(AnswerScore)} | {"plain_loss"}
    assert set(re.findall(r"`feedback\.(\w+)`", PAGE)) == set(Feedback.model_fields)


def test_the_table_is_that_of_the_benchmark() -> None:
    with (ROOT / "benchmarks" / "results" / "alignment.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["step"] and not row["errors"]]
    titles: dict[str, Callable[[dict[str, str]], bool]] = {
        "`sft-requests`": lambda row: row["method"] == "sft",
        "its best of 32": lambda row: row["method"] == "best-of-n" and row["n"] == "32",
        "`ppo-requests`": lambda row: row["method"] == "ppo" and row["penalty"] == "0.2",
        "the same without penalty": lambda row: row["method"] == "ppo" and row["penalty"] == "0.0",
        "`ppo-ptx-requests`": lambda row: row["method"] == "ppo-ptx",
        "`dpo-requests`": lambda row: row["method"] == "dpo",
    }
    for title, keep in titles.items():
        (line,) = re.findall(rf"^\| {re.escape(title)} \| (-?[\d.]+) \(([\d.]+)\) \|", PAGE, flags=re.M)
        found = [float(row["true_reward"]) for row in rows if keep(row)]
        assert len(found) == 3, title
        assert line == (f"{mean(found):.2f}", f"{stdev(found):.2f}"), title
