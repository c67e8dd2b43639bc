"""An analytic world for the diagnosis: a loss surface that is known, with seed noise as training has it.

L = E + A/N^a + B/D^b + C/S^c + q log2(lr/best)^2 + (what other settings add), plus noise that all probes of one
seed share and noise that each run has alone. The `*_price` are the effects without noise.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sevenfold.diagnosis.facts import Alternative, Facts
from sevenfold.diagnosis.probes import ProbeOutcome
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe


@dataclass(frozen=True)
class World:
    """The constants of one loss surface; amounts are relative to the recipe's."""

    floor: float = 0.2
    parameters: float = 0.02  # A: what infinite parameters would save
    parameters_power: float = 0.5
    data: float = 0.02
    data_power: float = 0.5
    compute: float = 0.02
    compute_power: float = 0.7
    rate_curve: float = 0.02  # nats per squared doubling of the rate
    rate_cap: float = 1.0
    best_rate: float = 2e-3
    architecture: float = -0.05  # gain of the alternative
    decay_gain: float = 0.0
    noise_shared: float = 0.01
    noise_alone: float = 0.003
    number: int = 0  # redraws every noise

    def loss(self, recipe: Recipe) -> float:
        """Without noise."""
        size = float(recipe.model.settings.get("width", 32)) / 32  # type: ignore[arg-type]
        rate = math.log2(recipe.optimizer.lr / self.best_rate)
        return (
            self.floor
            + self.parameters * (size**2) ** -self.parameters_power
            + self.data * recipe.data.fraction**-self.data_power
            + self.compute * (recipe.steps / 500) ** -self.compute_power
            + min(self.rate_cap, self.rate_curve * rate**2)
            - (self.architecture if recipe.model.name == "other" else 0.0)
            - (self.decay_gain if recipe.optimizer.weight_decay > 0.05 else 0.0)
        )

    def noisy(self, recipe: Recipe, split: str) -> float:
        shared = _normal(self.number, split, recipe.seed)
        alone = _normal(self.number, split, recipe.run_id())
        return self.loss(recipe) + self.noise_shared * shared + self.noise_alone * alone

    def gain(self, **changes: Any) -> float:
        """The true effect of a change, for checking against: keys with __ for the dot."""
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        return self.loss(RECIPE) - self.loss(RECIPE.with_changes(dotted))

    def data_price(self) -> float:
        return self.data * (1 - 2**-self.data_power)

    def parameters_price(self) -> float:
        return self.parameters * (1 - 2**-self.parameters_power)

    def compute_price(self) -> float:
        return self.compute * (1 - 2**-self.compute_power)


RECIPE = Recipe(
    name="synthetic",
    task="classification",
    model=ModelChoice(name="net"),
    data=DataChoice(name="points"),
    optimizer=Optimizer(lr=2e-3),
    steps=500,
)
FACTS = Facts(
    parameters=1024,
    num_train_examples=1000,
    dial="model.width",
    dial_value=32,
    parameters_at=lambda width: width * width,
    dropout_key="model.dropout",
    label_smoothing=True,
    alternatives=(Alternative("other", {"model.name": "other"}, 1.02, 0.9),),
)


def _normal(*key: object) -> float:
    digest = hashlib.sha256(repr(key).encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal())


@dataclass(frozen=True)
class Record:
    id: str
    summary: dict[str, float | str | None]
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass
class SyntheticRunner:
    """Carries out recipes on a world; `fails` names the recipes that fail, `clock` advances with each run."""

    world: World
    fails: Callable[[Recipe], str | None] = lambda recipe: None
    stopped_by: str = "steps"
    workers: int = 2
    run_seconds: float = 2.0
    clock: list[float] = field(default_factory=lambda: [0.0])
    finished: dict[str, Record] = field(default_factory=dict)
    carried_out: list[Recipe] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def run(self, recipes: Sequence[Recipe]) -> Iterator[ProbeOutcome]:
        self.batches.append(len(recipes))
        for recipe in recipes:
            yield self._run(recipe)

    def _run(self, recipe: Recipe) -> ProbeOutcome:
        key = recipe.run_id()
        if key in self.finished:
            return ProbeOutcome(recipe, key, self.finished[key], None, True, 0.0)
        seconds = self.run_seconds * recipe.steps / 500
        self.clock[0] += seconds / self.workers
        self.carried_out.append(recipe)
        if (reason := self.fails(recipe)) is not None:
            return ProbeOutcome(recipe, key, None, reason, False, seconds)
        used = 1000 * recipe.data.fraction
        summary: dict[str, float | str | None] = {
            "validation_loss": self.world.noisy(recipe, "validation"),
            "test_loss": self.world.noisy(recipe, "test") + 0.01,
            "final_train_loss_eval": self.world.loss(recipe) - 0.02,
            "validation_accuracy": 0.9,
            "steps": float(recipe.steps),
            "examples_seen": float(recipe.steps * recipe.batch_size),
            "epochs": recipe.steps * recipe.batch_size / used,
            "num_train_examples": used,
            "train_seconds": seconds,
            "wall_seconds": seconds,
            "stopped_by": self.stopped_by,
            "energy_j": None,
        }
        self.finished[key] = Record(key, summary, {"data": "points"})
        return ProbeOutcome(recipe, key, self.finished[key], None, False, seconds)
