"""The final weights of a run: ``weights.safetensors`` and its manifest, in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sevenfold.checkpoints import _writing
from sevenfold.checkpoints.manifest import MANIFEST, manifest_text, read_verified
from sevenfold.checkpoints.tensors import from_bytes, to_bytes

_FILE = "weights.safetensors"


def weights_path(folder: Path) -> Path:
    """Where the weights of the run in this folder are, whether they were kept or not."""
    return folder / _FILE


def save_weights(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str] | None = None) -> Path:
    """Write the weights; a kill leaves them whole, or so that reading them fails and a rerun writes them again."""
    content = to_bytes(tensors, facts)
    _writing.remove_leftovers(folder)
    _writing.write_file(folder / _FILE, content)
    _writing.write_file(folder / MANIFEST, manifest_text({_FILE: content}))
    return folder / _FILE


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights by name, verified; raises CheckpointError naming the file that is damaged or missing."""
    return from_bytes(read_verified(folder)[_FILE], str(folder / _FILE))
