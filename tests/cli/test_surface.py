"""Every verb and every flag by name, so that the surface grows on purpose."""

from __future__ import annotations

from typing import Any

import pytest
import typer

import sevenfold
from sevenfold.cli._boundary import run_guarded
from sevenfold.cli._commands import app

SURFACE = {
    "calibrate": ["--check", "--json", "--quick", "--threads"],
    "chips list": ["--json"],
    "chips show": ["--json", "NAME"],
    "cost": [
        "--batch", "--causal", "--depth", "--dtype", "--html", "--image", "--json", "--measure-zeros", "--on",
        "--optimizer", "--pictures", "--seq", "--set", "--threads", "--train", "MODEL",
    ],
    "count": [
        "--autocast", "--batch", "--causal", "--depth", "--dtype", "--forward-only", "--image", "--json", "--real",
        "--seq", "--set", "MODEL",
    ],
    "diagnose": [
        "--budget", "--json", "--limit", "--min-effect", "--price", "--report", "--seeds", "--set", "--workers",
        "RECIPE",
    ],
    "eyeriss simulate": ["--batch", "--image", "--json", "--layer", "--seq", "--set", "MODEL"],
    "eyeriss validate": ["--json"],
    "fit": ["--approach", "--draws", "--drop-highest", "--flops", "--json", "--picture", "--seed", "RUNS"],
    "generate": [
        "--json", "--max-new-tokens", "--prompt", "--seed", "--temperature", "--top-k", "--top-p", "SOURCE",
    ],
    "inpaint": [
        "--condition", "--guidance", "--image", "--json", "--mask", "--num", "--out", "--seed", "--steps", "RUN",
    ],
    "interpolate": ["--first", "--json", "--num", "--out", "--second", "--seed", "RUN"],
    "label": [
        "--agreement", "--from-run", "--json", "--judge", "--judged-by", "--labeller", "--max-new-tokens", "--num",
        "--out", "--prompts", "--seed", "--temperature", "ANSWERS",
    ],
    "load": ["--dtype", "--json", "FOLDER"],
    "mechanisms": ["--json"],
    "mechanisms show": ["--json", "NAME"],
    "models": ["--json"],
    "models show": ["--depth", "--json", "--on", "NAME"],
    "paradigms list": ["--json"],
    "paradigms run": ["--json", "--seeds", "NAME"],
    "paradigms show": ["--json", "NAME"],
    "plan budget": [
        "--chip", "--chips", "--days", "--flops", "--joules", "--json", "--megawatts", "--mfu", "--pue",
        "--served-tokens", "--usd", "--usd-per-chip-hour",
    ],
    "plan check": ["--chip", "--fit", "--json", "FILE"],
    "plan datacenter": [
        "--chip", "--chip-usd", "--chips", "--grid-mw", "--json", "--parameters", "--pue", "--step-s",
        "--usd-per-kwh",
    ],
    "plan ladder": ["--json"],
    "plan serve": [
        "--cached", "--chip", "--corpus", "--json", "--kv-bits", "--model", "--output", "--p99", "--p99-token",
        "--prompt", "--qps", "--tensor", "--usd-per-chip-hour", "--weight-bits",
    ],
    "plan train": [
        "--batch", "--chip", "--chips", "--json", "--model", "--picture", "--precision", "--pue", "--sequence",
        "--tokens",
        "--usd-per-chip-hour", "--usd-per-kwh",
    ],
    "plan trend": ["--json", "--lever", "--picture", "--since", "--table", "--year"],
    "play": ["--json", "--out", "--seed", "RUN"],
    "quantize": ["--bits", "--from", "--group", "--json", "--out", "--weights-only", "RUN"],
    "recipes list": ["--json"],
    "recipes show": ["--json", "NAME"],
    "reconstruct": ["--image", "--json", "--num", "--out", "RUN"],
    "represent": ["--json", "--layer", "--map", "--method", "--out", "--split", "RUN"],
    "runs check": ["--json"],
    "runs compare": ["--json", "RUNS"],
    "runs report": ["--json", "--out", "RUN"],
    "runs list": ["--json", "--limit", "--recipe", "--state"],
    "runs show": ["--json", "RUN"],
    "sample": [
        "--condition", "--eta", "--fresh", "--guidance", "--json", "--num", "--seed", "--steps", "--temperature",
        "RUN",
    ],
    "translate": [
        "--condition", "--guidance", "--image", "--json", "--num", "--out", "--seed", "--steps", "--strength",
        "RUN",
    ],
    "sweep": [
        "--area", "--backend", "--batch", "--buffers", "--chip", "--goal", "--image", "--json", "--picture",
        "--seq", "--set", "--shapes", "--train", "--workers", "MODEL",
    ],
    "train": ["--fresh", "--json", "--set", "RECIPE"],
}  # fmt: skip


def _commands(command: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in command.commands.items():
        path = f"{prefix} {name}".strip()
        if hasattr(inner, "commands"):
            found |= {path: inner} if inner.params else {}
            found |= _commands(inner, path)
        else:
            found[path] = inner
    return found


COMMANDS = _commands(typer.main.get_command(app))


def _flags(command: Any) -> list[str]:
    return sorted(
        option if option.startswith("-") else parameter.name.upper()
        for parameter in command.params
        for option in parameter.opts
    )


def test_every_verb_and_flag_is_named_here() -> None:
    assert {path: _flags(command) for path, command in COMMANDS.items()} == SURFACE


@pytest.mark.parametrize("path", sorted(SURFACE))
def test_every_verb_has_json_and_explains_itself_and_every_flag(path: str) -> None:
    command = COMMANDS[path]
    assert "--json" in _flags(command)
    assert command.help
    assert all(parameter.help for parameter in command.params)


def test_every_action_of_the_python_api_is_there_and_documented() -> None:
    actions = [name for name in sevenfold.__all__ if name != "data"]
    assert {"train", "count", "cost", "chips", "calibrate", "diagnose", "recipe"} <= set(actions)
    for name in actions:
        assert ">>>" in (getattr(sevenfold, name).__doc__ or ""), f"{name} has no example"
    assert sevenfold.data.arrays.__doc__


def test_recipes_list_themselves_and_their_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(["recipes", "list"]) == 0
    assert "digits-cnn" in capsys.readouterr().out
    assert run_guarded(["recipes", "show", "digits-cnn"]) == 0
    shown = capsys.readouterr().out
    for key in ("optimizer.lr", "model.width", "model.dropout", "data.fraction", "steps"):
        assert key in shown
    assert run_guarded(["recipes", "show", "digits-cn"]) == 2
    assert "try digits-cnn" in capsys.readouterr().err
