"""The page on acting: its Python runs and learns, its commands, flags, settings and figures exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from sevenfold.cli._commands import app
from sevenfold.errors import SevenfoldError
from sevenfold.models import MODELS
from sevenfold.recipes import RECIPES
from sevenfold.runs.recipe import DataChoice
from sevenfold.training import train_run
from sevenfold.training.reinforcement.environments import ENVIRONMENTS, AtariSettings, SnakeSettings
from sevenfold.training.reinforcement.playing import build_playing

PAGE = (Path(__file__).parents[2] / "docs" / "acting.md").read_text()


def test_the_environment_of_the_page_is_learned(home: Path) -> None:
    names: dict[str, Any] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S):
        exec(snippet, names)
    assert names["summary"]["test_return"] == 8
    assert names["summary"]["random_return"] < 5


def test_an_environment_in_a_module_is_found_by_its_name(home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    snippet = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S)[0]
    module = snippet.partition("from sevenfold")[0].replace("Guess-v0", "GuessAgain-v0")
    (tmp_path / "games_of_a_test.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = RECIPES["ppo-cartpole"].recipe()
    own = recipe.with_changes({"data.name": "gymnasium:games_of_a_test:GuessAgain-v0"})
    assert build_playing(own).frame.shape == (3,)
    for name, said in (("gymnasium:no_such_module:Guess-v0", "imported"), ("gymnasium:json:Guess-v7", "unknown")):
        with pytest.raises(SevenfoldError, match=said) as told:
            build_playing(recipe.with_changes({"data.name": name}))
        assert "\n" not in str(told.value)


def test_every_command_and_flag_exists() -> None:
    lines = re.findall(r"^sevenfold .*$", PAGE, flags=re.M) + re.findall(r"`(sevenfold [^`]*)`", PAGE)
    assert len(lines) >= 5
    for line in lines:
        words = shlex.split(line)[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
        if command.name == "train" and words[0] != "RECIPE":
            assert words[0] in RECIPES, line


def test_every_setting_agent_and_figure_exists(home: Path) -> None:
    settings = {*SnakeSettings.model_fields, *AtariSettings.model_fields}
    told = {
        word for row in re.findall(r"^\| `(?:snake|atari:Pong)` .*$", PAGE, flags=re.M) for word in _quoted(row)
    }
    assert told - {"snake", "atari:Pong", "data.NAME=VALUE", "pip install 'sevenfold[atari]'"} <= settings
    assert settings <= {*_quoted(PAGE)}, settings - {*_quoted(PAGE)}
    agents = {word for row in re.findall(r"^\| (?:REIN|prox|deep).*$", PAGE, flags=re.M) for word in _quoted(row)}
    assert len(agents) > 6
    assert all(agent in MODELS for agent in agents)
    figures = set(
        re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Snake")[0].partition("## What the figures")[2], flags=re.M)
    )
    recipe = RECIPES["reinforce-snake-4"].recipe()
    summary = train_run(recipe.with_changes({"steps": 4096, "data.evaluation_episodes": 2, "data.size": 3})).summary
    assert figures <= set(summary)
    assert ENVIRONMENTS["snake"].settings is SnakeSettings
    assert DataChoice(name="snake").name == "snake"


def _quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)
