"""SIGKILL at random moments of runs, saves included: are repairs needed, does any loss or weight differ?

Runs of four kinds (dropout, accumulated SGD, batches across epochs, a small language model), checkpoints every one
to five steps. A process forked from one that has torch imported trains; it is killed at a moment drawn uniformly
over the time that a whole run takes, or (every second kill) up to 4 ms after it began to write a checkpoint. Each
run is killed up to five times, then left to finish. *repairs*: starts after a kill that did not go on alone.
*differing*: runs whose training or validation losses, summary or final weights are not, bit for bit, those of the
same run never killed. Both must be 0, and the benchmark fails where they are not.

    python -m benchmarks.bench_kills 200
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe

_KILLS_A_RUN = 5
_SAVE_WINDOW_S = 0.004
_PATIENCE_S = 120.0


def recipes() -> list[Recipe]:
    """Small runs that between them use everything a checkpoint holds."""
    small = Recipe(
        name="kills",
        task="classification",
        model=ModelChoice(name="mlp-small", settings={"width": 8, "dropout": 0.3}),
        data=DataChoice(name="digits"),
        device="cpu",
        batch_size=24,
        steps=40,
        evaluate_every=7,
        evaluate_examples=64,
        checkpoint_every=1,
    )
    tiny_set = {"data.fraction": 0.03, "seed": 1, "checkpoint_every": 2}
    sgd = {"optimizer.name": "sgd", "accumulate": 4, "seed": 2, "checkpoint_every": 5, "steps": 80}
    language = {
        "task": "causal-lm",
        "model": {"name": "gpt2-nano", "settings": {"dropout": 0.1}},
        "data": {"name": "python-docs", "settings": {"context": 16}},
        "batch_size": 4,
        "evaluate_examples": 4,
        "steps": 20,
        "checkpoint_every": 3,
    }
    return [small, small.with_changes(tiny_set), small.with_changes(sgd), small.with_changes(language)]


def run(quick: bool = False, kills: int | None = None) -> list[dict[str, Any]]:
    """Kill until there are enough kills; one row of counts."""
    import torch

    import sevenfold.training  # noqa: F401 - before the first fork, as all that follows
    from sevenfold.data import load

    torch.set_num_threads(1)
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # imports torch._dynamo, which takes a second
    source = random.Random(0)
    counts = dict.fromkeys(("kills", "while_saving", "runs", "repairs", "damage_notes", "differing"), 0)
    wanted = kills or (12 if quick else 200)
    chosen = recipes()
    for recipe in chosen:
        load(recipe.data, task=recipe.task, subset_seed=recipe.seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        references: dict[int, tuple[str, float]] = {}
        while counts["kills"] < wanted:
            index = counts["runs"] % len(chosen)
            if index not in references:
                references[index] = _reference(chosen[index], Path(folder) / f"whole-{index}")
            home = Path(folder) / f"run-{counts['runs']}"
            _killed_run(chosen[index], home, references[index], source, counts, wanted)
    row = {"benchmark": "kills", **counts, "seconds": round(time.perf_counter() - began, 1)}
    print(row)
    assert counts["repairs"] == counts["differing"] == counts["damage_notes"] == 0, row
    return [row]


def _reference(recipe: Recipe, home: Path) -> tuple[str, float]:
    """What the run gives when it is left alone, and the seconds it takes."""
    _wait(_start(recipe, home / "to-warm-up"))
    began = time.perf_counter()
    assert _wait(_start(recipe, home)) == 0
    return _fingerprint(recipe, home), time.perf_counter() - began


def _killed_run(
    recipe: Recipe,
    home: Path,
    reference: tuple[str, float],
    source: random.Random,
    counts: dict[str, int],
    wanted: int,
) -> None:
    expected, seconds = reference
    for number in range(source.randint(1, _KILLS_A_RUN)):
        if counts["kills"] == wanted:
            break
        process = _start(recipe, home)
        if counts["kills"] % 2:
            _until_saving(process, home / "runs" / recipe.run_id() / "checkpoints", source.randint(1, 6))
            time.sleep(source.uniform(0, _SAVE_WINDOW_S))
        else:
            time.sleep(source.uniform(0, seconds * 0.7**number))  # less is left after each kill
        os.kill(process, signal.SIGKILL)
        status = _wait(process)
        if status == -signal.SIGKILL:
            counts["kills"] += 1
            counts["while_saving"] += any(home.rglob(".unfinished-*")) or any(home.rglob(".discarded-*"))
        elif status == 0:
            break  # it had finished before the kill
        else:
            counts["repairs"] += 1
    counts["runs"] += 1
    finished = _wait(_start(recipe, home)) == 0
    counts["repairs"] += not finished
    counts["damage_notes"] += (home / "notes").exists()
    counts["differing"] += not finished or _fingerprint(recipe, home) != expected


def _start(recipe: Recipe, home: Path) -> int:
    """A process that trains the recipe; it exits with 0 when the run is finished."""
    return _forked(lambda: _train(recipe, home))


def _train(recipe: Recipe, home: Path) -> None:
    from sevenfold.training import train_run

    def note(text: str) -> None:
        with (home / "notes").open("a") as file:
            file.write(text + "\n")

    train_run(recipe, home=home, on_event=note)


def _forked(work: Callable[[], None]) -> int:
    process = os.fork()
    if process:
        return process
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _wait(process: int) -> int:
    """The exit status of a process, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _until_saving(process: int, folder: Path, times: int) -> None:
    """Wait until the process has begun to write its n-th checkpoint from now."""
    until = time.perf_counter() + _PATIENCE_S
    seen: set[str] = set()
    while len(seen) < times and time.perf_counter() < until and not _is_over(process):
        try:
            seen.update(name for name in os.listdir(folder) if name.startswith(".unfinished-"))
        except FileNotFoundError:
            time.sleep(0.0005)


def _is_over(process: int) -> bool:
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _fingerprint(recipe: Recipe, home: Path) -> str:
    """All losses, the summary less what a clock gave, and the SHA-256 of the weights, read by another process."""
    reading, writing = os.pipe()

    def read() -> None:
        from sevenfold.checkpoints import load_weights
        from sevenfold.runs.store import RunStore

        store, run_id = RunStore(home / "runs.sqlite"), recipe.run_id()
        facts: dict[str, Any] = {
            name: [array.tolist() for array in store.metrics(run_id, name)] for name in store.metric_names(run_id)
        }
        record = store.require(run_id)
        assert record.state == "finished"
        facts["summary"] = {name: value for name, value in record.summary.items() if "seconds" not in name}
        weights = load_weights(home / "runs" / run_id)
        digest = hashlib.sha256(b"".join(weights[name].numpy().tobytes() for name in sorted(weights)))
        facts["weights"] = digest.hexdigest()
        with os.fdopen(writing, "w") as file:
            json.dump(facts, file, sort_keys=True)

    process = _forked(read)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    assert _wait(process) == 0
    return text


if __name__ == "__main__":
    run(kills=int(sys.argv[1]) if len(sys.argv) > 1 else None)
