"""Interrupt, damage or kill a run anywhere: going on gives bit for bit what was never interrupted gives."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sevenfold import checkpoints
from sevenfold.errors import CheckpointError
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunStore
from sevenfold.training import Progress, loop, running, train_run

Small = Callable[..., Recipe]
Everything = tuple[dict[str, tuple[list[int], list[float]]], dict[str, torch.Tensor], dict[str, Any]]

VARIANTS: dict[str, dict[str, Any]] = {
    "dropout": {"model__dropout": 0.3},
    "sgd, accumulation": {"optimizer__name": "sgd", "accumulate": 3, "model__dropout": 0.1},
    "many epochs": {"data__fraction": 0.03, "model__dropout": 0.1},  # 24 of 32 examples a batch: borders within
    "a batch of epochs": {"data__fraction": 0.02, "batch_size": 60},
    "bf16": {"precision": "bf16", "model__dropout": 0.1},
    "convolutions": {"model__name": "lecun1989-small", "model__settings": {"dropout": 0.2}},
    "language": {
        "task": "causal-lm",
        "model__name": "gpt2-nano",
        "model__settings": {"dropout": 0.1},
        "data__name": "python-docs",
        "data__settings": {"context": 16},
        "batch_size": 2,
        "accumulate": 2,
        "evaluate_examples": 4,
    },
}


def everything(home: Path, recipe: Recipe) -> Everything:
    """All metrics, the final weights, and the summary less what a clock gave."""
    store, run_id = RunStore(home / "runs.sqlite"), recipe.run_id()
    metrics = {
        name: (steps.tolist(), values.tolist())
        for name in store.metric_names(run_id)
        for steps, values in [store.metrics(run_id, name)]
    }
    summary = {name: value for name, value in store.require(run_id).summary.items() if "seconds" not in name}
    return metrics, checkpoints.load_weights(home / "runs" / run_id), summary


def same(one: Everything, two: Everything) -> bool:
    return (
        one[0] == two[0]
        and one[1].keys() == two[1].keys()
        and all(torch.equal(one[1][name], two[1][name]) for name in one[1])
        and one[2] == two[2]
    )


def interrupt_at(*steps: int) -> Callable[[Progress], None]:
    """Ctrl-C while these steps are told: the run ends after the step that follows."""

    def on_step(progress: Progress) -> None:
        if progress.step in steps:
            os.kill(os.getpid(), signal.SIGINT)

    return on_step


def interrupted(home: Path, recipe: Recipe, *steps: int, **options: Any) -> Everything:
    """The run in another home, interrupted at each of these steps, then finished."""
    for step in steps:
        with pytest.raises(KeyboardInterrupt):
            train_run(recipe, home=home, on_step=interrupt_at(step))
        assert RunStore(home / "runs.sqlite").require(recipe.run_id()).state == "interrupted"
    train_run(recipe, home=home, **options)
    return everything(home, recipe)


@pytest.mark.parametrize("variant", VARIANTS)
def test_going_on_gives_what_was_never_interrupted_gives(small: Small, tmp_path: Path, variant: str) -> None:
    recipe = small(**VARIANTS[variant])
    train_run(recipe, home=tmp_path / "whole")
    expected = everything(tmp_path / "whole", recipe)
    assert expected[0]["train_loss"][0] == list(range(1, 21))
    got = interrupted(tmp_path / "parts", recipe, 2, 7, 19)  # 19: at the last step
    assert same(got, expected)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    micro=st.integers(1, 9),
    parts=st.integers(1, 4),
    fraction=st.floats(0.01, 0.2),
    seed=st.integers(0, 1000),
    cut=st.integers(1, 11),
)
def test_any_batch_any_epoch_any_cut(
    small: Small, micro: int, parts: int, fraction: float, seed: int, cut: int
) -> None:
    recipe = small(
        steps=12,
        batch_size=micro * parts,
        accumulate=parts,
        data__fraction=fraction,
        seed=seed,
        model__dropout=0.2,
    )
    with tempfile.TemporaryDirectory() as folder:
        train_run(recipe, home=Path(folder) / "whole")
        got = interrupted(Path(folder) / "parts", recipe, cut)
        assert same(got, everything(Path(folder) / "whole", recipe))


def crash_at(step: int) -> Callable[[Progress], None]:
    def on_step(progress: Progress) -> None:
        if progress.step == step:
            raise ZeroDivisionError

    return on_step


@pytest.mark.parametrize("every", [None, 1, 3, 20])
def test_a_crash_between_checkpoints_repeats_the_steps_in_between(
    small: Small, tmp_path: Path, every: int | None
) -> None:
    recipe = small(model__dropout=0.3, checkpoint_every=every)
    train_run(recipe, home=tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        train_run(recipe, home=tmp_path / "parts", on_step=crash_at(11))
    began: list[Progress] = []
    train_run(recipe, home=tmp_path / "parts", on_step=began.append)
    assert began[0].resumed_from == {None: 0, 1: 11, 3: 9, 20: 0}[every]
    assert same(everything(tmp_path / "parts", recipe), everything(tmp_path / "whole", recipe))


def test_the_checkpoint_interval_does_not_change_the_run(small: Small, tmp_path: Path) -> None:
    for every in (None, 3):
        train_run(small(model__dropout=0.3, checkpoint_every=every), home=tmp_path / str(every))
    recipe = small(model__dropout=0.3)
    assert same(everything(tmp_path / "None", recipe), everything(tmp_path / "3", recipe))


@pytest.mark.parametrize("forgotten", ["restore_random_states", "weights", "optimizer", "order"])
def test_a_resume_that_forgets_something_shows(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    recipe = small(model__dropout=0.3)
    train_run(recipe, home=tmp_path / "whole")
    if forgotten == "restore_random_states":
        monkeypatch.setattr(running, "restore_random_states", lambda *_: None)
    elif forgotten == "order":
        from sevenfold.training.batches import BatchOrder

        real = BatchOrder.indices

        def from_zero(self: BatchOrder, step: int) -> np.ndarray:
            first = self.__dict__.setdefault("began", step)
            return real(self, step - first)

        monkeypatch.setattr(BatchOrder, "indices", from_zero)
    else:
        name = "restore_model" if forgotten == "weights" else "restore_optimizer"
        monkeypatch.setattr(checkpoints, name, lambda *_, **__: None)
    got = interrupted(tmp_path / "parts", recipe, 7)
    assert not same(got, everything(tmp_path / "whole", recipe))


def test_a_damaged_checkpoint_is_named_once_and_the_run_goes_on_from_the_one_before(
    small: Small, tmp_path: Path
) -> None:
    recipe = small(checkpoint_every=4, model__dropout=0.2)
    train_run(recipe, home=tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        train_run(recipe, home=tmp_path / "parts", on_step=crash_at(13))
    newest = tmp_path / "parts" / "runs" / recipe.run_id() / "checkpoints" / "step-00000012"
    content = bytearray((newest / "optimizer.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (newest / "optimizer.safetensors").write_bytes(content)
    notes: list[str] = []
    began: list[Progress] = []
    train_run(recipe, home=tmp_path / "parts", on_event=notes.append, on_step=began.append)
    assert len(notes) == 1
    assert str(newest / "optimizer.safetensors") in notes[0]
    assert began[0].resumed_from == 8
    assert same(everything(tmp_path / "parts", recipe), everything(tmp_path / "whole", recipe))


def test_where_all_checkpoints_are_damaged_the_run_starts_over(small: Small, tmp_path: Path) -> None:
    recipe = small(checkpoint_every=4)
    train_run(recipe, home=tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        train_run(recipe, home=tmp_path / "parts", on_step=crash_at(13))
    for file in (tmp_path / "parts" / "runs").rglob("manifest.json"):
        file.write_text("{}")
    notes: list[str] = []
    train_run(recipe, home=tmp_path / "parts", on_event=notes.append)
    assert len(notes) == 3
    assert same(everything(tmp_path / "parts", recipe), everything(tmp_path / "whole", recipe))


def test_a_checkpoint_of_a_changed_model_is_refused_by_the_tensors_name(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(checkpoint_every=4)
    with pytest.raises(ZeroDivisionError):
        train_run(recipe, home=tmp_path, on_step=crash_at(5))
    real = running.build_workload
    wider = recipe.with_changes({"model.width": 9})
    monkeypatch.setattr(running, "build_workload", lambda _: real(wider))
    with pytest.raises(CheckpointError, match=r"weight.*\[8, 64\].*\[9, 64\].*--fresh"):
        train_run(recipe, home=tmp_path)


def test_an_interruption_after_the_last_step_is_not_swallowed(small: Small, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_run(small(), home=tmp_path, on_step=interrupt_at(20))
    assert RunStore(tmp_path / "runs.sqlite").require(small().run_id()).state == "finished"


def test_a_second_interruption_does_not_wait_for_the_step(small: Small, tmp_path: Path) -> None:
    def on_step(progress: Progress) -> None:
        if progress.step == 5:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second one is raised at once")

    with pytest.raises(KeyboardInterrupt):
        train_run(small(), home=tmp_path, on_step=on_step)
    assert RunStore(tmp_path / "runs.sqlite").require(small().run_id()).state == "interrupted"
    assert not (tmp_path / "runs").exists()


def test_where_the_store_lost_the_metrics_the_run_starts_over_and_says_so(small: Small, tmp_path: Path) -> None:
    recipe = small(checkpoint_every=4, model__dropout=0.2)
    train_run(recipe, home=tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        train_run(recipe, home=tmp_path / "parts", on_step=crash_at(13))
    for file in (tmp_path / "parts").glob("runs.sqlite*"):
        file.unlink()
    notes: list[str] = []
    train_run(recipe, home=tmp_path / "parts", on_event=notes.append)
    assert len(notes) == 1
    assert "starts over" in notes[0]
    assert same(everything(tmp_path / "parts", recipe), everything(tmp_path / "whole", recipe))


def test_losses_fetched_together_are_the_same_losses(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(model__dropout=0.2, checkpoint_every=3)
    train_run(recipe, home=tmp_path / "whole")
    monkeypatch.setitem(loop._FETCHED_TOGETHER, "cpu", 6)  # as on an accelerator
    got = interrupted(tmp_path / "parts", recipe, 7)
    assert same(got, everything(tmp_path / "whole", recipe))


def test_with_two_threads_too(small: Small, tmp_path: Path) -> None:
    recipe = small(model__name="lecun1989-small", model__settings={"dropout": 0.2}, threads=2, steps=10)
    train_run(recipe, home=tmp_path / "whole")
    got = interrupted(tmp_path / "parts", recipe, 7)
    assert same(got, everything(tmp_path / "whole", recipe))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@pytest.mark.slow
def test_compiled_too(small: Small, tmp_path: Path) -> None:
    recipe = small(compile=True, model__dropout=0.2)
    train_run(recipe, home=tmp_path / "whole")
    torch.compiler.reset()
    got = interrupted(tmp_path / "parts", recipe, 7)
    assert same(got, everything(tmp_path / "whole", recipe))
