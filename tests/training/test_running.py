"""A run from its start to its record: what it leaves, what stops it, what makes it fail."""

from __future__ import annotations

import errno
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sevenfold import checkpoints
from sevenfold.errors import NonFiniteLossError, OutOfMemoryError, RunError, StorageError, UsageError
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunStore
from sevenfold.training import Progress, loop, train_run
from sevenfold.training.power import ModelledMeter
from sevenfold.training.steps import TrainingStep

Small = Callable[..., Recipe]

SUMMARY_KEYS = {
    "validation_loss",
    "test_loss",
    "train_loss",
    "final_train_loss_eval",
    "validation_accuracy",
    "test_accuracy",
    "best_validation_loss",
    "steps",
    "examples_seen",
    "epochs",
    "train_seconds",
    "wall_seconds",
    "step_seconds_median",
    "parameters",
    "num_train_examples",
    "stopped_by",
    "energy_j",
    "energy_method",
    "started_parameters",
}


def test_a_finished_run_leaves_its_record_its_metrics_and_its_weights(small: Small, home: Path) -> None:
    recipe = small(checkpoint_every=5)
    record = train_run(recipe)
    assert record.state == "finished"
    assert record.run_recipe() == recipe
    assert set(record.summary) == SUMMARY_KEYS
    summary: dict[str, Any] = record.summary
    assert (summary["steps"], summary["stopped_by"], summary["examples_seen"]) == (20, "steps", 480)
    assert summary["epochs"] == pytest.approx(480 / summary["num_train_examples"])
    assert summary["energy_j"] is None
    assert summary["energy_method"] is None
    store = RunStore()
    steps, losses = store.metrics(record.id, "train_loss")
    assert steps.tolist() == list(range(1, 21))
    assert summary["train_loss"] == pytest.approx(np.mean(losses[-2:]))
    steps, validation = store.metrics(record.id, "validation_loss")
    assert steps.tolist() == [8, 16, 20]
    assert summary["validation_loss"] == validation[-1]
    assert summary["best_validation_loss"] == validation.min()
    assert 0 < summary["train_seconds"] < summary["wall_seconds"]
    assert record.provenance["name"] == "digits"
    assert len(record.provenance["sha256"]) == 64
    assert record.environment["torch"] == torch.__version__
    assert sorted(path.name for path in (home / "runs" / record.id).iterdir()) == [
        "manifest.json",
        "weights.safetensors",
    ]
    assert checkpoints.load_weights(home / "runs" / record.id)


def test_the_weights_kept_are_those_that_were_scored(small: Small, home: Path) -> None:
    from sevenfold.training.evaluating import evaluate
    from sevenfold.training.workload import build_workload

    recipe = small()
    record = train_run(recipe)
    workload = build_workload(recipe)
    checkpoints.restore_model(workload.model, checkpoints.load_weights(home / "runs" / record.id))
    score = evaluate(
        workload.model, workload.model, workload.dataset.test, at_most=64, batch_size=96, device=workload.device
    )
    assert (score.loss, score.accuracy) == (record.summary["test_loss"], record.summary["test_accuracy"])


def test_running_a_finished_run_again_does_nothing(small: Small) -> None:
    record = train_run(small())
    calls: list[Progress] = []
    assert train_run(small(), on_step=calls.append) == record
    assert calls == []


def test_fresh_trains_again_and_finds_the_same(small: Small) -> None:
    first = train_run(small())
    calls: list[Progress] = []
    again = train_run(small(), on_step=calls.append, fresh=True)
    assert [progress.step for progress in calls] == list(range(1, 21))
    assert again.summary["validation_loss"] == first.summary["validation_loss"]
    assert len(RunStore().metrics(first.id, "train_loss")[0]) == 20
    assert again.state == "finished"


def test_without_keeping_weights_nothing_but_the_record_stays(small: Small, home: Path) -> None:
    notes: list[str] = []
    train_run(small(checkpoint_every=5), keep_weights=False, on_event=notes.append)
    assert list((home / "runs").iterdir()) == []
    assert notes == []
    train_run(small(), on_event=notes.append)
    assert len(notes) == 1
    assert "--fresh" in notes[0]


def test_progress_tells_step_losses_and_time_left(small: Small) -> None:
    seen: list[Progress] = []
    train_run(small(), on_step=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 21))
    losses = RunStore().metrics(small().run_id(), "train_loss")[1]
    assert [progress.train_loss for progress in seen] == losses.tolist()
    assert seen[6].validation_loss is None
    assert seen[7].validation_loss is not None
    assert seen[9].seconds_left == pytest.approx(seen[9].train_seconds)
    assert seen[-1].seconds_left == 0


def test_nothing_of_the_callers_torch_is_changed(small: Small) -> None:
    torch.manual_seed(9)
    before = (torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    handler = signal.getsignal(signal.SIGTERM)
    train_run(small(threads=2, model__dropout=0.2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_the_callers_random_numbers_change_nothing(small: Small) -> None:
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        train_run(small(model__dropout=0.2), fresh=True)
        losses.append(RunStore().metrics(small(model__dropout=0.2).run_id(), "train_loss")[1].tolist())
    assert losses[0] == losses[1]


@pytest.mark.parametrize("together", [1, 16])
def test_a_loss_that_is_not_finite_fails_the_run_and_keeps_its_metrics(
    small: Small, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setitem(loop._FETCHED_TOGETHER, "cpu", together)
    recipe = small(optimizer__lr=1e30, optimizer__clip_norm="none", schedule__warmup_fraction=0.0)
    with pytest.raises(NonFiniteLossError, match=r"step \d+.*learning rate.*try a lower learning rate") as caught:
        train_run(recipe)
    record = RunStore().require(recipe.run_id())
    assert record.state == "failed"
    assert record.error == str(caught.value)
    steps, losses = RunStore().metrics(record.id, "train_loss")
    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert len(steps) >= 1
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_no_memory_is_one_clear_line(small: Small, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    take = TrainingStep.__call__

    def step(self: TrainingStep, inputs: torch.Tensor, targets: torch.Tensor, number: int) -> torch.Tensor:
        if number == 5:
            raise error
        return take(self, inputs, targets, number)

    monkeypatch.setattr(TrainingStep, "__call__", step)
    with pytest.raises(OutOfMemoryError, match=r"batch_size=24.*--set accumulate=2"):
        train_run(small())
    record = RunStore().require(small().run_id())
    assert record.state == "failed"
    assert "no memory left" in (record.error or "")
    assert len(RunStore().metrics(record.id, "train_loss")[0]) == 5


def test_a_fault_of_ours_fails_the_run_and_is_raised_as_it_is(small: Small) -> None:
    def on_step(progress: Progress) -> None:
        raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError):
        train_run(small(), on_step=on_step)
    assert RunStore().require(small().run_id()).state == "failed"


def test_a_full_disk_while_saving_loses_nothing_that_was_there(
    small: Small, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(checkpoint_every=4)
    real, saves = os.rename, 0

    def rename(source: Any, target: Any) -> None:
        nonlocal saves
        saves += "step-" in Path(target).name
        if saves == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(StorageError, match="the disk is full"):
        train_run(recipe)
    monkeypatch.undo()
    assert RunStore(home / "runs.sqlite").require(recipe.run_id()).state == "failed"
    folder = home / "runs" / recipe.run_id() / "checkpoints"
    newest = checkpoints.load_newest(folder)
    assert newest is not None
    assert newest.step == 8
    began: list[int] = []
    record = train_run(
        recipe, home=home, store=RunStore(home / "runs.sqlite"), on_step=lambda p: began.append(p.step)
    )
    assert began[0] == 9
    assert record.state == "finished"


def test_without_a_word_in_the_recipe_a_checkpoint_is_written_now_and_then(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    real = checkpoints.save_checkpoint

    def save(folder: Path, checkpoint: checkpoints.Checkpoint, **options: Any) -> Path:
        saved.append(checkpoint.step)
        return real(folder, checkpoint, **options)

    monkeypatch.setattr(checkpoints, "save_checkpoint", save)
    train_run(small(seed=1))
    assert saved == []
    monkeypatch.setattr(loop, "SAVED_EVERY_S", 0.0)
    train_run(small(seed=2))
    assert saved == list(range(1, 21))


def test_time_stops_a_run(small: Small) -> None:
    record = train_run(small(limits__time_s=0.05, steps=1_000_000, evaluate_every=1_000_000))
    summary: dict[str, Any] = record.summary
    assert summary["stopped_by"] == "time"
    assert summary["train_seconds"] >= 0.05
    assert 1 <= summary["steps"] < 1_000_000
    assert summary["validation_loss"] is not None


def test_time_adds_up_over_interruptions(small: Small) -> None:
    recipe = small(limits__time_s=0.2, steps=1_000_000, evaluate_every=1_000_000)

    def stop(progress: Progress) -> None:
        if progress.train_seconds > 0.1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, on_step=stop)
    began: list[Progress] = []
    record = train_run(recipe, on_step=began.append)
    assert began[0].resumed_from > 0
    assert began[0].train_seconds > 0.1
    assert record.summary["stopped_by"] == "time"
    assert len(began) < int(record.summary["steps"] or 0)


def test_energy_stops_a_run_and_is_reported_with_its_method(small: Small) -> None:
    record = train_run(small(limits__energy_j=11), power=ModelledMeter(2.0, "a test"))
    assert record.summary["stopped_by"] == "energy"
    assert record.summary["steps"] == 6
    assert record.summary["energy_j"] == 12.0
    assert record.summary["energy_method"] == "modelled"


def test_energy_is_known_only_where_every_step_was_metered(small: Small) -> None:
    meter = ModelledMeter(2.0, "a test")
    assert train_run(small(seed=1), power=meter).summary["energy_j"] == 40.0

    def interrupt_at(step: int) -> Callable[[Progress], None]:
        def on_step(progress: Progress) -> None:
            if progress.step == step:
                os.kill(os.getpid(), signal.SIGTERM)

        return on_step

    for first, second, expected in ((meter, meter, 40.0), (None, meter, None), (meter, None, None)):
        recipe = small(seed=2)
        with pytest.raises(KeyboardInterrupt):
            train_run(recipe, on_step=interrupt_at(7), power=first, fresh=True)
        assert train_run(recipe, power=second).summary["energy_j"] == expected


def test_evaluation_and_checkpoints_draw_no_energy_of_the_steps(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clocked:
        """A meter that draws 1 J whenever it is read: a step without a read in it costs nothing."""

        method = "measured"
        source = "a test"
        reads = 0

        def read_j(self, num_steps: int) -> float:
            self.reads += 1
            return float(self.reads)

    monkeypatch.setattr(loop, "_METER_EVERY_S", math.inf)
    meter = Clocked()
    record = train_run(small(checkpoint_every=5), power=meter)
    # Three validation passes (8, 16, 20) and four checkpoints (5, 10, 15, 20): each closes one stretch of steps.
    assert record.summary["energy_j"] == 7.0
    assert meter.reads == 1 + 7 + 7


def test_an_energy_limit_without_a_meter_is_modelled_and_says_so(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sevenfold.training.metering.find_meter", lambda *_: None)
    record = train_run(small(limits__energy_j=0.2, steps=1_000_000, evaluate_every=1_000_000))
    summary: dict[str, Any] = record.summary
    assert (summary["stopped_by"], summary["energy_method"]) == ("energy", "modelled")
    assert summary["energy_j"] >= 0.2
    # 3.5 W of one core for as long as the steps took; what lies between the steps is a little more than them.
    assert 3.5 * summary["train_seconds"] <= summary["energy_j"] <= 3.5 * summary["wall_seconds"]


def test_an_energy_limit_that_nothing_can_notice_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from sevenfold.training.metering import meter_for
    from sevenfold.training.workload import build_workload

    monkeypatch.setattr("sevenfold.training.metering.find_meter", lambda *_: None)
    workload = replace(build_workload(small(limits__energy_j=11)), device=torch.device("cuda", 0))
    with pytest.raises(UsageError, match="meter"):
        meter_for(workload, None)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_without_a_compiler_the_error_says_what_to_do(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    class InvalidCxxCompiler(RuntimeError):
        __module__ = "torch._inductor.exc"

    def refuse(self: TrainingStep, *_: object) -> torch.Tensor:
        raise InvalidCxxCompiler("InvalidCxxCompiler: No working C++ compiler found\nand so on")

    monkeypatch.setattr(TrainingStep, "__call__", refuse)
    with pytest.raises(RunError, match=r"torch\.compile.*C\+\+ compiler.*--set compile=false"):
        train_run(small(compile=True))
