"""ENVIRONMENTS: name -> how an environment is made. A recipe of the task control names one as its data.

    snake            the game of `snake`
    gymnasium:ID     an environment that gymnasium has, with vector observations and numbered actions: CartPole-v1;
                     gymnasium:MODULE:ID imports a module first, which registers it
    atari:GAME       a game of ale-py (an extra), as the DQN papers played it: GAMENoFrameskip-v4, each action four
                     frames, the larger of the last two, grey, 84 x 84; rewards clipped; no sticky actions

>>> ENVIRONMENTS["snake"].frame(SnakeSettings(size=4))
Frame(shape=(3, 4, 4), stack=1, actions=4, dtype='float32')
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy.typing as npt
import torch
from pydantic import Field, ValidationInfo, field_validator

from sevenfold.catalog import Catalogue
from sevenfold.errors import SevenfoldError, UsageError, unknown_name
from sevenfold.runs.recipe import DataChoice
from sevenfold.spec import Spec
from sevenfold.training.reinforcement.atari import AtariPicture, AtariPlay
from sevenfold.training.reinforcement.boards import BoardView, SnakeBoards, SnakeView
from sevenfold.training.reinforcement.markov import LARGEST_SOLVED
from sevenfold.training.reinforcement.processes import ProcessWorlds
from sevenfold.training.reinforcement.snake import Snake, greedy_move
from sevenfold.training.reinforcement.solved import held_to_optimum
from sevenfold.training.reinforcement.views import HeadView, PathView
from sevenfold.training.reinforcement.worlds import SideBySide, Worlds

__all__ = ["ENVIRONMENTS", "EnvironmentEntry", "Frame", "Mode", "chosen_environment"]

Act = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]  # observations [N, ...] -> actions [N]
Mode = Literal["training", "evaluation", "pictures"]
_RENDER: dict[str, dict[str, Any]] = {"pictures": {"render_mode": "rgb_array"}}  # not every class knows the word


@dataclass(frozen=True)
class Frame:
    """What a player sees of a step, how many of them make an observation, and how many actions there are."""

    shape: tuple[int, ...]
    stack: int
    actions: int
    dtype: Literal["float32", "uint8"]

    @property
    def observation(self) -> tuple[int, ...]:
        """The shape of an observation: ``stack`` frames along the first axis."""
        return (self.stack * self.shape[0], *self.shape[1:])

    @property
    def torch_dtype(self) -> torch.dtype:
        """The type of its numbers, as torch has it."""
        return torch.uint8 if self.dtype == "uint8" else torch.float32


class Episodes(Spec):
    """How an environment is used, whichever it is."""

    environments: int = Field(default=1, ge=1, description="played side by side in training")
    evaluation_episodes: int = Field(default=30, ge=1, description="episodes of the evaluation after training")


class SnakeSettings(Episodes):
    """Snake's board, and what the player is shown of it."""

    size: int = Field(default=10, ge=2, le=64, description="cells a side")
    limit: int = Field(default=0, ge=0, description="steps without food after which a game is cut off; 0 is 4 S S")
    training_limit: int = Field(default=0, ge=0, description="the same in training alone; 0 is limit")
    view: Literal["board", "head", "paths"] = Field(
        default="board",
        description="board: as it lies, 4 moves; head: from the head, turned with it, 3 moves; paths: and searched",
    )
    reach: int = Field(
        default=0, ge=0, description="cells that head and paths show each way; 0 is all of the board"
    )
    exact_discount: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="discount at which the agent is held to the exact optimum of a board up to 4 x 4; 0: it is not",
    )

    @field_validator("exact_discount")
    @classmethod
    def _solvable(cls, discount: float, told: ValidationInfo) -> float:
        if discount and told.data.get("size", 0) > LARGEST_SOLVED:
            raise ValueError(
                f"0 on a board of {told.data['size']} x {told.data['size']}: {LARGEST_SOLVED} is solved"
            )
        return discount


class GymnasiumSettings(Episodes):
    """An environment of gymnasium."""


class AtariSettings(Episodes):
    """A game of the Arcade Learning Environment."""

    no_op_max: int = Field(default=30, ge=0, description="idle actions at the start of an episode, at most")
    lives_end: bool = Field(
        default=True, description="in training, a lost life ends the episode for the learner; the game goes on"
    )
    clip_rewards: bool = Field(default=True, description="in training, rewards count by their sign")
    processes: int = Field(
        default=0, ge=0, le=256, description="processes that step the environments; 0: the one that learns"
    )


@dataclass(frozen=True)
class EnvironmentEntry:
    """An environment of the catalogue. ``make(settings, mode)`` makes one for training, evaluation or pictures."""

    name: str
    summary: str
    settings: type[Episodes]
    make: Callable[[Any, Mode], gymnasium.Env[Any, Any]]
    frame: Callable[[Any], Frame]
    source: str
    licence: str
    version: Callable[[], str]
    baseline: Callable[[npt.NDArray[Any]], int] | None = None  # a player without learning, on one observation
    baseline_summary: str = ""
    baseline_settings: Callable[[Any], Any] = lambda settings: settings  # observations as that player reads them
    exact: Callable[[Any, Act], Mapping[str, float]] = lambda settings, act: {}  # figures that need no playing
    side_by_side: Callable[[Any, Mode, int, int], SideBySide] | None = None  # (settings, mode, number, seed)

    def worlds(self, settings: Any, mode: Mode, num: int, seed: int) -> SideBySide:
        """``num`` environments that are stepped together: as arrays where there is such a form."""
        if self.side_by_side is not None:
            return self.side_by_side(settings, mode, num, seed)
        return Worlds(lambda: self.make(settings, mode), num, seed)


ENVIRONMENTS: Catalogue[EnvironmentEntry] = Catalogue("environment")


def chosen_environment(choice: DataChoice) -> tuple[EnvironmentEntry, Any]:
    """The entry and the settings that a recipe names; raises for unknown names and settings."""
    entry = ENVIRONMENTS[choice.name]
    if choice.fraction != 1.0:
        raise UsageError(
            "an environment has no share to keep", got=f"data.fraction={choice.fraction}", expected="1"
        )
    try:
        return entry, entry.settings.from_dict(choice.settings)
    except SevenfoldError as error:
        error.message = f"environment {choice.name!r}: {error.message}"
        raise


def _snake_limit(settings: SnakeSettings, mode: Mode) -> int:
    own = settings.training_limit if mode == "training" else 0
    return own or settings.limit or 4 * settings.size**2


def _snake_view(settings: SnakeSettings) -> SnakeView:
    if settings.view == "board":
        return BoardView(settings.size)
    return (HeadView if settings.view == "head" else PathView)(settings.size, settings.reach)


def _snake_frame(settings: SnakeSettings) -> Frame:
    view = _snake_view(settings)
    return Frame(view.shape, 1, view.actions, "float32")


ENVIRONMENTS.add(
    "snake",
    EnvironmentEntry(
        name="snake",
        summary="Snake on a board of size x size cells; the score is the food eaten",
        settings=SnakeSettings,
        make=lambda settings, mode: Snake(settings.size, _snake_limit(settings, mode)),
        frame=_snake_frame,
        source="sevenfold.training.reinforcement.snake",
        licence="Apache-2.0",
        version=lambda: "-",
        baseline=greedy_move,
        baseline_summary="the shortest path to the food around the body as it lies",
        baseline_settings=lambda settings: settings.with_changes({"view": "board"}),
        exact=lambda settings, act: (
            held_to_optimum(_snake_view(settings), act, settings.exact_discount) if settings.exact_discount else {}
        ),
        side_by_side=lambda settings, mode, num, seed: SnakeBoards(
            _snake_view(settings), num, seed, _snake_limit(settings, mode)
        ),
    ),
)


def _gymnasium(name: str) -> EnvironmentEntry | None:
    if not name.startswith("gymnasium:"):
        return None
    identity = name.partition(":")[2]
    module, _, own = identity.rpartition(":")
    if module:
        _import_environments(module, name)
        identity = own
    if identity not in gymnasium.registry:
        raise unknown_name("environment of gymnasium", identity, list(gymnasium.registry))
    return EnvironmentEntry(
        name=name,
        summary=f"{identity} of gymnasium",
        settings=GymnasiumSettings,
        make=lambda settings, mode: gymnasium.make(identity, **_RENDER.get(mode, {})),
        frame=lambda settings: _vector_frame(identity),
        source=f"gymnasium {identity}",
        licence="MIT",
        version=lambda: f"gymnasium {gymnasium.__version__}",
    )


def _import_environments(module: str, name: str) -> None:
    """Import a module that registers environments of its own with gymnasium."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"the module of {name} cannot be imported",
            got=str(error),
            hint="a module on PYTHONPATH that calls gymnasium.register(id=..., entry_point=...)",
        ) from None


def _vector_frame(identity: str) -> Frame:
    environment = gymnasium.make(identity)
    seen, moves = environment.observation_space, environment.action_space
    environment.close()
    if not isinstance(moves, gymnasium.spaces.Discrete) or not isinstance(seen, gymnasium.spaces.Box):
        raise UsageError(
            f"the learners here do not fit {identity}",
            got=f"observations {seen}, actions {moves}",
            expected="numbers as observation (Box) and numbered actions (Discrete)",
        )
    return Frame(tuple(seen.shape), 1, int(moves.n), "float32")


def _atari(name: str) -> EnvironmentEntry | None:
    if not name.startswith("atari:"):
        return None
    game = name.partition(":")[2]
    if importlib.util.find_spec("ale_py") is None:
        raise UsageError(
            "the Atari games come with ale-py, which is not installed",
            got=name,
            hint="pip install 'sevenfold[atari]' (ale-py is GPL-2.0, its games' own rights are not stated)",
        )
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # its banner is no output of ours
    gymnasium.register_envs(ale_py)
    identity = f"{game}NoFrameskip-v4"
    if identity not in gymnasium.registry:
        known = [one.removesuffix("NoFrameskip-v4") for one in gymnasium.registry if one.endswith("NoFrameskip-v4")]
        raise unknown_name("Atari game", game, known)

    def make(settings: AtariSettings, mode: Mode) -> gymnasium.Env[Any, Any]:
        plain = gymnasium.make(identity, obs_type="grayscale", **_RENDER.get(mode, {}))
        training = mode == "training"
        play = AtariPlay(
            plain,
            no_op_max=settings.no_op_max,
            lives_end=training and settings.lives_end,
            clip_rewards=training and settings.clip_rewards,
        )
        return AtariPicture(play)

    def worlds(settings: AtariSettings, mode: Mode, num: int, seed: int) -> SideBySide:
        if settings.processes and num > 1 and mode != "pictures":
            choice = DataChoice(name=name, settings=settings.to_dict())
            return ProcessWorlds(choice, mode, num, seed, settings.processes)
        return Worlds(lambda: make(settings, mode), num, seed)

    def frame(settings: AtariSettings) -> Frame:
        environment = gymnasium.make(identity)
        actions = environment.action_space
        environment.close()
        assert isinstance(actions, gymnasium.spaces.Discrete)
        return Frame((1, 84, 84), 4, int(actions.n), "uint8")

    return EnvironmentEntry(
        name=name,
        summary=f"{game} on the Atari 2600, {identity}: no sticky actions, four frames an action",
        settings=AtariSettings,
        make=make,
        frame=frame,
        source=f"ale-py, {identity}",
        licence="ale-py GPL-2.0; the rights of the game itself are not stated",
        version=lambda: f"ale-py {ale_py.__version__}",
        side_by_side=worlds,
    )


ENVIRONMENTS.add_finder(_gymnasium)
ENVIRONMENTS.add_finder(_atari)
