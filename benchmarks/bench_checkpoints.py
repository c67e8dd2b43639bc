"""Truncations and byte flips over the checkpoints and final weights of real runs: is every one noticed?

Runs of a perceptron and of a language model with tied weights leave checkpoints and final weights. Each time, one
file of the newest checkpoint (or of the final weights) is cut at a random length or gets one random byte changed.
*noticed*: loading it raised CheckpointError with the file's name, and the run's newest whole checkpoint was found
in its place, bit for bit. *silent*: it was loaded without a word; must be 0, and the benchmark fails otherwise.

    python -m benchmarks checkpoints
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench_kills import recipes
from sevenfold.checkpoints import Checkpoint, checkpoint_folders, load_checkpoint, load_newest, load_weights
from sevenfold.errors import CheckpointError
from sevenfold.runs.recipe import Recipe
from sevenfold.training import Progress, train_run


class _Stop(Exception):
    pass


def run(quick: bool = False) -> list[dict[str, Any]]:
    """One row a kind of file set."""
    torch.set_num_threads(1)
    source = random.Random(0)
    kept, total = recipes(), 60 if quick else 1000
    rows = []
    for name, recipe in (("perceptron", kept[0]), ("language model", kept[3])):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            checkpoints = _stopped_run(recipe, home)
            rows.append(_damage_checkpoints(name, checkpoints, 2 * total // 5, source))
            train_run(recipe, home=home)
            rows.append(_damage_weights(name, home / "runs" / recipe.run_id(), total // 10, source))
    assert sum(row["damages"] for row in rows) == total
    assert all(row["silent"] == 0 for row in rows), rows
    return rows


def damaged(content: bytes, source: random.Random) -> bytes:
    """Cut at a random length, or with one byte changed."""
    if source.random() < 0.5:
        return content[: source.randrange(len(content))]
    place = source.randrange(len(content))
    return content[:place] + bytes([content[place] ^ source.randrange(1, 256)]) + content[place + 1 :]


def _stopped_run(recipe: Recipe, home: Path) -> Path:
    """The checkpoints of a run that was stopped in its middle."""

    def on_step(progress: Progress) -> None:
        if progress.step == recipe.steps - 1:
            raise _Stop

    try:
        train_run(recipe, home=home, on_step=on_step)
    except _Stop:
        return home / "runs" / recipe.run_id() / "checkpoints"
    raise AssertionError("the run was not stopped")


def _damage_checkpoints(name: str, folder: Path, count: int, source: random.Random) -> dict[str, Any]:
    newest, before = checkpoint_folders(folder)[:2]
    expected = load_checkpoint(before)
    noticed = 0
    for _ in range(count):
        file = source.choice(sorted(newest.iterdir()))
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, source))
        notes: list[CheckpointError] = []
        found = load_newest(folder, on_damage=notes.append)
        named = len(notes) == 1 and file.name in str(notes[0])
        noticed += named and found is not None and _same(found, expected)
        file.write_bytes(whole)
    assert load_checkpoint(newest).step > expected.step
    return _row(f"checkpoint of a {name}", count, noticed)


def _damage_weights(name: str, folder: Path, count: int, source: random.Random) -> dict[str, Any]:
    noticed = 0
    for _ in range(count):
        file = source.choice([path for path in sorted(folder.iterdir()) if path.is_file()])
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, source))
        try:
            load_weights(folder)
        except CheckpointError as error:
            noticed += file.name in str(error)
        file.write_bytes(whole)
    load_weights(folder)
    return _row(f"final weights of a {name}", count, noticed)


def _same(one: Checkpoint, two: Checkpoint) -> bool:
    pairs = ((one.weights, two.weights), (one.optimizer, two.optimizer), (one.random, two.random))
    return one.state == two.state and all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in pairs
    )


def _row(case: str, damages: int, noticed: int) -> dict[str, Any]:
    return {
        "benchmark": "checkpoints",
        "case": case,
        "damages": damages,
        "noticed": noticed,
        "silent": damages - noticed,
    }
