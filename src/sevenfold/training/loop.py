"""The loop: batches in, steps taken, losses logged, validation passes and checkpoints when they are due.

One loop for every task. All that it knows between two steps is in `Tally`, the model, the optimizer and the
random-number states, so that a checkpoint of these is the whole run. Knows no folder and no run store: it logs and
saves through what it is given.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor

from sevenfold.data import Inputs, moved
from sevenfold.errors import NonFiniteLossError
from sevenfold.training.batches import BatchOrder
from sevenfold.training.evaluating import Score, evaluate
from sevenfold.training.players import step_of
from sevenfold.training.power import PowerMeter
from sevenfold.training.progress import Progress
from sevenfold.training.workload import Workload

_FETCHED_TOGETHER = {"cpu": 1}  # losses; elsewhere each fetch waits for the device, so that more are taken at once
_FETCHED_ELSEWHERE = 16
_AS_IN_TRAINING = (
    "preference",
    "causal-lm",
    "masked-lm",
    "seq2seq",
    "segmentation",
    "image-text",
    "generation",
    "contrastive",
)
_METER_EVERY_S = 0.1
SAVED_EVERY_S = 300.0  # where the recipe does not say: what a kill may cost
_DURATIONS_KEPT = 4096


@dataclass
class Tally:
    """What a run has come to; plain data, part of every checkpoint."""

    step: int = 0  # optimizer steps taken
    train_seconds: float = 0.0  # inside steps: batch, forward, backward, update, logging
    wall_seconds: float = 0.0  # of all processes of the run, evaluation and checkpoints included
    energy_j: float | None = None  # of the steps; None once any of them was not metered
    energy_method: str | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    best_validation_loss: float | None = None
    step_seconds_median: float | None = None
    stopped_by: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Tally:
        return cls(**{name: state[name] for name in cls.__dataclass_fields__})


class Log(Protocol):
    """Where metrics go: the writer of a run store, or a list in a test."""

    def log(self, step: int, values: Mapping[str, float]) -> object: ...


class Loop:
    """Trains a workload from wherever its tally stands.

    ``save()`` is called when a checkpoint is due; ``interrupted()`` is asked after every step, and True means: save
    and raise KeyboardInterrupt.
    """

    def __init__(
        self,
        workload: Workload,
        tally: Tally,
        log: Log,
        *,
        save: Callable[[], object] = lambda: None,
        on_step: Callable[[Progress], None] | None = None,
        meter: PowerMeter | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        run_id: str = "",
    ) -> None:
        self.workload, self.tally, self.recipe = workload, tally, workload.recipe
        self.take_step = step_of(workload.recipe, workload.model, workload.loss, workload.device, workload.teacher)
        self._order = BatchOrder(
            seed=self.recipe.seed, size=len(workload.dataset.train), batch_size=self.recipe.batch_size
        )
        self._log, self._save, self._on_step, self._interrupted = log, save, on_step, interrupted
        self._run_id, self._resumed_from = run_id, tally.step
        self._pending: list[tuple[int, Tensor]] = []
        self._fetched_together = _FETCHED_TOGETHER.get(workload.device.type, _FETCHED_ELSEWHERE)
        self._untold_s = 0.0  # time of the steps whose losses are still to be fetched
        self._last_loss: float | None = None
        self._durations: deque[float] = deque(maxlen=_DURATIONS_KEPT)
        # Without gradients more fits than in training; but of a language model the logits are most of it.
        at_once = self.recipe.batch_size // self.recipe.accumulate
        few = self.recipe.task in _AS_IN_TRAINING
        self._evaluation_batch = at_once if few else 4 * at_once
        self._meter = meter
        self._meter_read_at = self._meter_j = 0.0
        self._saved_at = perf_counter()
        self._began_at = self._saved_at - tally.wall_seconds

    def run(self) -> None:
        """Train until ``tally.stopped_by`` says what ended it; raises NonFiniteLossError."""
        self._begin_metering()
        self.workload.model.train()
        while self.tally.stopped_by is None:
            self._step()

    def state(self) -> dict[str, Any]:
        """The tally as a checkpoint holds it."""
        self.tally.wall_seconds = perf_counter() - self._began_at
        if self._durations:
            self.tally.step_seconds_median = median(self._durations)
        return self.tally.to_dict()

    def score(self, split_name: str) -> Score:
        """Evaluate on ``train``, ``validation`` or ``test``; raises NonFiniteLossError."""
        workload, recipe = self.workload, self.recipe
        score = evaluate(
            workload.model,
            self.take_step.forward,
            getattr(workload.dataset, split_name),
            task=recipe.task,
            at_most=recipe.evaluate_examples,
            batch_size=self._evaluation_batch,
            device=workload.device,
        )
        if not math.isfinite(score.loss):
            raise self._non_finite(f"{split_name} loss", score.loss, self.tally.step)
        return score

    def _step(self) -> None:
        tally = self.tally
        began = perf_counter()
        inputs, targets = self._batch(tally.step)
        loss = self.take_step(inputs, targets, tally.step)
        tally.step += 1
        self._pending.append((tally.step, loss))
        self._fetch_losses(began, at_least=self._fetched_together)
        tally.stopped_by = self._what_stops()
        if tally.stopped_by is not None or tally.step % self.recipe.evaluate_every == 0:
            self._validate()
        self._save_if_due()
        if self._on_step is not None:
            self._on_step(self.progress())

    def _batch(self, step: int) -> tuple[Inputs, Tensor]:
        inputs, targets = self.workload.dataset.train.batch(self._order.indices(step))
        device = self.workload.device
        if device.type == "cpu":
            return inputs, targets
        return (
            moved(inputs, device, pin=True),
            targets.pin_memory().to(device, non_blocking=True),
        )

    def _fetch_losses(self, began: float, *, at_least: int = 1) -> None:
        """Fetch and log the pending losses, if there are enough; the time since ``began`` counts as training."""
        pending = self._pending
        fetched = len(pending) if len(pending) >= at_least else 0
        if fetched:
            values = (
                [pending[0][1].tolist()] if fetched == 1 else torch.stack([loss for _, loss in pending]).tolist()
            )
            for (step, _), value in zip(pending, values, strict=True):
                self._log_losses(step, value)
            pending.clear()
        passed = perf_counter() - began
        self.tally.train_seconds += passed
        self._untold_s += passed
        if fetched:
            self._durations.append(self._untold_s / fetched)
            self._untold_s = 0.0

    def _log_losses(self, step: int, losses: float | list[float]) -> None:
        """Log a step's loss; of a model of players, each one's who played, the first of them as the loss."""
        if isinstance(losses, float):
            values = {"train_loss": losses}
        else:
            named = zip(self.take_step.names(step - 1), losses, strict=True)
            played = {f"train_loss_{name}": loss for name, loss in named if name is not None}
            values = {"train_loss": next(iter(played.values()), math.nan), **played}
        for loss in values.values():
            if not math.isfinite(loss):
                raise self._non_finite("training loss", loss, step)
        self._log.log(step, values)
        self._last_loss = values["train_loss"]

    def _what_stops(self) -> str | None:
        limits, tally = self.recipe.limits, self.tally
        if tally.step >= self.recipe.steps:
            return "steps"
        if limits.time_s is not None and tally.train_seconds >= limits.time_s:
            return "time"
        self._read_meter()  # without a limit too: a counter that wraps must be read now and then
        if limits.energy_j is not None and tally.energy_j is not None and tally.energy_j >= limits.energy_j:
            return "energy"
        return None

    def _validate(self) -> None:
        self._settle()
        score, tally = self.score("validation"), self.tally
        tally.validation_loss = score.loss
        best = tally.best_validation_loss
        tally.best_validation_loss = score.loss if best is None else min(best, score.loss)
        values = {"validation_loss": score.loss}
        if score.accuracy is not None:
            tally.validation_accuracy = values["validation_accuracy"] = score.accuracy
        self._log.log(tally.step, values)
        self._begin_metering()

    def _save_if_due(self) -> None:
        interrupted = self._interrupted()
        if interrupted or self._save_is_due():
            self._settle()
            self._save()
            self._saved_at = perf_counter()
            self._begin_metering()
        if interrupted:
            raise KeyboardInterrupt

    def _save_is_due(self) -> bool:
        every = self.recipe.checkpoint_every
        if every is not None:
            return self.tally.step % every == 0
        return perf_counter() - self._saved_at >= SAVED_EVERY_S

    def _settle(self) -> None:
        """All losses fetched and the energy of the steps so far counted."""
        if self._pending:
            self._fetch_losses(perf_counter())
        self._read_meter(now=True)

    def _begin_metering(self) -> None:
        """Energy counts from here: what evaluation and checkpoints drew is left out."""
        tally, meter = self.tally, self._meter
        if meter is None:
            tally.energy_j = tally.energy_method = None
            return
        if tally.step == 0 and tally.energy_j is None:
            tally.energy_j, tally.energy_method = 0.0, meter.method
        if meter.method == "modelled" and tally.energy_j is not None:
            tally.energy_method = meter.method
        self._meter_j = meter.read_j(tally.step)
        self._meter_read_at = perf_counter()

    def _read_meter(self, *, now: bool = False) -> None:
        meter, tally = self._meter, self.tally
        if meter is None or tally.energy_j is None:
            return
        at = perf_counter()
        if now or meter.method == "modelled" or at - self._meter_read_at >= _METER_EVERY_S:
            joules = meter.read_j(tally.step)
            tally.energy_j += joules - self._meter_j
            self._meter_j, self._meter_read_at = joules, at

    def progress(self) -> Progress:
        """How the run stands."""
        return Progress(
            run_id=self._run_id,
            step=self.tally.step,
            steps=self.recipe.steps,
            train_loss=self._last_loss,
            validation_loss=self.tally.validation_loss,
            train_seconds=self.tally.train_seconds,
            resumed_from=self._resumed_from,
        )

    def _non_finite(self, what: str, value: float, step: int) -> NonFiniteLossError:
        rate = self.take_step.rate(max(0, step - 1))
        return NonFiniteLossError(
            f"the {what} is not finite at step {step}",
            got=f"{value} at learning rate {rate:.3g}",
            expected="a finite loss",
            hint=f"a lower learning rate, --set optimizer.lr={min(self.recipe.optimizer.lr / 10, 0.01):.3g}",
        )
