"""Checkpoints are whole or not there; a damaged one is noticed, named and passed over."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path

import pytest
import torch

from sevenfold import checkpoints
from sevenfold.checkpoints import Checkpoint, _writing, load_checkpoint, load_newest, save_checkpoint
from sevenfold.errors import CheckpointError, StorageError


def some_checkpoint(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    return Checkpoint(
        step=step,
        weights={"layer.weight": torch.randn(7, 5, generator=generator), "count": torch.tensor(step)},
        optimizer={"layer.weight/exp_avg": torch.randn(7, 5, generator=generator)},
        random={"cpu": torch.get_rng_state()},
        state={"tally": {"step": step, "loss": 0.1 + step}},
    )


def same(one: Checkpoint, two: Checkpoint) -> bool:
    return (
        one.step == two.step
        and one.state["tally"] == two.state["tally"]
        and all(
            a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)
            for a, b in ((one.weights, two.weights), (one.optimizer, two.optimizer), (one.random, two.random))
        )
    )


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    saved = some_checkpoint(12)
    path = save_checkpoint(tmp_path, saved)
    assert path.name == "step-00000012"
    assert sorted(file.name for file in path.iterdir()) == [
        "manifest.json",
        "optimizer.safetensors",
        "state.json",
        "weights.safetensors",
    ]
    assert same(load_checkpoint(path), saved)


def test_newest_is_used_and_three_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 100_000_000):
        save_checkpoint(tmp_path, some_checkpoint(step))
    assert [path.name for path in checkpoints.checkpoint_folders(tmp_path)] == [
        "step-100000000",
        "step-00000004",
        "step-00000003",
    ]
    newest = load_newest(tmp_path)
    assert newest is not None
    assert newest.step == 100_000_000


def test_nothing_there_is_none(tmp_path: Path) -> None:
    assert load_newest(tmp_path / "missing") is None
    assert load_newest(tmp_path) is None


def test_a_damaged_one_is_named_and_passed_over_and_later_replaced(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, some_checkpoint(step))
    damaged = tmp_path / "step-00000003" / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    notes: list[CheckpointError] = []
    found = load_newest(tmp_path, on_damage=notes.append)
    assert found is not None
    assert found.step == 2
    assert len(notes) == 1
    assert str(damaged) in str(notes[0])
    save_checkpoint(tmp_path, some_checkpoint(3))
    assert same(load_checkpoint(tmp_path / "step-00000003"), some_checkpoint(3))


def test_a_later_damaged_one_does_not_outlive_the_run_that_went_on_below_it(tmp_path: Path) -> None:
    for step in (1, 2, 9):
        save_checkpoint(tmp_path, some_checkpoint(step))
    save_checkpoint(tmp_path, some_checkpoint(3))
    assert [path.name for path in checkpoints.checkpoint_folders(tmp_path)] == [
        "step-00000003",
        "step-00000002",
        "step-00000001",
    ]


def damage(content: bytes, source: random.Random) -> bytes:
    """One truncation, or one flipped bit to a whole other byte."""
    if source.random() < 0.4:
        return content[: source.randrange(len(content))]
    place = source.randrange(len(content))
    return content[:place] + bytes([content[place] ^ source.randrange(1, 256)]) + content[place + 1 :]


def test_sixty_truncations_and_byte_flips_are_all_noticed(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, some_checkpoint(5))
    source = random.Random(0)
    for number in range(60):
        file = source.choice(sorted(path.iterdir()))
        whole = file.read_bytes()
        file.write_bytes(damage(whole, source))
        with pytest.raises(CheckpointError, match=file.name):
            load_checkpoint(path)
        file.write_bytes(whole)
        assert load_checkpoint(path).step == 5, number


def test_every_byte_of_the_manifest_counts(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, some_checkpoint(5)) / "manifest.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        for mask in (1, 4, 32):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
            with pytest.raises(CheckpointError):
                load_checkpoint(path.parent)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, some_checkpoint(5))
    for name in ("manifest.json", "state.json", "weights.safetensors", "optimizer.safetensors"):
        content = (path / name).read_bytes()
        (path / name).unlink()
        with pytest.raises(CheckpointError, match=name):
            load_checkpoint(path)
        (path / name).write_bytes(content)


@pytest.mark.parametrize("call", range(8))
def test_a_full_disk_leaves_the_older_ones_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    save_checkpoint(tmp_path, some_checkpoint(1))
    calls = 0
    real = os.fsync

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > call:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    if call < 6:  # four files, their folder, the folder above
        with pytest.raises(StorageError, match="disk is full"):
            save_checkpoint(tmp_path, some_checkpoint(2))
    else:
        save_checkpoint(tmp_path, some_checkpoint(2))
    monkeypatch.undo()
    assert same(load_checkpoint(tmp_path / "step-00000001"), some_checkpoint(1))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(_writing.UNFINISHED)]


def test_what_killed_saves_and_deletions_left_is_cleaned(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, some_checkpoint(1))
    for name in (".unfinished-step-00000002-ab", ".discarded-step-00000000-cd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.safetensors").write_bytes(b"half")
    assert load_newest(tmp_path) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot write a checkpoint"):
        save_checkpoint(tmp_path / "file" / "checkpoints", some_checkpoint(1))


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    save_checkpoint(folder, some_checkpoint(1))
    checkpoints.remove_checkpoints(folder)
    checkpoints.remove_checkpoints(folder)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_pickled(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, some_checkpoint(1))
    for file in path.iterdir():
        content = file.read_bytes()
        if file.suffix == ".json":
            json.loads(content)
        else:
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            assert set(header) - {"__metadata__"}


def test_final_weights_are_verified(tmp_path: Path) -> None:
    saved = some_checkpoint(3).weights
    checkpoints.save_weights(tmp_path, saved)
    loaded = checkpoints.load_weights(tmp_path)
    assert all(torch.equal(saved[name], loaded[name]) for name in saved)
    source = random.Random(1)
    for file in sorted(tmp_path.iterdir()):
        whole = file.read_bytes()
        for _ in range(15):
            file.write_bytes(damage(whole, source))
            with pytest.raises(CheckpointError, match=file.name):
                checkpoints.load_weights(tmp_path)
        file.write_bytes(whole)
    checkpoints.save_weights(tmp_path, {"w": torch.ones(1)})
    assert set(checkpoints.load_weights(tmp_path)) == {"w"}
