"""Checkpoints as folders: ``step-00000100/{weights,optimizer}.safetensors, state.json, manifest.json``.

A checkpoint is written under a temporary name, flushed to the disk and renamed, so that a kill at any moment
leaves the older ones as they were. The newest whole one is used; a damaged one is reported by name and passed
over. Nothing is pickled. Knows no recipe and no training loop.

>>> from pathlib import Path; import tempfile, torch
>>> folder = Path(tempfile.mkdtemp())
>>> _ = save_checkpoint(folder, Checkpoint(step=7, weights={"w": torch.ones(2)}))
>>> load_newest(folder).step
7
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from sevenfold.checkpoints import _writing
from sevenfold.checkpoints.manifest import MANIFEST, manifest_text, read_verified
from sevenfold.checkpoints.tensors import from_bytes, to_bytes
from sevenfold.errors import CheckpointError, SevenfoldError

KEPT = 3  # newest checkpoints that stay: one may be damaged by the disk, one by the crash that damaged it
_NAME = re.compile(r"step-(\d{8,})")
_RANDOM = "random:"  # prefix of random-number states among the optimizer's tensors; no parameter has a colon


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on: tensors by name, and plain JSON-like state."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    random: dict[str, Tensor] = field(default_factory=dict)  # generator name -> its state, uint8
    state: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None  # where it was read from


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int = KEPT) -> Path:
    """Write ``folder/step-...`` whole or not at all, then delete all but the newest ``keep``.

    Raises StorageError where the disk is full or not writable; older checkpoints are then untouched.
    """
    assert keep >= 1
    tensors = checkpoint.optimizer | {_RANDOM + name: state for name, state in checkpoint.random.items()}
    files = {
        "weights.safetensors": to_bytes(checkpoint.weights),
        "optimizer.safetensors": to_bytes(tensors),
        "state.json": json.dumps({"step": checkpoint.step, **checkpoint.state}, sort_keys=True).encode(),
    }
    target = folder / f"step-{checkpoint.step:08d}"
    _writing.write_folder(target, files | {MANIFEST: manifest_text(files)})
    _prune(folder, checkpoint.step, keep)
    return target


def checkpoint_folders(folder: Path) -> list[Path]:
    """The checkpoint folders, newest first, whole or not."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def load_checkpoint(path: Path) -> Checkpoint:
    """One checkpoint; raises CheckpointError naming the file that is damaged or missing."""
    files = read_verified(path)
    try:
        state = json.loads(files["state.json"])
        tensors = from_bytes(files["optimizer.safetensors"], str(path / "optimizer.safetensors"))
        return Checkpoint(
            step=int(state["step"]),
            weights=from_bytes(files["weights.safetensors"], str(path / "weights.safetensors")),
            optimizer={name: tensor for name, tensor in tensors.items() if not name.startswith(_RANDOM)},
            random={name[len(_RANDOM) :]: tensor for name, tensor in tensors.items() if name.startswith(_RANDOM)},
            state=state,
            path=path,
        )
    except (KeyError, ValueError, TypeError) as error:
        if isinstance(error, SevenfoldError):
            raise
        raise CheckpointError(
            "a checkpoint is not of this format",
            got=f"{path} ({error})",
            expected="one written by this version of Sevenfold",
        ) from None


def load_newest(folder: Path, *, on_damage: Callable[[CheckpointError], None] | None = None) -> Checkpoint | None:
    """The newest whole checkpoint, or None; each damaged one that is passed over goes to ``on_damage``."""
    _writing.remove_leftovers(folder)
    for path in checkpoint_folders(folder):
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            if on_damage is not None:
                on_damage(error)
    return None


def remove_checkpoints(folder: Path) -> None:
    """Delete every checkpoint and what killed saves left, and the folder itself."""
    if folder.is_dir():
        with _writing.storage_errors(folder):
            _writing.discard(folder)
    _writing.remove_leftovers(folder.parent)


def _prune(folder: Path, step: int, keep: int) -> None:
    """Later ones than the one just written are damaged (the run went on below them): they go too."""
    older = 0
    for path in checkpoint_folders(folder):
        number = int(path.name.removeprefix("step-"))
        older += number <= step
        if number > step or older > keep:
            _writing.discard(path)
