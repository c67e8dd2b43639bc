"""The manifest of a folder: every file with its size and SHA-256, and a digest of the manifest itself.

Any byte that differs is noticed: a file is believed only when its size and digest are those of the manifest, and
the manifest only when it is, byte for byte, what this module writes for its own content. Knows no tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from sevenfold.errors import CheckpointError

MANIFEST = "manifest.json"
_FORMAT = 1


def manifest_text(files: Mapping[str, bytes]) -> bytes:
    """The manifest of these files (name -> content), as the bytes to write."""
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in files.items()
    }
    return _render(listed)


def read_verified(folder: Path) -> dict[str, bytes]:
    """The content of every file that the manifest names; raises CheckpointError naming the first damaged file."""
    listed = _read_manifest(folder / MANIFEST)
    return {name: _read_file(folder / name, facts) for name, facts in listed.items()}


def _render(listed: Mapping[str, object]) -> bytes:
    body = json.dumps({"files": listed, "format": _FORMAT}, sort_keys=True)
    digest = hashlib.sha256(body.encode()).hexdigest()
    return json.dumps({"digest": digest, "files": listed, "format": _FORMAT}, sort_keys=True, indent=1).encode()


def _read_manifest(path: Path) -> dict[str, dict[str, object]]:
    raw = _bytes_of(path)
    try:
        listed = json.loads(raw)["files"]
        whole = _render(listed) == raw
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise CheckpointError("a checkpoint file is damaged", got=str(path), expected="the manifest as written")
    assert isinstance(listed, dict)
    return listed


def _read_file(path: Path, facts: Mapping[str, object]) -> bytes:
    content = _bytes_of(path)
    if len(content) != facts["size"]:
        raise CheckpointError(
            "a checkpoint file is damaged",
            got=f"{path} of {len(content)} bytes",
            expected=f"{facts['size']} bytes",
        )
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise CheckpointError(
            "a checkpoint file is damaged", got=f"{path} with other bytes", expected="the SHA-256 of its manifest"
        )
    return content


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            "a checkpoint file cannot be read", got=f"{path} ({os.strerror(error.errno or 0)})"
        ) from None
