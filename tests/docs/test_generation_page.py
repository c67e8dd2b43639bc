"""The page on generation: its Python runs, its commands and flags exist, its figures are those of a summary."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from painter import keep_classifier, painter_recipe
from sevenfold.cli._commands import app
from sevenfold.recipes import RECIPES
from sevenfold.training import train_run

PAGE = (Path(__file__).parents[2] / "docs" / "generation.md").read_text()


def test_the_snippet_runs() -> None:
    names: dict[str, Any] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S):
        exec(snippet, names)
    assert names["images"].shape == (2, 1, 8, 8)
    assert names["model"](names["images"]).shape == (2,)


def test_every_command_and_flag_exists() -> None:
    lines = re.findall(r"^sevenfold .*$", PAGE, flags=re.M) + re.findall(r"`(sevenfold [^`]*)`", PAGE)
    assert len(lines) > 10
    for line in lines:
        words = shlex.split(line)[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
        if command.name == "train" and words[0] != "RECIPE":
            assert words[0] in RECIPES, line


def test_the_figures_are_those_of_a_run(home: Path) -> None:
    keep_classifier(home)
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.M))
    summary = train_run(painter_recipe(data__condition="class")).summary
    assert told - {"caption_accuracy", "translation_error"} <= set(summary)


def test_bits_a_character_are_those_of_the_recipes() -> None:
    rows = re.findall(r"^\|[^|]*\| ([\d.]+) \| `sevenfold train ([\w-]+)` \|$", PAGE, flags=re.M)
    assert len(rows) == 4
    for bits, name in rows:
        measured = RECIPES[name].measured
        assert measured is not None
        assert float(bits) == round(measured.mean / 0.693147, 2)
