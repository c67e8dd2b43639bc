"""Three real training worlds in which the binding constraint is known, because it was built in.

data           500 noisy examples for a classifier with 160 inputs, its rate and weight decay chosen well
parameters     a perceptron one unit wide, with 1,000 handwritten digits to learn and a good rate
optimization   a perceptron wide enough, with 1,000 handwritten digits, at a hundredth of a good rate

Everything but the planted constraint was chosen by hand on seeds that no diagnosis here uses, so that nothing else
is worth as much. Trained by the real loop, in this process, about 0.1 s a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.datasets import load_digits

from sevenfold.data import ArrayData, arrays
from sevenfold.diagnosis.engine import diagnose_recipe
from sevenfold.diagnosis.facts import Facts
from sevenfold.diagnosis.probes import ProbeOutcome
from sevenfold.diagnosis.result import ConstraintName, Diagnosis
from sevenfold.errors import SevenfoldError
from sevenfold.runs.recipe import ModelChoice, Optimizer, Recipe
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run

NUM_EXAMPLES = 500  # of the world with too few
PLANTED: tuple[ConstraintName, ...] = ("data", "parameters", "optimization")


class InProcessRunner:
    """Trains probes one after the other, in this process."""

    workers = 1

    def __init__(self, home: Path) -> None:
        self.home, self.store = home, RunStore(home / "runs.sqlite")
        self.num_runs = 0

    def run(self, recipes: Sequence[Recipe]) -> Iterator[ProbeOutcome]:
        for recipe in recipes:
            start, record, error = perf_counter(), None, None
            try:
                record = train_run(recipe, store=self.store, home=self.home, keep_weights=False)
            except SevenfoldError as failure:
                error = str(failure)
            self.num_runs += 1
            yield ProbeOutcome(recipe, recipe.run_id(), record, error, False, perf_counter() - start)


def digits(num_examples: int, seed: int) -> ArrayData:
    """Handwritten digits: so many to train on, 400 to validate on, the rest to test on."""
    inputs, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(inputs))
    x, y = (inputs / 16).astype("float32")[order], labels[order]
    return arrays(
        x[:num_examples], y[:num_examples], validation=(x[1000:1400], y[1000:1400]), test=(x[1400:], y[1400:])
    )  # fmt: skip


def noisy_classes(num_examples: int, seed: int) -> ArrayData:
    """Four classes of 160 normal inputs, drawn from a softmax: a floor that no number of examples goes below."""
    weights = np.random.default_rng([seed, 0]).standard_normal((160, 4)) * 6 / np.sqrt(160)

    def draw(count: int, part: int) -> tuple[np.ndarray, np.ndarray]:
        """A larger count has the smaller one's examples first."""
        rng, noise = np.random.default_rng([seed, part]), np.random.default_rng([seed, part, 1])
        x = rng.standard_normal((count, 160)).astype("float32")
        return x, (x @ weights + noise.gumbel(size=(count, 4))).argmax(1)

    return arrays(*draw(num_examples, 1), validation=draw(1000, 2), test=draw(1000, 3), classes=4)


def planted(constraint: ConstraintName, seed: int) -> tuple[Recipe, Facts]:
    """The recipe and the facts of one planted world; ``seed`` draws its data and its runs."""
    if constraint == "data":
        data, inputs, classes = noisy_classes(NUM_EXAMPLES, seed + 5), 160, 4
        width, rate, decay, steps = 16, 0.1, 0.05, 120
    else:
        data, inputs, classes = digits(1000, seed), 64, 10
        decay, width, rate, steps = 0.0, 32, 0.003, 100
        if constraint == "parameters":
            width, rate, steps = 1, 0.2, 120
    recipe = Recipe(
        name=f"planted-{constraint}", task="classification", data=data.register(),
        model=ModelChoice(name="mlp-small", settings={"width": width, "depth": 1, "activation": "tanh"}),
        optimizer=Optimizer(name="sgd", lr=rate, weight_decay=decay), steps=steps,
        batch_size=64 if constraint == "data" else 32,
        evaluate_every=10_000, seed=1000 * (seed + 1), device="cpu",
    )  # fmt: skip

    def parameters_at(width: int) -> int:
        return inputs * width + width + width * classes + classes

    return recipe, Facts(
        parameters=parameters_at(width), num_train_examples=NUM_EXAMPLES if constraint == "data" else 1000,
        dial="model.width", dial_value=width, parameters_at=parameters_at, dropout_key="model.dropout",
        label_smoothing=True,
    )  # fmt: skip


def diagnose_planted(constraint: ConstraintName, seed: int, home: Path) -> Diagnosis:
    """The whole diagnosis of one planted world."""
    recipe, facts = planted(constraint, seed)
    return diagnose_recipe(recipe, facts, InProcessRunner(home))
