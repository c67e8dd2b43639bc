"""Run store: CPU per logged row, reading, and what it notices of truncations and byte flips.

*log*: one writer logs rows of two and of ten metrics as fast as it can, flushes included; CPU time of the process
(its flushing thread too) over rows. *record*: looking one run up among many.

*damage*: a store that was closed cleanly and one whose writers were SIGKILLed (so that their newest rows stand in
the write-ahead log only) are copied; in each copy one random byte of one file is flipped, or the file is cut at a
random length; then everything is loaded and ``check()`` runs. *noticed*: loading raised StoreError, or check told
of it. *harmless*: all that was loaded equals what was written, bit for bit, and check found nothing (while a log is
there: unused bytes of pages, pages that the log holds anew; and anything in -shm, an index of the log that SQLite
makes again). *silent*: something else was loaded without a word; this must be 0, and the benchmark fails where it
is not.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sevenfold.errors import SevenfoldError
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.runs.store import RunStore

_KILLED = """
import sys, time
from pathlib import Path
from benchmarks.bench_store import recipe
from sevenfold.runs.store import RunStore
writer = RunStore(Path(sys.argv[1])).open(recipe(1000), provenance={"n": 1}, environment={"cores": 2})
for step in range(600):
    writer.log(step, {"train_loss": 1 / (step + 1), "lr": 1e-3})
    if step % 50 == 0:
        writer.flush()
print("ready", flush=True)
time.sleep(600)
"""


def run(quick: bool) -> list[dict[str, object]]:
    """All three measurements."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [_log_cost(Path(folder), metrics, 20_000 if quick else 300_000) for metrics in (2, 10)]
        rows.append(_record_cost(Path(folder), 100 if quick else 2000))
        return rows + _damage(Path(folder), 100 if quick else 1000)


def recipe(seed: int) -> Recipe:
    """A recipe that differs from the others by its seed alone."""
    return Recipe(
        name="bench",
        task="classification",
        model=ModelChoice(name="mlp-small"),
        data=DataChoice(name="digits"),
        seed=seed,
    )


def _log_cost(folder: Path, metrics: int, num_rows: int) -> dict[str, object]:
    values = {f"metric_{number}": float(number) for number in range(metrics)}
    writer = RunStore(folder / "log.sqlite").open(recipe(metrics), provenance={}, environment={})
    before = time.process_time()
    for step in range(num_rows):
        writer.log(step, values)
    writer.flush()
    cpu = time.process_time() - before
    writer.close()
    return {"what": f"log, {metrics} metrics a row", "count": num_rows, "us_each": 1e6 * cpu / num_rows}


def _record_cost(folder: Path, num_runs: int) -> dict[str, object]:
    store = RunStore(folder / "record.sqlite")
    for seed in range(num_runs):
        with store.open(recipe(seed), provenance={"n": 1}, environment={"cores": 2}) as writer:
            writer.finish({"validation_loss": 1 / (seed + 1)})
    ids = store.ids()
    before = time.process_time()
    for run_id in ids:
        store.record(run_id)
    cpu = time.process_time() - before
    store.close()
    return {"what": f"record, of {num_runs} runs", "count": num_runs, "us_each": 1e6 * cpu / num_runs}


def _damage(folder: Path, num_cases: int) -> list[dict[str, object]]:
    sources = [_clean_store(folder / "clean"), _killed_store(folder / "killed")]
    written = [everything(_copy(source, folder / "whole") / "runs.sqlite") for source in sources]
    random_source = random.Random(7)
    counts: dict[str, Counter[str]] = {}
    for case in range(num_cases):
        which, how = case % 2, ("flip", "truncation")[case // 2 % 2]
        copy = _copy(sources[which], folder / "case")
        name, at = damage(copy, how, random_source)
        outcome = judge(copy / "runs.sqlite", written[which])
        where = f"{how} of {name}, {('closed', 'killed')[which]}"
        counts.setdefault(where, Counter())[outcome] += 1
        if outcome == "silent":
            print(f"silent: {where}, at byte {at}", file=sys.stderr)
    counts["all damage"] = sum(counts.values(), Counter())
    rows: list[dict[str, object]] = [
        {
            "what": where,
            "count": sum(counted.values()),
            **{outcome: counted[outcome] for outcome in ("noticed", "harmless", "silent")},
        }
        for where, counted in sorted(counts.items(), key=lambda item: (item[0] == "all damage", item[0]))
    ]
    if counts["all damage"]["silent"]:
        raise AssertionError(f"damage was loaded in silence: {rows}")
    return rows


def everything(path: Path) -> dict[str, Any]:
    """All that a store gives, as comparable data."""
    store = RunStore(path)
    try:
        return {
            record.id: (
                record.to_dict(),
                {
                    name: [part.tobytes() for part in store.metrics(record.id, name)]
                    for name in store.metric_names(record.id)
                },
            )
            for record in store.records()
        }
    finally:
        store.close()


def judge(path: Path, written: dict[str, Any]) -> str:
    """noticed, harmless or silent; a failure that is not told as an error of ours is raised."""
    try:
        same = everything(path) == written and _looked_up(path, written)
    except SevenfoldError:
        return "noticed"
    store = RunStore(path)
    try:
        found = store.check()
    finally:
        store.close()
    if not same:
        return "silent"
    return "noticed" if found else "harmless"


def _looked_up(path: Path, written: dict[str, Any]) -> bool:
    """Every run is also found by its id (through the index)."""
    store = RunStore(path)
    try:
        records = {run_id: store.record(run_id) for run_id in written}
    finally:
        store.close()
    return all(record is not None and record.to_dict() == written[run_id][0] for run_id, record in records.items())


def damage(folder: Path, how: str, source: random.Random) -> tuple[str, int]:
    """Flip a byte of one of the store's files or cut it, and say where; larger files are hit more often."""
    files = sorted(path for path in folder.iterdir() if path.stat().st_size)
    (path,) = source.choices(files, [path.stat().st_size ** 0.5 for path in files])
    content = bytearray(path.read_bytes())
    at = source.randrange(len(content))
    if how == "flip":
        content[at] ^= source.randrange(1, 256)
    else:
        del content[at:]
    path.write_bytes(content)
    return path.name, at


def _copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def _clean_store(folder: Path) -> Path:
    store = RunStore(folder / "runs.sqlite")
    for seed in range(12):
        with store.open(recipe(seed), provenance={"n": 1}, environment={"cores": 2}) as writer:
            for step in range(200):
                writer.log(step, {"train_loss": 1 / (step + seed + 1), "lr": 1e-3})
                if step % 40 == 0:
                    writer.log(step, {"validation_loss": float("nan")})
                    writer.flush()
            writer.finish({"validation_loss": 0.1 * seed})
    return folder


def _killed_store(folder: Path) -> Path:
    _clean_store(folder)
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(folder / "runs.sqlite")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "ready\n", "the child could not write"
        child.send_signal(signal.SIGKILL)
        child.wait()
    return folder
