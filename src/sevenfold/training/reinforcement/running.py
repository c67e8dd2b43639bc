"""From a recipe of the task control to its run record: play, learn, evaluate, keep the weights.

The run's steps are agent steps, over all environments together. What is logged: the return and length of every
episode that ended, the loss, and, at each evaluation, nothing that training could see: evaluation plays in
environments of its own, with seeds of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sevenfold import checkpoints
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunRecord, RunStore, RunWriter
from sevenfold.training.conditions import Interruption, run_conditions
from sevenfold.training.environment import describe_environment
from sevenfold.training.experience import ExperienceRun
from sevenfold.training.failures import clear_failures
from sevenfold.training.progress import Progress
from sevenfold.training.reinforcement.learner import Learner
from sevenfold.training.reinforcement.playing import Playing, build_playing, evaluated
from sevenfold.training.reinforcement.worlds import Episode
from sevenfold.training.starting import begin_from
from sevenfold.training.workload import resolve_device

__all__ = ["control_run"]

_RECENT = 100  # episodes of training whose mean return the summary states


def control_run(
    recipe: Recipe,
    *,
    store: RunStore,
    home: Path,
    on_step: Callable[[Progress], None] | None = None,
    keep_weights: bool = True,
    fresh: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> RunRecord:
    """Carry a recipe of the task control out; an interrupted run goes on with replay, counters and random state."""
    folder = home / "runs" / recipe.run_id()
    device = resolve_device(recipe)
    with run_conditions(recipe, device), clear_failures(recipe):
        playing = build_playing(recipe)
        taken = None if recipe.start is None else begin_from(playing.model, recipe.start, home)
        learner = playing.learner()
        with (
            closing(learner.worlds),
            store.open(
                recipe,
                provenance=_provenance(playing),
                environment=describe_environment(recipe, device),
                again=fresh,
            ) as writer,
            clear_failures(recipe),
            Interruption() as interruption,
        ):
            if fresh:
                checkpoints.remove_checkpoints(folder / "checkpoints")
            run = _ControlRun(playing, learner, taken, writer, folder, note)
            run.restore()
            run.learn(on_step, lambda: interruption.wanted)
            run.finish(keep_weights)
    return store.require(recipe.run_id())


class _ControlRun(ExperienceRun):
    """An agent in its environments."""

    checkpoints_kept = 1  # a replay is large

    def __init__(
        self,
        playing: Playing,
        learner: Learner,
        taken: int | None,
        writer: RunWriter,
        folder: Path,
        note: Callable[[str], None],
    ) -> None:
        super().__init__(playing.recipe, learner.model, learner.optimizer, playing.device, writer, folder, note)
        self._playing, self._learner, self._taken = playing, learner, taken
        self._episodes, self._recent = 0, list[float]()

    def advance(self) -> tuple[int, Mapping[str, float]]:
        advance = self._learner.advance(self.step)
        figures = dict(advance.figures)
        if advance.episodes:
            self._episodes += len(advance.episodes)
            totals = [_shown(episode) for episode in advance.episodes]
            self._recent = (self._recent + totals)[-_RECENT:]
            figures["episode_return"] = float(np.mean(totals))
            figures["episode_steps"] = float(np.mean([episode.steps for episode in advance.episodes]))
        return advance.steps, figures

    def held(self) -> Mapping[str, Tensor]:
        return self._learner.state()

    def restore_held(self, held: Mapping[str, Tensor]) -> None:
        self._learner.restore(held)

    def counters(self) -> dict[str, Any]:
        return {"episodes": self._episodes, "recent": self._recent}

    def restore_counters(self, counters: Mapping[str, Any]) -> None:
        self._episodes, self._recent = counters["episodes"], counters["recent"]

    def finish(self, keep_weights: bool) -> None:
        settings = self._playing.environment_settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            agent = evaluated(self._playing, self._learner.act, settings.evaluation_episodes)
            actions = self._playing.frame.actions
            chance = evaluated(
                self._playing,
                lambda seen: torch.randint(actions, (len(seen),)).numpy(),
                settings.evaluation_episodes,
            )
        baseline = self._baseline(settings.evaluation_episodes)
        exact = self._playing.environment.exact(settings, self._playing.best)
        figures = {**self._summary(agent, chance), **baseline, **exact}
        self.finished(self._learner.model, figures, keep_weights=keep_weights)

    def _baseline(self, episodes: int) -> dict[str, float | str | None]:
        """How the environment's player without learning does in the same episodes, where it has one."""
        move = self._playing.environment.baseline
        if move is None:
            return {"baseline_return": None}
        plain = self._playing.for_baseline()
        played = evaluated(plain, lambda seen: np.array([move(one) for one in seen]), episodes)
        return {"baseline_return": float(np.mean([_shown(one) for one in played]))}

    def _summary(self, agent: list[Episode], chance: list[Episode]) -> dict[str, float | str | None]:
        totals, random = [_shown(one) for one in agent], [_shown(one) for one in chance]
        return {
            "test_return": float(np.mean(totals)),
            "test_return_deviation": float(np.std(totals)),
            "test_episode_steps": float(np.mean([episode.steps for episode in agent])),
            "random_return": float(np.mean(random)),
            "random_return_deviation": float(np.std(random)),
            "evaluation_episodes": len(agent),
            "training_return": float(np.mean(self._recent)) if self._recent else None,
            "episodes": self._episodes,
            "steps_per_second": self.step / self.seconds if self.seconds else None,
            "started_parameters": self._taken,
        }


def _shown(episode: Episode) -> float:
    """The score where the game keeps one (unclipped rewards, all lives), else the return."""
    return episode.total if episode.score is None else episode.score


def _provenance(playing: Playing) -> dict[str, Any]:
    entry = playing.environment
    return {
        "name": entry.name,
        "source": entry.source,
        "licence": entry.licence,
        "num_examples": 0,
        "sha256": "-",
        "version": entry.version(),
        "notes": entry.summary,
    }
