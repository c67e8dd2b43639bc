"""The run store: what goes in comes out, by one writer a run, for many readers, and damage is never silent."""

from __future__ import annotations

import math
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sevenfold.errors import SevenfoldError, StorageError, StoreError, UnknownNameError, UsageError
from sevenfold.runs import _claim, _writer
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
from sevenfold.runs.store import RunStore, RunWriter

SOURCES = str(Path(__file__).parents[2] / "src")


def recipe(seed: int = 0, name: str = "r", **changes: Any) -> Recipe:
    return Recipe(
        name=name,
        task="classification",
        model=ModelChoice(name="mlp-small"),
        data=DataChoice(name="digits"),
        seed=seed,
        **changes,
    )


def opened(store: RunStore, seed: int = 0, **changes: Any) -> RunWriter:
    return store.open(recipe(seed, **changes), provenance={"sha256": "ab"}, environment={"cores": 2})


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store" / "runs.sqlite")


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs ``code`` with ``opened``, ``recipe`` and ``store`` (of argument 1) at hand."""
    start = "import sys, time\nfrom pathlib import Path\nfrom sevenfold.runs.store import RunStore\n"
    start += "from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe\nfrom typing import Any\n"
    start += "RunWriter = Any\n" + _source(recipe) + _source(opened) + "store = RunStore(Path(sys.argv[1]))\n"
    return subprocess.Popen(
        [sys.executable, "-c", start + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCES},
    )


def _source(function: Any) -> str:
    import inspect

    return inspect.getsource(function) + "\n"


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    return output


# -- what goes in comes out ------------------------------------------------------------------------------------


def test_a_missing_store_reads_as_empty_and_is_not_made(store: RunStore) -> None:
    assert store.records() == []
    assert store.record("r-s0-0") is None
    assert store.ids() == []
    assert store.check() == []
    with pytest.raises(UnknownNameError, match="unknown run"):
        store.require("r")
    assert not store.path.parent.exists()


def test_the_default_is_in_the_data_folder(home: Path) -> None:
    assert RunStore().path == home / "runs.sqlite"


def test_a_finished_run_comes_back_exactly(store: RunStore) -> None:
    summary = {"validation_loss": 0.1 + 0.2, "steps": 500, "stopped_by": "steps", "energy_j": None, "bad": math.inf}
    made = recipe(3, "digits-cnn")
    with store.open(made, provenance={"n": [1, 2]}, environment={"torch": "2.13"}) as writer:
        writer.log(0, {"train_loss": 2.5})
        writer.finish({**summary, "numpy": np.float32(0.5), "count": np.int64(7)})
    record = store.require(made.run_id())
    assert record.state == "finished"
    assert record.summary == {**summary, "numpy": 0.5, "count": 7}
    assert record.summary["validation_loss"].hex() == (0.1 + 0.2).hex()  # type: ignore[union-attr]
    assert isinstance(record.summary["steps"], int)
    assert record.run_recipe() == made
    assert (record.provenance, record.environment) == ({"n": [1, 2]}, {"torch": "2.13"})
    assert (record.seed, record.recipe_name, record.error, record.num_rows) == (3, "digits-cnn", None, 1)
    assert record.created <= record.updated


def test_metrics_come_back_bit_for_bit_with_nan_and_infinities(store: RunStore) -> None:
    source = random.Random(0)
    values = [source.uniform(-1, 1) * 10 ** source.randint(-300, 300) for _ in range(500)]
    values[3:7] = [math.nan, math.inf, -math.inf, -0.0]
    with opened(store) as writer:
        for step, value in enumerate(values):
            writer.log(step, {"loss": value, "lr": 1e-3})
            if step % 100 == 0:
                writer.log(step, {"validation_loss": value})
    steps, found = store.metrics(writer.run_id, "loss")
    assert steps.dtype == np.int64
    assert steps.tolist() == list(range(500))
    assert found.tobytes() == np.array(values).tobytes()
    steps, found = store.metrics(writer.run_id, "validation_loss")
    assert steps.tolist() == [0, 100, 200, 300, 400]
    assert store.metric_names(writer.run_id) == ["loss", "lr", "validation_loss"]
    assert store.require(writer.run_id).num_rows == 505
    with pytest.raises(UnknownNameError, match="try loss"):
        store.metrics(writer.run_id, "los")


def test_a_row_that_is_no_number_is_refused_whole(store: RunStore) -> None:
    with opened(store) as writer:
        writer.log(0, {"a": 1.0, "b": 2.0})
        with pytest.raises((TypeError, ValueError)):
            writer.log(1, {"a": 1.0, "b": "x"})  # type: ignore[dict-item]
        with pytest.raises(TypeError):
            writer.log(1.5, {"a": 1.0, "b": 2.0})  # type: ignore[arg-type]
        writer.log(2, {"a": 3.0, "b": 4.0})
        with pytest.raises(TypeError, match="summary"):
            writer.finish({"model": object()})  # type: ignore[dict-item]
        writer.finish({})
    assert store.metrics(writer.run_id, "b")[1].tolist() == [2.0, 4.0]


def test_provenance_that_is_no_plain_data_is_refused(store: RunStore) -> None:
    with pytest.raises(UsageError, match="plain data"):
        store.open(recipe(), provenance={"path": Path("x")}, environment={})
    assert not store.path.exists()


def test_records_are_newest_first_and_chosen_by_state_and_recipe(store: RunStore) -> None:
    for seed in range(4):
        with opened(store, seed, name="even" if seed % 2 == 0 else "odd") as writer:
            if seed < 3:
                writer.finish({})
            else:
                writer.fail("out of memory")
    assert [record.seed for record in store.records()] == [3, 2, 1, 0]
    assert [record.seed for record in store.records(limit=2)] == [3, 2]
    assert [record.seed for record in store.records(state="finished", recipe_name="even")] == [2, 0]
    assert [record.error for record in store.records(state="failed")] == ["out of memory"]
    assert [record.seed for record in store.records(state="finished", limit=1)] == [2]


def test_require_takes_a_beginning_that_is_unique_and_names_the_nearest(store: RunStore) -> None:
    for seed in (1, 2):
        opened(store, seed, name="digits-cnn").finish({})
    assert store.require("digits-cnn-s1").seed == 1
    with pytest.raises(UsageError, match="several runs begin like that"):
        store.require("digits-cnn")
    with pytest.raises(UnknownNameError) as caught:
        store.require("digit-cnn-s2")
    assert caught.value.hint == recipe(2, "digits-cnn").run_id()


# -- how a run ends --------------------------------------------------------------------------------------------


def test_leaving_by_an_exception_fails_the_run_and_keeps_its_rows(store: RunStore) -> None:
    def work() -> None:
        with opened(store) as writer:
            writer.log(0, {"loss": 1.0})
            raise ZeroDivisionError("loss scale")

    with pytest.raises(ZeroDivisionError):
        work()
    record = store.records()[0]
    assert (record.state, record.error) == ("failed", "ZeroDivisionError: loss scale")
    assert store.metrics(record.id, "loss")[1].tolist() == [1.0]


@pytest.mark.parametrize("leave", [KeyboardInterrupt, None])
def test_leaving_without_an_end_is_an_interruption(store: RunStore, leave: type[BaseException] | None) -> None:
    def work() -> None:
        with opened(store) as writer:
            writer.log(0, {"loss": 1.0})
            if leave is not None:
                raise leave

    if leave is None:
        work()
    else:
        with pytest.raises(leave):
            work()
    record = store.records()[0]
    assert (record.state, record.num_rows) == ("interrupted", 1)


def test_a_closed_writer_refuses_and_a_finished_run_is_not_opened_again(store: RunStore) -> None:
    writer = opened(store)
    writer.finish({})
    writer.close()  # nothing happens
    for call in (
        lambda: writer.log(0, {"a": 1.0}),
        writer.flush,
        lambda: writer.finish({}),
        lambda: writer.fail("x"),
    ):
        with pytest.raises(StoreError, match="no longer written"):
            call()
    with pytest.raises(StoreError, match="the run is finished"):
        opened(store)


def test_a_finished_run_is_opened_again_where_that_is_asked_for(store: RunStore) -> None:
    with opened(store) as writer:
        writer.log(0, {"loss": 1.0})
        writer.finish({"validation_loss": 1.0})
    with store.open(recipe(), provenance={}, environment={"cores": 2}, again=True) as writer:
        writer.truncate_after(-1)
        assert store.records()[0].summary == {}
        writer.finish({"validation_loss": 2.0})
    record = store.records()[0]
    assert (record.state, record.num_rows, record.summary) == ("finished", 0, {"validation_loss": 2.0})


def test_a_failed_run_may_be_tried_again(store: RunStore) -> None:
    opened(store).fail("no memory")
    with store.open(recipe(), provenance={}, environment={"cores": 4}) as writer:
        writer.finish({"validation_loss": 1.0})
    record = store.records()[0]
    assert (record.state, record.error) == ("finished", None)
    assert "cores 2 -> 4" in record.notes[0]
    assert record.environment == {"cores": 2}


def test_a_resumed_run_doubles_no_step(store: RunStore) -> None:
    with opened(store) as writer:
        for step in range(10):
            writer.log(step, {"loss": float(step)})
            if step % 3 == 0:
                writer.log(step, {f"at_{step}": 1.0})
                writer.flush()
    with opened(store) as writer:
        writer.truncate_after(4)
        assert store.metrics(writer.run_id, "loss")[0].tolist() == [0, 1, 2, 3, 4]
        assert store.metric_names(writer.run_id) == ["at_0", "at_3", "loss"]
        for step in range(5, 12):
            writer.log(step, {"loss": 10.0 * step})
        writer.finish({})
    steps, values = store.metrics(writer.run_id, "loss")
    assert steps.tolist() == list(range(12))
    assert values.tolist() == [0, 1, 2, 3, 4, *(10.0 * step for step in range(5, 12))]
    assert store.require(writer.run_id).num_rows == 14
    assert store.check() == []


def test_truncating_to_nothing(store: RunStore) -> None:
    with opened(store) as writer:
        writer.log(0, {"loss": 1.0})
        writer.truncate_after(-1)
        assert store.metric_names(writer.run_id) == []
        writer.log(0, {"loss": 2.0})
    assert store.metrics(writer.run_id, "loss")[1].tolist() == [2.0]


# -- buffering -------------------------------------------------------------------------------------------------


def test_rows_reach_the_disk_by_age_without_another_call(store: RunStore) -> None:
    with opened(store) as writer:
        writer.log(0, {"loss": 1.0})
        assert store.require(writer.run_id).num_rows == 0
        deadline = time.monotonic() + 20 * _writer.FLUSH_S
        while store.require(writer.run_id).num_rows == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert store.metrics(writer.run_id, "loss")[1].tolist() == [1.0]


def test_rows_reach_the_disk_by_number(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_writer, "FLUSH_S", 3600.0)
    monkeypatch.setattr(_writer, "FLUSH_ROWS", 50)
    monkeypatch.setattr(_writer, "FULL_ROWS", 200)
    with opened(store) as writer:
        for step in range(200):
            writer.log(step, {"loss": 1.0})
        assert store.require(writer.run_id).num_rows > 0


def test_a_failed_flush_is_told_by_the_next_call_and_loses_no_row(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_writer, "FLUSH_S", 0.02)
    with opened(store) as writer:
        writer.log(0, {"loss": 1.0})
        writer.flush()
        (pages,) = writer._database.execute("PRAGMA page_count").fetchone()
        writer._database.execute(f"PRAGMA max_page_count={pages}")  # SQLite then says what it says of a full disk

        def fill() -> None:
            for step in range(1, 200_000):
                writer.log(step, {"loss": float(step)})
            writer.flush()

        with pytest.raises(StorageError, match="the disk is full") as caught:
            fill()
        assert "\n" not in str(caught.value)
        writer._database.execute("PRAGMA max_page_count=1000000")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                writer.flush()
                break
            except StorageError:
                time.sleep(0.05)
    steps, values = store.metrics(writer.run_id, "loss")
    assert steps.tolist() == list(range(len(steps)))
    assert len(steps) > 1
    assert values[1:].tolist() == [float(step) for step in steps[1:]]
    assert store.check() == []


def test_logging_a_row_is_cheap(store: RunStore) -> None:
    num_rows, best = 20_000, math.inf
    with opened(store) as writer:
        for _ in range(3):
            before = time.process_time()
            for step in range(num_rows):
                writer.log(step, {"train_loss": 0.5, "lr": 1e-3})
            writer.flush()
            best = min(best, (time.process_time() - before) / num_rows)
    assert best < 20e-6  # measured: 2 to 3 microseconds, flushes and their thread included


def test_a_record_is_found_in_well_under_a_millisecond(store: RunStore) -> None:
    for seed in range(30):
        opened(store, seed).finish({"validation_loss": 1.0})
    ids, best = store.ids(), math.inf
    for _ in range(3):
        before = time.process_time()
        for run_id in ids:
            store.record(run_id)
        best = min(best, (time.process_time() - before) / len(ids))
    assert best < 1e-3  # measured: 0.1 to 0.15 ms


# -- processes -------------------------------------------------------------------------------------------------


def test_a_living_writer_keeps_its_run_and_a_dead_one_loses_it_at_once(store: RunStore) -> None:
    process = child(
        "w = opened(store); w.log(0, {'loss': 1.0}); w.flush(); print('ready', flush=True); time.sleep(600)",
        store.path,
    )
    with process:
        ready(process)
        assert store.records()[0].state == "running"
        with pytest.raises(StoreError, match=f"written by process {process.pid}"):
            opened(store)
        process.send_signal(signal.SIGKILL)
        while Path(f"/proc/{process.pid}").exists() and " Z " not in Path(f"/proc/{process.pid}/stat").read_text():
            time.sleep(0.01)
        # A zombie still (nobody has waited for it), and dead all the same.
        assert store.records()[0].state == "interrupted"
        with opened(store) as writer:
            writer.log(1, {"loss": 2.0})
        process.wait()
    assert store.metrics(writer.run_id, "loss")[1].tolist() == [1.0, 2.0]


def test_a_second_writer_in_the_same_process_is_refused(store: RunStore) -> None:
    with (
        opened(store),
        pytest.raises(StoreError, match=rf"written by process {os.getpid()} \(this process\)"),
    ):
        opened(store)


def test_a_writer_whose_run_was_taken_over_stops(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = opened(store)
    writer.log(0, {"loss": 1.0})
    writer.flush()
    monkeypatch.setattr("sevenfold.runs._opening.is_alive", lambda _: False)  # as a partitioned host would judge
    second = opened(store)
    second.log(1, {"loss": 2.0})
    second.flush()
    writer.log(1, {"loss": -2.0})
    with pytest.raises(StoreError, match="another process took this run over"):
        writer.flush()
    with pytest.raises(StoreError, match="another process took this run over"):
        writer.close()
    second.finish({})
    assert store.metrics(second.run_id, "loss")[1].tolist() == [1.0, 2.0]
    assert store.records()[0].state == "finished"


def test_an_id_that_is_used_again_and_another_host_are_told_apart() -> None:
    claim = _claim.new_claim()
    assert _claim.is_alive(claim)
    assert not _claim.is_alive({**claim, "started": "1"})  # the same id, another process
    assert not _claim.is_alive({**claim, "pid": 2**22 + 1})
    elsewhere: _claim.Claim = {**claim, "place": "another-host"}
    assert _claim.is_alive(elsewhere)
    assert not _claim.is_alive({**elsewhere, "beat": time.time() - 2 * _claim.DEAD_AFTER_S})


def test_a_heartbeat_keeps_a_quiet_run_alive(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_writer, "FLUSH_S", 0.02)
    monkeypatch.setattr(_writer, "HEARTBEAT_S", 0.05)
    with opened(store) as writer:
        writer.log(0, {"loss": 1.0})
        writer.flush()
        before = store.records()[0].updated
        deadline = time.monotonic() + 10
        while store.records()[0].updated == before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert store.records()[0].updated > before


def test_several_processes_write_while_a_reader_looks_on(store: RunStore) -> None:
    code = (
        "first = int(sys.argv[2])\n"
        "for seed in range(first, first + 3):\n"
        "    with opened(store, seed) as w:\n"
        "        for step in range(300):\n"
        "            w.log(step, {'loss': seed + step / 1000})\n"
        "            if step % 20 == 0: w.flush()\n"
        "        w.finish({'validation_loss': float(seed)})\n"
    )
    writers = [child(code, store.path, first) for first in (0, 3, 6)]
    looks = 0
    while any(writer.poll() is None for writer in writers):
        for record in store.records():
            if record.num_rows:
                steps, values = store.metrics(record.id, "loss")
                assert np.array_equal(values, record.seed + steps / 1000)
                assert np.array_equal(steps, np.arange(len(steps)))
                assert len(steps) >= record.num_rows
        looks += 1
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    for writer in writers:
        ended(writer)
    assert looks > 3
    records = store.records(state="finished")
    assert sorted(record.summary["validation_loss"] for record in records) == [float(seed) for seed in range(9)]  # type: ignore[type-var]
    assert {record.num_rows for record in records} == {300}
    assert store.check() == []


def test_processes_that_make_the_store_at_once_make_one(store: RunStore) -> None:
    makers = [child(f"opened(store, {seed}).finish({{}})", store.path) for seed in range(3)]
    assert [ended(maker) for maker in makers] == ["", "", ""]
    assert [maker.returncode for maker in makers] == [0, 0, 0]
    assert {record.seed for record in store.records()} == {0, 1, 2}
    store.close()
    assert sorted(path.name for path in store.path.parent.iterdir()) == ["runs.sqlite", "runs.sqlite-witness"]


def test_kills_at_any_moment_lose_nothing_that_was_flushed(store: RunStore) -> None:
    code = (
        "w = opened(store)\n"
        "start = w._row['rows']\n"
        "print('ready', flush=True)\n"
        "for step in range(start, 10**9):\n"
        "    w.log(step, {'loss': float(step)}); w.flush(); print(step, flush=True)\n"
    )
    source, flushed = random.Random(5), -1
    for _ in range(4):
        process = child(code, store.path)
        with process:
            ready(process)
            time.sleep(source.uniform(0.0, 0.15))
            process.send_signal(signal.SIGKILL)
            said = [int(line) for line in (process.stdout or []) if line.endswith("\n")]
        flushed = max([flushed, *said])
        steps, values = store.metrics(store.ids()[0], "loss") if flushed >= 0 else (np.empty(0), np.empty(0))
        assert len(steps) >= flushed + 1
        assert values.tolist() == [float(step) for step in range(len(steps))]
        assert store.records()[0].state == "interrupted"
    assert flushed > 10
    assert store.check() == []


def test_rows_in_the_buffer_survive_an_ordinary_end_of_the_process(store: RunStore) -> None:
    code = "w = opened(store); w.log(0, {'loss': 1.0}); sys.exit(3)"
    process = child(code, store.path)
    ended(process)
    assert process.returncode == 3
    record = store.records()[0]
    assert (record.state, record.num_rows) == ("interrupted", 1)


def test_a_store_goes_to_threads_and_workers(store: RunStore) -> None:
    opened(store).finish({"validation_loss": 0.5})
    assert pickle.loads(pickle.dumps(store)).records() == store.records()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(store.records()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8


def test_a_store_that_was_moved_away_is_noticed(store: RunStore) -> None:
    opened(store, 1).finish({})
    assert len(store.records()) == 1
    store.path.rename(store.path.with_name("old.sqlite"))
    assert store.records() == []
    opened(store, 2).finish({})
    assert [record.seed for record in store.records()] == [2]
    assert store.check() == []


# -- what is no store, or no place for one ---------------------------------------------------------------------


def test_another_version_is_refused_with_what_to_do(store: RunStore) -> None:
    opened(store).finish({})
    with sqlite3.connect(store.path) as database:
        database.execute("PRAGMA user_version=2")
    database.close()
    for call in (store.records, lambda: opened(store, 1)):
        with pytest.raises(StoreError, match="another version: got version 2") as caught:
            RunStore(store.path).records() if call == store.records else call()
        assert caught.value.hint


def test_files_that_are_no_store(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("hello, this is not a database\n" * 50)
    empty = tmp_path / "empty.sqlite"
    empty.write_bytes(b"")
    other = tmp_path / "other.sqlite"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE t (x)")
    database.close()
    for path, told in ((text, "not a run store"), (empty, "the file is empty"), (other, "another program's")):
        for call in (lambda p=path: RunStore(p).records(), lambda p=path: opened(RunStore(p))):
            with pytest.raises(StoreError) as caught:
                call()
            assert told in str(caught.value)
            assert "\n" not in str(caught.value)
    assert RunStore(text).check() != []
    assert text.read_text().startswith("hello")


def test_a_folder_that_cannot_be_made_or_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make a folder") as caught:
        opened(RunStore(tmp_path / "file" / "runs.sqlite"))
    assert "\n" not in str(caught.value)
    with pytest.raises(StorageError):
        RunStore(tmp_path).records()  # a folder, where the file should be


def test_a_read_only_folder_can_be_read_and_not_written(store: RunStore, tmp_path: Path) -> None:
    opened(store).finish({"validation_loss": 0.5})
    store.close()
    folder = store.path.parent
    for path in (store.path, store.path.with_name("runs.sqlite-witness")):
        path.chmod(0o444)
    folder.chmod(0o555)
    for above in (tmp_path, *tmp_path.parents):
        if above != Path("/tmp") and above.is_relative_to("/tmp"):
            above.chmod(above.stat().st_mode | 0o055)
    code = (
        "import os\n"
        "from sevenfold.errors import StorageError\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"  # rights of files do not bind root
        "print(store.records()[0].summary['validation_loss'], store.check())\n"
        "try: opened(store, 1)\n"
        "except StorageError as error: print(error)\n"
    )
    try:
        output = ended(child(code, store.path))
    finally:
        folder.chmod(0o755)
    assert output.splitlines()[0] == "0.5 []"
    assert "cannot open the run store" in output.splitlines()[1]
    assert len(output.splitlines()) == 2


def test_a_store_locked_by_another_program_says_so(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(store, 1).finish({})
    monkeypatch.setattr("sevenfold.runs._database.BUSY_S", 0.1)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another program"):
        opened(store, 2)
    assert len(store.records()) == 1  # readers are not kept waiting
    other.close()


# -- damage ----------------------------------------------------------------------------------------------------


def everything(path: Path) -> dict[str, Any]:
    """All that a store gives, as comparable data, found by listing and by id."""
    store = RunStore(path)
    try:
        found = {}
        for record in store.records():
            by_id = store.record(record.id)
            assert by_id is not None, "the index hides a run in silence"
            metrics = {n: [x.tobytes() for x in store.metrics(record.id, n)] for n in store.metric_names(record.id)}
            found[record.id] = (record.to_dict(), by_id.to_dict(), metrics)
        return found
    finally:
        store.close()


def judged(path: Path, written: dict[str, Any]) -> str:
    try:
        same = everything(path) == written
    except SevenfoldError as error:
        return "noticed" if "\n" not in str(error) else "told in many lines"
    if not same:
        return "silent"
    store = RunStore(path)
    try:
        return "noticed" if store.check() else "harmless"
    finally:
        store.close()


@pytest.fixture
def killed(store: RunStore) -> Path:
    """The folder of a store with finished runs, and one whose writer was killed: its rows are in the log only."""
    for seed in range(6):
        with opened(store, seed) as writer:
            for step in range(60):
                writer.log(step, {"loss": seed + 1 / (step + 1), "lr": math.nan})
            writer.finish({"validation_loss": 0.1 * seed})
    store.close()
    code = (
        "first, w = opened(store, 99), opened(store, 100)\n"
        "for step in range(300):\n"
        "    w.log(step, {'loss': float(step)})\n"
        "    if step % 30 == 0: w.flush()\n"
        "w.flush(); print('ready', flush=True); time.sleep(600)"
    )
    with child(code, store.path) as process:
        ready(process)
        process.send_signal(signal.SIGKILL)
    assert store.path.with_name("runs.sqlite-wal").stat().st_size > 0
    return store.path.parent


def test_truncations_and_flips_are_never_loaded_in_silence(killed: Path, tmp_path: Path) -> None:
    source, counts = random.Random(11), Counter[str]()
    whole = shutil.copytree(killed, tmp_path / "whole")
    written = everything(whole / "runs.sqlite")
    assert len(written) == 8
    for case in range(60):
        copy = shutil.copytree(killed, tmp_path / f"case-{case}")
        name = ("runs.sqlite", "runs.sqlite", "runs.sqlite-wal", "runs.sqlite-witness")[case % 4]
        content = bytearray((copy / name).read_bytes())
        at = source.randrange(len(content))
        if case % 3:
            content[at] ^= source.randrange(1, 256)
        else:
            del content[at:]
        (copy / name).write_bytes(content)
        outcome = judged(copy / "runs.sqlite", written)
        assert outcome in ("noticed", "harmless"), f"case {case}: {name} at {at}"
        if not case % 3:
            assert outcome == "noticed", f"case {case}: {name} cut at {at}"
        counts[outcome] += 1
        shutil.rmtree(copy)
    assert counts["noticed"] > 35, counts


def test_at_rest_every_flip_is_noticed(store: RunStore) -> None:
    for seed in range(4):
        with opened(store, seed) as writer:
            for step in range(50):
                writer.log(step, {"loss": seed + 1 / (step + 1)})
            writer.finish({"validation_loss": 0.1 * seed})
    store.close()
    original, source = store.path.read_bytes(), random.Random(3)
    assert RunStore(store.path).check() == []
    for _ in range(25):
        content = bytearray(original)
        at = source.randrange(len(content))
        content[at] ^= source.randrange(1, 256)
        store.path.write_bytes(content)
        assert RunStore(store.path).check() != [], at
    store.path.write_bytes(original)
    assert RunStore(store.path).check() == []
    opened(store, 9).finish({})
    assert store.check() == []


def test_closing_and_opening_from_many_processes_raises_no_false_alarm(store: RunStore) -> None:
    code = (
        "first = int(sys.argv[2])\n"
        "for seed in range(first, first + 12):\n"
        "    opened(store, seed).finish({'validation_loss': 1.0})\n"
        "    store.records(limit=2); store.close()\n"
    )
    processes = [child(code, store.path, first) for first in (0, 100, 200)]
    while any(process.poll() is None for process in processes):
        assert RunStore(store.path).check() == []
    assert [ended(process) for process in processes] == ["", "", ""]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(store.records()) == 36
    assert store.check() == []


def test_without_the_witness_a_cut_log_would_be_silent(killed: Path, tmp_path: Path) -> None:
    """The mutation beside the test above: it is the witness that notices."""
    written = everything(shutil.copytree(killed, tmp_path / "whole") / "runs.sqlite")
    log = killed / "runs.sqlite-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    with_witness = shutil.copytree(killed, tmp_path / "with")
    assert judged(with_witness / "runs.sqlite", written) == "noticed"
    (killed / "runs.sqlite-witness").unlink()
    assert judged(killed / "runs.sqlite", written) == "silent"


def test_a_run_that_lost_flushes_can_be_taken_up_again_and_says_so(killed: Path) -> None:
    path = killed / "runs.sqlite"
    content = (killed / "runs.sqlite-wal").read_bytes()
    (killed / "runs.sqlite-wal").write_bytes(content[: len(content) * 3 // 4])
    store = RunStore(path)
    run_id = recipe(100).run_id()
    record = store.require(run_id)
    assert record.state == "interrupted"
    assert "flushes of metrics are lost" in record.notes[-1]
    with pytest.raises(StoreError, match="flushes of metrics of a run are lost"):
        store.metrics(run_id, "loss")
    with opened(store, 100) as writer:
        writer.truncate_after(50)
        writer.finish({})
    assert store.metrics(run_id, "loss")[0].tolist() == list(range(51))
    assert "had been lost" in store.require(run_id).notes[0]
    assert store.check() == []


def test_deleting_the_witness_accepts_what_is_left(killed: Path) -> None:
    log = killed / "runs.sqlite-wal"
    log.write_bytes(log.read_bytes()[: 5 * 4096])  # the transaction that began run 99 and not the next one
    store = RunStore(killed / "runs.sqlite")
    with pytest.raises(StoreError, match=r"1 of 8 runs are missing; deleting runs\.sqlite-witness accepts"):
        store.records()
    with pytest.raises(StoreError, match="missing"):
        opened(store, 200)
    (killed / "runs.sqlite-witness").unlink()
    assert len(store.records()) == 7
    opened(store, 200).finish({})
    assert len(store.records()) == 8
    assert store.check() == []


def test_a_lost_row_and_a_lost_chunk_are_noticed(store: RunStore) -> None:
    for seed in range(3):
        with opened(store, seed) as writer:
            writer.log(0, {"loss": 1.0})
            writer.flush()
            writer.log(1, {"loss": 2.0})
            writer.finish({})
    store.close()
    original = store.path.read_bytes()
    for statement, told in (
        ("DELETE FROM chunks WHERE number = (SELECT max(number) FROM chunks)", "should have 2 chunks"),
        ("DELETE FROM chunks WHERE number = (SELECT min(number) FROM chunks)", "should have 2 chunks"),
        ("DELETE FROM runs WHERE number = 3", "1 of 3 runs are missing"),
        ("DELETE FROM runs WHERE number = 1", "a run is missing"),
        ("DELETE FROM facts WHERE number = 2", "row 2 of facts"),
        ("UPDATE facts SET data = (SELECT data FROM facts WHERE number = 1) WHERE number = 2", "row 2 of facts"),
        ("UPDATE runs SET id = 'other' WHERE number = 2", "carries another id"),
        ("UPDATE store SET data = x'00'", "row 1 of store"),
        ("DROP TABLE chunks", "tables"),
    ):
        store.path.write_bytes(original)
        database = sqlite3.connect(store.path)
        with database:
            database.execute(statement)
        database.close()
        found = RunStore(store.path).check()
        assert any(told in line for line in found), (statement, found)
        with pytest.raises(StoreError):
            everything(store.path)
