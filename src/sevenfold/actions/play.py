"""The action behind ``sevenfold play``: a finished agent plays a game, shown as an animated picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import InputFileError, UsageError

if TYPE_CHECKING:
    from sevenfold.runs.record import RunRecord

SCHEMA_VERSION = "1.0"
_FRAME_MS = 120
_LONGEST = 2000  # steps in one picture


@dataclass(frozen=True)
class Game:
    """An episode that a run's agent played."""

    run: str
    environment: str
    seed: int
    score: float  # the game's own, where it keeps one, else the return
    steps: int
    whole: bool  # False: cut off after `_LONGEST` steps
    picture: str

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def play(run: str, *, seed: int = 0, out: Path | str | None = None) -> Game:
    """Let the agent of a finished ``control`` run play one game, and write it as a GIF.

    >>> play("dqn-snake-4-s0", seed=1).score  # doctest: +SKIP
    13.0

    ``out`` is the run's folder without it. One seed gives one game. Raises UnknownNameError for a run that is not
    there, UsageError for a run of another task or an environment without pictures, InputFileError without weights.
    """
    import torch
    from PIL import Image

    from sevenfold.checkpoints import load_weights, restore_model, weights_path
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore
    from sevenfold.training.conditions import run_conditions
    from sevenfold.training.reinforcement.playing import build_playing, filmed

    record = _require_agent(RunStore().require(run))
    folder = data_home() / "runs" / record.id
    if not weights_path(folder).is_file():
        raise InputFileError(
            f"the weights of run {record.id} were not kept", hint="`sevenfold train --fresh` with the same recipe"
        )
    path = Path(out) if out is not None else folder / f"game-seed{seed}.gif"
    if path.suffix.lower() != ".gif":
        raise UsageError("a game is an animated picture", got=str(path), expected="a file name that ends in .gif")
    recipe = record.run_recipe()
    playing = build_playing(recipe)
    restore_model(playing.model, load_weights(folder), source=str(folder))
    playing.model.eval()
    with run_conditions(recipe, playing.device):
        torch.manual_seed(seed)
        film = filmed(playing, playing.actor(), seed=seed, at_most=_LONGEST)
    pictures = [Image.fromarray(frame) for frame in film.frames]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=_FRAME_MS, loop=0)
    except OSError as error:
        raise InputFileError("cannot write the picture", got=f"{path} ({error.strerror})") from None
    episode = film.episode
    return Game(
        run=record.id,
        environment=recipe.data.name,
        seed=seed,
        score=episode.total if episode.score is None else episode.score,
        steps=episode.steps,
        whole=episode.steps < _LONGEST,
        picture=str(path),
    )


def _require_agent(record: RunRecord) -> RunRecord:
    task = record.run_recipe().task
    if task != "control":
        raise UsageError(
            f"run {record.id} is of no agent that plays",
            got=f"task {task}",
            expected="task control",
            hint="`sevenfold train ppo-cartpole`",
        )
    if record.state != "finished":
        raise UsageError(
            f"run {record.id} has no final weights",
            got=f"state {record.state}",
            expected="a finished run",
            hint="`sevenfold train` with the same recipe, which goes on where it stopped",
        )
    return record
