"""``sevenfold play``: a game played by a trained agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.play import Game


def play(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A finished run of an agent: its id, or the beginning of it.")
    ],
    seed: Annotated[int, typer.Option(help="One seed, one game.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The picture to write, a GIF; in the run's folder without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let the agent of a RUN play one game, written as an animated picture."""
    from sevenfold.actions.play import play as action

    emit(action(run, seed=seed, out=out), as_json, _render)


def _render(game: Game) -> Any:
    from rich.text import Text

    cut = "" if game.whole else ", cut off there"
    return Text(
        f"{game.environment}: score {game.score:g} in {game.steps} steps{cut}\npicture: {game.picture}",
        overflow="fold",
    )
