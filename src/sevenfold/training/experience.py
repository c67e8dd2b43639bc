"""Runs that make what they learn from: agents that act, policies that answer. What such runs have in common.

A run advances, logs, is saved and goes on where it stopped; what an advance is, and what is evaluated at the end,
is the subclass's own. It must not know environments or texts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sevenfold import checkpoints
from sevenfold.checkpoints import Checkpoint
from sevenfold.checkpoints.folders import KEPT
from sevenfold.errors import NonFiniteLossError
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunWriter
from sevenfold.training.conditions import random_states, restore_random_states
from sevenfold.training.progress import Progress

__all__ = ["ExperienceRun"]

SAVED_EVERY_S = 300.0  # where the recipe does not say: what a kill may cost
_HELD = "held."


class ExperienceRun(ABC):
    """One run: its counters, and what is due when."""

    checkpoints_kept: ClassVar[int] = KEPT

    def __init__(
        self,
        recipe: Recipe,
        networks: nn.Module,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        writer: RunWriter,
        folder: Path,
        note: Callable[[str], None],
    ) -> None:
        self.recipe, self.networks, self.optimizer, self.device = recipe, networks, optimizer, device
        self.writer, self.folder, self.note = writer, folder, note
        self.step, self.seconds, self.loss = 0, 0.0, math.nan
        self._resumed_from, self._saved_at = 0, perf_counter()
        self._began_at = self._saved_at

    @abstractmethod
    def advance(self) -> tuple[int, Mapping[str, float]]:
        """Learn from a piece of experience: steps taken, and figures to log (``train_loss`` if there is one)."""

    @abstractmethod
    def finish(self, keep_weights: bool) -> None:
        """Evaluate, keep the weights, write the summary (`finished`)."""

    def looked_at(self) -> Mapping[str, float]:
        """Figures beside those of the advance that ``step`` has just taken; none unless a subclass has some."""
        return {}

    def held(self) -> Mapping[str, Tensor]:
        """Tensors that a checkpoint keeps beside weights, optimizer and random state."""
        return {}

    def restore_held(self, held: Mapping[str, Tensor]) -> None:
        """Hold what `held` gave."""
        assert not held, "whoever holds tensors takes them back"

    @abstractmethod
    def counters(self) -> dict[str, Any]:
        """What a checkpoint keeps as JSON beside step, seconds and loss."""

    @abstractmethod
    def restore_counters(self, counters: Mapping[str, Any]) -> None:
        """Go on from what `counters` gave."""

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        found = checkpoints.load_newest(
            self.folder / "checkpoints", on_damage=lambda error: self.note(f"passed over a checkpoint: {error}")
        )
        if found is not None:
            source = str(found.path)
            checkpoints.restore_model(self.networks, found.weights, source=source)
            checkpoints.restore_optimizer(self.networks, self.optimizer, found.optimizer, source=source)
            self.restore_held(
                {name.removeprefix(_HELD): each for name, each in found.random.items() if name.startswith(_HELD)}
            )
            restore_random_states(found.random, self.device)
            counters = found.state["counters"]
            self.step, self.seconds = counters["step"], counters["seconds"]
            loss = counters.get("loss")
            self.loss = math.nan if loss is None else loss
            self.restore_counters(counters)
            self._resumed_from = self.step
            self._began_at = perf_counter() - counters["wall_seconds"]
        self.writer.truncate_after(self.step)

    def learn(self, on_step: Callable[[Progress], None] | None, interrupted: Callable[[], bool]) -> None:
        """Advance until the recipe's steps are taken or its time is up."""
        limit = self.recipe.limits.time_s
        while self.step < self.recipe.steps and (limit is None or self.seconds < limit):
            began = perf_counter()
            taken, figures = self.advance()
            before, self.step = self.step, self.step + taken
            self.seconds += perf_counter() - began
            self._log(figures)
            if on_step is not None:
                on_step(self._progress())
            stops = interrupted()
            if stops or self._save_is_due(before):
                self._save()
            if stops:
                raise KeyboardInterrupt

    def finished(self, model: nn.Module, figures: Mapping[str, float | str | None], *, keep_weights: bool) -> None:
        """Keep the weights of ``model``, write the summary with ``figures``; checkpoints are then needless."""
        self.writer.flush()
        if keep_weights:
            facts = {"run_id": self.recipe.run_id(), "step": str(self.step)}
            checkpoints.save_weights(self.folder, checkpoints.model_tensors(model), facts)
        summary: dict[str, float | str | None] = {
            "steps": self.step,
            "train_loss": self._known_loss(),
            "train_seconds": self.seconds,
            "wall_seconds": perf_counter() - self._began_at,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "stopped_by": "steps" if self.step >= self.recipe.steps else "time",
            "validation_loss": None,
            "test_loss": None,
            "energy_j": None,
            "energy_method": None,
        }
        self.writer.finish({**figures, **summary})
        checkpoints.remove_checkpoints(self.folder / "checkpoints")

    def _log(self, figures: Mapping[str, float]) -> None:
        loss = figures.get("train_loss", 0.0)
        if not math.isfinite(loss):
            raise NonFiniteLossError(
                f"the training loss is not finite at step {self.step}",
                got=loss,
                expected="a finite loss",
                hint=f"a lower learning rate, --set optimizer.lr={self.recipe.optimizer.lr / 10:.3g}",
            )
        self.loss = figures.get("train_loss", self.loss)
        values = {**figures, **self.looked_at()}
        if values:
            self.writer.log(self.step, values)

    def _save_is_due(self, before: int) -> bool:
        every = self.recipe.checkpoint_every
        if every is not None:
            return self.step // every > before // every
        return perf_counter() - self._saved_at >= SAVED_EVERY_S

    def _save(self) -> None:
        self.writer.flush(durable=True)
        counters = self.counters() | {
            "step": self.step,
            "seconds": self.seconds,
            "wall_seconds": perf_counter() - self._began_at,
            "loss": self._known_loss(),
        }
        held = {f"{_HELD}{name}": tensor for name, tensor in self.held().items()}
        checkpoints.save_checkpoint(
            self.folder / "checkpoints",
            Checkpoint(
                step=self.step,
                weights=checkpoints.model_tensors(self.networks),
                optimizer=checkpoints.optimizer_tensors(self.networks, self.optimizer),
                random=random_states(self.device) | held,
                state={"counters": counters, "run_id": self.recipe.run_id()},
            ),
            keep=self.checkpoints_kept,
        )
        self._saved_at = perf_counter()

    def _known_loss(self) -> float | None:
        return None if math.isnan(self.loss) else self.loss

    def _progress(self) -> Progress:
        return Progress(
            run_id=self.recipe.run_id(),
            step=min(self.step, self.recipe.steps),
            steps=self.recipe.steps,
            train_loss=self._known_loss(),
            validation_loss=None,
            train_seconds=self.seconds,
            resumed_from=self._resumed_from,
        )
