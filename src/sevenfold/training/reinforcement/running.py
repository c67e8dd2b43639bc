"""From a recipe of the task control to its run record: play, learn, evaluate, keep the weights.

The run's steps are agent steps, over all environments together. What is logged: the return and length of every
episode that ended, the loss, and, at each evaluation, nothing that training could see: evaluation plays in
environments of its own, with seeds of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from sevenfold import checkpoints
from sevenfold.checkpoints import Checkpoint
from sevenfold.errors import NonFiniteLossError
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunRecord, RunStore, RunWriter
from sevenfold.training.conditions import Interruption, random_states, restore_random_states, run_conditions
from sevenfold.training.environment import describe_environment
from sevenfold.training.failures import clear_failures
from sevenfold.training.progress import Progress
from sevenfold.training.reinforcement.learner import Learner
from sevenfold.training.reinforcement.playing import Playing, build_playing, evaluated
from sevenfold.training.reinforcement.worlds import Episode
from sevenfold.training.workload import resolve_device

__all__ = ["control_run"]

SAVED_EVERY_S = 300.0
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
            run = _ControlRun(playing, learner, writer, folder, note)
            run.restore()
            run.play(on_step, lambda: interruption.wanted)
            run.finish(keep_weights)
    return store.require(recipe.run_id())


class _ControlRun:
    """One run: its counters, and what is due when."""

    def __init__(
        self, playing: Playing, learner: Learner, writer: RunWriter, folder: Path, note: Callable[[str], None]
    ) -> None:
        self.playing, self.learner, self.writer, self.folder, self.note = playing, learner, writer, folder, note
        self.recipe = playing.recipe
        self.step, self.seconds, self.wall_seconds = 0, 0.0, 0.0
        self.episodes, self.loss = 0, math.nan
        self.recent: list[float] = []
        self._resumed_from, self._saved_at = 0, perf_counter()
        self._began_at = self._saved_at

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        found = checkpoints.load_newest(
            self.folder / "checkpoints", on_damage=lambda error: self.note(f"passed over a checkpoint: {error}")
        )
        if found is not None:
            source = str(found.path)
            checkpoints.restore_model(self.learner.model, found.weights, source=source)
            checkpoints.restore_optimizer(
                self.learner.model, self.learner.optimizer, found.optimizer, source=source
            )
            held = {name.removeprefix("held."): t for name, t in found.random.items() if name.startswith("held.")}
            self.learner.restore(held)
            restore_random_states(found.random, self.playing.device)
            counters = found.state["counters"]
            self.step, self.seconds, self.episodes = counters["step"], counters["seconds"], counters["episodes"]
            self.recent, self._resumed_from = counters["recent"], counters["step"]
            self._began_at = perf_counter() - counters["wall_seconds"]
        self.writer.truncate_after(self.step)

    def play(self, on_step: Callable[[Progress], None] | None, interrupted: Callable[[], bool]) -> None:
        """Advance until the recipe's steps are taken or its time is up."""
        limit = self.recipe.limits.time_s
        while self.step < self.recipe.steps and (limit is None or self.seconds < limit):
            began = perf_counter()
            advance = self.learner.advance(self.step)
            before, self.step = self.step, self.step + advance.steps
            self.seconds += perf_counter() - began
            self._log(advance.episodes, advance.figures)
            if on_step is not None:
                on_step(self._progress())
            stops = interrupted()
            if stops or self._save_is_due(before):
                self._save()
            if stops:
                raise KeyboardInterrupt

    def finish(self, keep_weights: bool) -> None:
        """Evaluate, keep the weights, write the summary."""
        settings = self.playing.environment_settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            agent = evaluated(self.playing, self.learner.act, settings.evaluation_episodes)
            actions = self.playing.frame.actions
            chance = evaluated(
                self.playing,
                lambda seen: torch.randint(actions, (len(seen),)).numpy(),
                settings.evaluation_episodes,
            )
        baseline = self._baseline(settings.evaluation_episodes)
        exact = self.playing.environment.exact(settings, self.playing.best)
        self.writer.flush()
        if keep_weights:
            facts = {"run_id": self.recipe.run_id(), "step": str(self.step)}
            checkpoints.save_weights(self.folder, checkpoints.model_tensors(self.learner.model), facts)
        self.wall_seconds = perf_counter() - self._began_at
        self.writer.finish({**self._summary(agent, chance), **baseline, **exact})
        checkpoints.remove_checkpoints(self.folder / "checkpoints")

    def _baseline(self, episodes: int) -> dict[str, float | str | None]:
        """How the environment's player without learning does in the same episodes, where it has one."""
        move = self.playing.environment.baseline
        if move is None:
            return {"baseline_return": None}
        plain = self.playing.for_baseline()
        played = evaluated(plain, lambda seen: np.array([move(one) for one in seen]), episodes)
        return {"baseline_return": float(np.mean([_shown(one) for one in played]))}

    def _log(self, episodes: tuple[Episode, ...], figures: Mapping[str, float]) -> None:
        values = dict(figures)
        if not math.isfinite(values.get("train_loss", 0.0)):
            raise NonFiniteLossError(
                f"the training loss is not finite at step {self.step}",
                got=values["train_loss"],
                expected="a finite loss",
                hint=f"a lower learning rate, --set optimizer.lr={self.recipe.optimizer.lr / 10:.3g}",
            )
        self.loss = values.get("train_loss", self.loss)
        if episodes:
            self.episodes += len(episodes)
            totals = [_shown(episode) for episode in episodes]
            self.recent = (self.recent + totals)[-_RECENT:]
            values["episode_return"] = float(np.mean(totals))
            values["episode_steps"] = float(np.mean([episode.steps for episode in episodes]))
        if values:
            self.writer.log(self.step, values)

    def _save_is_due(self, before: int) -> bool:
        every = self.recipe.checkpoint_every
        if every is not None:
            return self.step // every > before // every
        return perf_counter() - self._saved_at >= SAVED_EVERY_S

    def _save(self) -> None:
        self.writer.flush(durable=True)
        held = {f"held.{name}": tensor for name, tensor in self.learner.state().items()}
        counters = {
            "step": self.step,
            "seconds": self.seconds,
            "wall_seconds": perf_counter() - self._began_at,
            "episodes": self.episodes,
            "recent": self.recent,
        }
        checkpoints.save_checkpoint(
            self.folder / "checkpoints",
            Checkpoint(
                step=self.step,
                weights=checkpoints.model_tensors(self.learner.model),
                optimizer=checkpoints.optimizer_tensors(self.learner.model, self.learner.optimizer),
                random=random_states(self.playing.device) | held,
                state={"counters": counters, "run_id": self.recipe.run_id()},
            ),
            keep=1,  # a replay is large
        )
        self._saved_at = perf_counter()

    def _summary(self, agent: list[Episode], chance: list[Episode]) -> dict[str, float | str | None]:
        totals, random = [_shown(one) for one in agent], [_shown(one) for one in chance]
        return {
            "test_return": float(np.mean(totals)),
            "test_return_deviation": float(np.std(totals)),
            "test_episode_steps": float(np.mean([episode.steps for episode in agent])),
            "random_return": float(np.mean(random)),
            "random_return_deviation": float(np.std(random)),
            "evaluation_episodes": len(agent),
            "training_return": float(np.mean(self.recent)) if self.recent else None,
            "episodes": self.episodes,
            "steps": self.step,
            "train_loss": None if math.isnan(self.loss) else self.loss,
            "train_seconds": self.seconds,
            "wall_seconds": self.wall_seconds,
            "steps_per_second": self.step / self.seconds if self.seconds else None,
            "parameters": sum(weight.numel() for weight in self.learner.model.parameters()),
            "stopped_by": "steps" if self.step >= self.recipe.steps else "time",
            "validation_loss": None,
            "test_loss": None,
            "energy_j": None,
            "energy_method": None,
        }

    def _progress(self) -> Progress:
        return Progress(
            run_id=self.recipe.run_id(),
            step=min(self.step, self.recipe.steps),
            steps=self.recipe.steps,
            train_loss=None if math.isnan(self.loss) else self.loss,
            validation_loss=None,
            train_seconds=self.seconds,
            resumed_from=self._resumed_from,
        )


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
