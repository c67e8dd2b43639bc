"""What the training engine adds to a plain hand-written loop: microseconds of CPU a step, on a trivial network.

The plain loop does the same work with torch alone: batches from a tensor by a shuffled order, cross-entropy,
backward, clipping, fused AdamW, the loss as a number in a list. Both run in one process, block by block in turns
(the plain block runs inside the engine's step callback), so that a busy machine slows both. CPU time is that of
the whole process: the run store's flushing thread counts.

    python -m benchmarks.bench_engine
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch
from torch import nn

from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.training import Progress, train_run
from sevenfold.training.workload import build_workload

BOUND_US = 100.0
_BLOCK = 200  # steps


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
    differences = [e - p for e, p in zip(engine_s[1:-1], plain_s[1:-1], strict=True)]
    return {
        "engine_us": 1e6 * median(engine_s[1:-1]),
        "plain_us": 1e6 * median(plain_s[1:-1]),
        "added_us": 1e6 * median(differences),
    }


def run(quick: bool = False) -> list[dict[str, Any]]:
    """The rows of this benchmark."""
    torch.set_num_threads(1)
    blocks = 12 if quick else 60
    rows = []
    for name, every in (("no checkpoints", None), (f"a checkpoint every {_BLOCK} steps", _BLOCK)):
        found = measure(blocks=blocks, checkpoint_every=every)
        rows.append(
            {
                "benchmark": "engine",
                "case": name,
                "measure": "CPU added to a plain loop a step (median of blocks)",
                "value": round(found["added_us"], 1),
                "unit": "us",
                "bound": BOUND_US if every is None else None,
                "plain_us": round(found["plain_us"], 1),
                "engine_us": round(found["engine_us"], 1),
                "steps": blocks * _BLOCK,
            }
        )
    return rows


if __name__ == "__main__":
    import sys

    for row in run("--quick" in sys.argv):
        print(row)
