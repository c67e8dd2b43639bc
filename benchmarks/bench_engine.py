"""What the training engine adds to a plain hand-written loop: microseconds of CPU a step, on a trivial network.

The plain loop does the same work with torch alone: batches from a tensor by a shuffled order, cross-entropy,
backward, clipping, fused AdamW, the loss as a number in a list. Both run in one process, block by block in turns
(the plain block runs inside the engine's step callback), so that a busy machine slows both. CPU time is that of
the whole process: the run store's flushing thread counts. *median*: of the differences between neighbouring blocks
of 20 steps. *mean*: over all steps, with what comes now and then (flushes, checkpoints) in it, and what other
programs on the machine do to it; its 95% interval is from the blocks' spread.

    python -m benchmarks.bench_engine
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import nn

from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.training import Progress, train_run
from sevenfold.training.workload import build_workload

BOUND_US = 100.0
_BLOCK = 20  # steps
_CHECKPOINT_EVERY = 200


class PlainLoop:
    """The loop that a person writes."""

    def __init__(self, recipe: Recipe) -> None:
        workload = build_workload(recipe)
        self.model, split = workload.model, workload.dataset.train
        self.inputs, self.targets = split.inputs, split.targets
        self.batch_size = recipe.batch_size
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self.losses: list[float] = []
        self.batches = self._batches()

    def _batches(self) -> Any:
        while True:
            yield from torch.randperm(len(self.inputs)).split(self.batch_size)

    def steps(self, count: int) -> None:
        for rows in itertools.islice(self.batches, count):
            loss = nn.functional.cross_entropy(self.model(self.inputs[rows]), self.targets[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.losses.append(loss.item())


def measure(*, blocks: int, checkpoint_every: int | None) -> dict[str, float]:
    """Median microseconds of CPU a step of both loops, over interleaved blocks."""
    recipe = Recipe(
        name="engine",
        task="classification",
        model=ModelChoice(name="mlp-small", settings={"width": 8}),
        data=DataChoice(name="digits"),
        steps=blocks * _BLOCK,
        evaluate_every=blocks * _BLOCK,
        checkpoint_every=checkpoint_every,
    )
    plain = PlainLoop(recipe)
    plain.steps(_BLOCK)
    engine_s: list[float] = []
    plain_s: list[float] = []
    began = process_time()

    def on_step(progress: Progress) -> None:
        nonlocal began
        if progress.step % _BLOCK:
            return
        middle = process_time()
        plain.steps(_BLOCK)
        end = process_time()
        engine_s.append((middle - began) / _BLOCK)
        plain_s.append((end - middle) / _BLOCK)
        began = process_time()

    with tempfile.TemporaryDirectory() as home:
        train_run(recipe, home=Path(home), on_step=on_step)
    # The first block holds what happens once (opening the store, importing); the last the final evaluation.
    differences = np.array(engine_s[1:-1]) - np.array(plain_s[1:-1])
    return {
        "median_us": 1e6 * float(np.median(differences)),
        "mean_us": 1e6 * float(np.mean(differences)),
        "mean_within_us": 1e6 * 1.96 * float(np.std(differences)) / len(differences) ** 0.5,
        "plain_step_us": 1e6 * float(np.median(plain_s[1:-1])),
    }


def run(quick: bool = False) -> list[dict[str, Any]]:
    """One row a case; fails where the engine adds more than the bound."""
    torch.set_num_threads(1)
    blocks = 120 if quick else 600
    rows = []
    for name, every in (
        ("no checkpoints", None),
        (f"a checkpoint every {_CHECKPOINT_EVERY} steps", _CHECKPOINT_EVERY),
    ):
        found = measure(blocks=blocks, checkpoint_every=every)
        rows.append({"added_cpu_a_step": name, **{key: round(value, 1) for key, value in found.items()}})
        rows[-1] |= {"bound_us": BOUND_US if every is None else None, "steps": blocks * _BLOCK}
    assert rows[0]["median_us"] <= BOUND_US, rows
    return rows


if __name__ == "__main__":
    import sys

    for row in run("--quick" in sys.argv):
        print(row)
