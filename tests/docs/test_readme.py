"""What README and docs tell people to type is understood by the command line, and what they link to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from sevenfold.cli._boundary import run_guarded
from sevenfold.cli._commands import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
CHEAP = {"count", "cost", "chips", "recipes"}


def _commands() -> list[str]:
    found: list[str] = []
    for page in PAGES:
        text = page.read_text()
        blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.M | re.S)
        lines = [line for language, block in blocks if not language for line in block.splitlines()]
        found += [line.split("  #")[0].strip() for line in lines if line.startswith("sevenfold ")]
    return sorted(set(found))


def test_there_are_commands_to_test() -> None:
    assert len(_commands()) >= 4


@pytest.mark.parametrize("line", _commands())
def test_every_command_is_understood(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"{line}: no verb {words[0]}"
        command = command.commands[words.pop(0)]
    assert command.make_context("sevenfold", words) is not None  # parses flags and their types; runs nothing


@pytest.mark.parametrize("line", [line for line in _commands() if shlex.split(line)[1] in CHEAP])
def test_cheap_commands_run(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in shlex.split(line)[1:] if word != "175b"]
    if "gpt3-175b" in words:
        pytest.skip("counted by its own test, which holds its time and memory")
    assert run_guarded(words) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_makefile_has_the_verbs_that_the_pages_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for verb in re.findall(r"`?make ([a-z]+)`?", page.read_text()):
            if verb in {"it", "them", "a", "the"}:
                continue
            assert re.search(rf"^{verb}:", makefile, flags=re.M), f"{page.name}: make {verb}"
    for install in re.findall(r"pip install.*", makefile):
        assert "-c constraints.txt" in install


def test_torch_is_constrained_and_torchvision_is_no_dependency() -> None:
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    assert '"torch>=2.11"' in project
    assert "torchvision" not in project
