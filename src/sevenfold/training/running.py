"""From a recipe to its run record: open or resume the run, train, evaluate, keep the weights, write the summary.

A finished run is returned as it is. An interrupted one goes on from its newest whole checkpoint and gives, on the
CPU with the same thread count, bit for bit the losses and weights of a run that was never interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sevenfold import checkpoints
from sevenfold.checkpoints import Checkpoint
from sevenfold.errors import CheckpointError
from sevenfold.layers import Generative
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunRecord, RunStore, RunWriter
from sevenfold.training.alignment.comparing import normalize_rewards, with_reference, worth_of_answers
from sevenfold.training.conditions import (
    Interruption,
    random_states,
    restore_random_states,
    run_conditions,
)
from sevenfold.training.distilling import check_distilling, require_teacher
from sevenfold.training.environment import describe_environment
from sevenfold.training.failures import clear_failures
from sevenfold.training.loop import Loop, Tally
from sevenfold.training.metering import meter_for
from sevenfold.training.power import PowerMeter
from sevenfold.training.progress import Progress
from sevenfold.training.sampling.drawing import OnSample
from sevenfold.training.sampling.finishing import finish_generation
from sevenfold.training.starting import begin_from
from sevenfold.training.summary import summarize
from sevenfold.training.workload import Workload, build_workload, check_recipe, resolve_device

if TYPE_CHECKING:
    from sevenfold.training.alignment.asking import Asking

_logger = logging.getLogger("sevenfold")


def train_run(
    recipe: Recipe,
    *,
    store: RunStore | None = None,
    home: Path | None = None,
    on_step: Callable[[Progress], None] | None = None,
    power: PowerMeter | None = None,
    keep_weights: bool = True,
    fresh: bool = False,
    on_event: Callable[[str], None] | None = None,
) -> RunRecord:
    """Train a recipe and return its run record.

    ``power`` meters the joules of the steps (`find_meter`); ``keep_weights=False`` leaves no file but the record;
    ``fresh`` starts anew what was finished or interrupted; ``on_event`` gets notes, which otherwise go to the log.

    Raises UsageError for a recipe that cannot be built, RunError (NonFiniteLossError, OutOfMemoryError) for a run
    that could not go on, StorageError where nothing can be written; what was logged is kept. KeyboardInterrupt
    (Ctrl-C, SIGTERM) is raised at the end of a step, with a checkpoint written.
    """
    home = home or data_home()
    store = store or RunStore(home / "runs.sqlite")
    note = on_event or _logger.warning
    run = _Run(recipe, store, home / "runs" / recipe.run_id(), note, keep_weights)
    record = None if fresh else run.finished()
    if record is not None:
        return record
    if recipe.task in ("control", "rlhf"):
        return _from_experience(recipe, store, home, note, on_step=on_step, keep_weights=keep_weights, fresh=fresh)
    check_recipe(recipe)
    check_distilling(recipe)
    device = resolve_device(recipe)
    with run_conditions(recipe, device), clear_failures(recipe):
        workload = build_workload(recipe)
        taken = None if recipe.start is None else begin_from(workload.model, recipe.start, home)
        workload = _taught(workload, store, home)
        if recipe.task == "preference":
            workload = with_reference(workload)
        provenance = workload.dataset.provenance.to_dict()
        environment = describe_environment(recipe, device)
        with (
            store.open(recipe, provenance=provenance, environment=environment, again=fresh) as writer,
            clear_failures(recipe),
            Interruption() as interruption,
        ):
            if fresh:
                checkpoints.remove_checkpoints(run.checkpoints)
            return run.carry_out(workload, writer, on_step, power, lambda: interruption.wanted, taken)


def _taught(workload: Workload, store: RunStore, home: Path) -> Workload:
    """The workload with its teacher, where its recipe names one."""
    from sevenfold.training.trained import trained_workload

    run = workload.recipe.objective.teacher
    if run is None:
        return workload
    _, teacher = trained_workload(run, store=store, home=home)
    return replace(workload, teacher=require_teacher(workload, teacher))


def _from_experience(
    recipe: Recipe, store: RunStore, home: Path, note: Callable[[str], None], **how: Any
) -> RunRecord:
    """A run whose data are its own doing: an agent that acts, or a policy whose answers are rewarded."""
    from sevenfold.training.alignment.asking import build_asking
    from sevenfold.training.alignment.running import rlhf_run
    from sevenfold.training.reinforcement.running import control_run

    if recipe.task == "control":
        return control_run(recipe, store=store, home=home, note=note, **how)

    def build() -> Asking:
        return build_asking(recipe, store=store, home=home)

    return rlhf_run(recipe, build, store=store, home=home, note=note, **how)


class _Run:
    """One run's places and steps in order."""

    def __init__(
        self, recipe: Recipe, store: RunStore, folder: Path, note: Callable[[str], None], keep_weights: bool
    ) -> None:
        self.recipe, self.store, self.folder = recipe, store, folder
        self.note, self.keep_weights = note, keep_weights
        self.id = recipe.run_id()
        self.checkpoints = folder / "checkpoints"

    def finished(self) -> RunRecord | None:
        """The record of the run where it is finished, with what a kill after the end left over removed."""
        record = self.store.record(self.id)
        if record is None or record.state != "finished":
            return None
        checkpoints.remove_checkpoints(self.checkpoints)
        if self.keep_weights and not checkpoints.weights_path(self.folder).exists():
            self.note(f"run {self.id} was finished without keeping its weights; --fresh trains it again")
        return record

    def carry_out(
        self,
        workload: Workload,
        writer: RunWriter,
        on_step: Callable[[Progress], None] | None,
        power: PowerMeter | None,
        interrupted: Callable[[], bool],
        taken: int | None,
    ) -> RunRecord:
        """Train the workload as this run; the writer is the claim to the run's folder too."""
        checkpoint = self._newest()
        if checkpoint is not None and len(self._losses(checkpoint.step)) < checkpoint.step:
            self.note(f"run {self.id} starts over: its metrics before step {checkpoint.step} are not in the store")
            checkpoint = None
        loop = Loop(
            workload,
            Tally() if checkpoint is None else Tally.from_dict(checkpoint.state["tally"]),
            writer,
            save=lambda: self._save(loop, writer),
            on_step=on_step,
            meter=meter_for(workload, power),
            interrupted=interrupted,
            run_id=self.id,
        )
        self._restore(loop, checkpoint)
        writer.truncate_after(loop.tally.step)
        loop.run()

        def on_sample(done: float, of: int) -> None:
            if interrupted():
                raise KeyboardInterrupt
            if on_step is not None:
                on_step(replace(loop.progress(), sampled=done, samples=of))

        return self._finish(loop, writer, on_sample, {"started_parameters": taken})

    def _newest(self) -> Checkpoint | None:
        def damaged(error: CheckpointError) -> None:
            self.note(f"passed over a damaged checkpoint of run {self.id}: {error}")

        checkpoint = checkpoints.load_newest(self.checkpoints, on_damage=damaged)
        if checkpoint is not None and checkpoint.state.get("recipe_digest") != self._digest():
            raise CheckpointError(
                "a checkpoint of another recipe",
                got=str(checkpoint.path),
                expected=f"one of run {self.id}",
                hint="`--fresh` to start the run anew",
            )
        return checkpoint

    def _restore(self, loop: Loop, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            return
        source, model = str(checkpoint.path), loop.workload.model
        checkpoints.restore_model(model, checkpoint.weights, source=source)
        checkpoints.restore_optimizer(model, loop.take_step.optimizer, checkpoint.optimizer, source=source)
        restore_random_states(checkpoint.random, loop.workload.device)

    def _save(self, loop: Loop, writer: RunWriter) -> None:
        writer.flush(durable=True)  # the rows that a resume will not write again must be in the store first
        model = loop.workload.model
        checkpoints.save_checkpoint(
            self.checkpoints,
            Checkpoint(
                step=loop.tally.step,
                weights=checkpoints.model_tensors(model),
                optimizer=checkpoints.optimizer_tensors(model, loop.take_step.optimizer),
                random=random_states(loop.workload.device),
                state={"tally": loop.state(), "recipe_digest": self._digest(), "run_id": self.id},
            ),
        )

    def _finish(
        self, loop: Loop, writer: RunWriter, on_sample: OnSample, facts: dict[str, float | str | None]
    ) -> RunRecord:
        test, train = loop.score("test"), loop.score("train")
        normalize_rewards(loop.workload)
        writer.flush()
        if self.keep_weights:
            named = {"run_id": self.id, "recipe_digest": self._digest(), "step": str(loop.tally.step)}
            checkpoints.save_weights(self.folder, checkpoints.model_tensors(loop.workload.model), named)
        sampled = {**worth_of_answers(loop.workload), **self._sample(loop, writer, on_sample)}
        loop.state()
        losses = self._losses(loop.tally.step)
        writer.finish(summarize(loop.workload, loop.tally, losses, test=test, train=train) | facts | sampled)
        checkpoints.remove_checkpoints(self.checkpoints)
        if not self.keep_weights and self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
        return self.store.require(self.id)

    def _sample(self, loop: Loop, writer: RunWriter, on_sample: OnSample) -> dict[str, float | str | None]:
        """Figures and sheets of a model that learns to sample; none of a probe, whose weights are not kept."""
        if not self.keep_weights or not isinstance(loop.workload.model, Generative):
            return {}
        self._save(loop, writer)  # drawing may take long, and nothing is trained twice
        classifiers = self.folder.parent.parent / "classifiers"
        figures = finish_generation(
            loop.workload, self.folder, classifiers=classifiers, run_id=self.id, on_sample=on_sample
        )
        return {**figures}

    def _losses(self, step: int) -> np.ndarray:
        """The training losses that the store has of the steps up to this one."""
        if "train_loss" not in self.store.metric_names(self.id):
            return np.empty(0)
        steps, losses = self.store.metrics(self.id, "train_loss")
        return losses[steps <= step]

    def _digest(self) -> str:
        return self.recipe.identity()
