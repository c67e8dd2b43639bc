"""Files and folders that are whole or not there: written under a temporary name, flushed to the disk, renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from sevenfold.errors import StorageError

UNFINISHED = ".unfinished-"  # a save that was killed
DISCARDED = ".discarded-"  # a deletion that was killed


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files so that it is there whole or not at all; an older one of that name is replaced."""
    temporary = target.with_name(f"{UNFINISHED}{target.name}-{uuid.uuid4().hex[:8]}")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.mkdir()
            for name, content in files.items():
                _write_flushed(temporary / name, content)
            flush_folder(temporary)
            if target.exists():
                discard(target)
            os.rename(temporary, target)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        flush_folder(target.parent)


def write_file(target: Path, content: bytes) -> None:
    """Write one file so that it is there whole or as it was before."""
    temporary = target.with_name(f"{UNFINISHED}{target.name}-{uuid.uuid4().hex[:8]}")
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_flushed(temporary, content)
            os.replace(temporary, target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        flush_folder(target.parent)


def discard(folder: Path) -> None:
    """Delete a folder; it is renamed first, so that a deletion that is killed leaves nothing that looks whole."""
    doomed = folder.with_name(f"{DISCARDED}{folder.name}-{uuid.uuid4().hex[:8]}")
    os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed saves and killed deletions left in a folder."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name.startswith((UNFINISHED, DISCARDED)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if os.name != "posix":  # pragma: no cover - a folder cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Turn what the system says about a write into one clear line."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise StorageError(
            "the disk is full" if full else "cannot write a checkpoint",
            got=f"{target} ({error.strerror or error})",
            hint="SEVENFOLD_HOME on a disk with space" if full else "SEVENFOLD_HOME=/a/writable/folder",
        ) from error


def _write_flushed(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
