"""Writing a report's files: whole or not at all (temporary file, fsync, rename), one clear line when it fails."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from sevenfold.errors import StorageError

_ADVICE = {
    errno.ENOSPC: ("the disk is full", "a folder on a disk with space"),
    errno.EDQUOT: ("the disk quota is used up", "a folder on a disk with space"),
    errno.EROFS: ("the disk is read-only", "a folder that is writable"),
    errno.EACCES: ("cannot write there", "a folder that is writable"),
    errno.EPERM: ("cannot write there", "a folder that is writable"),
    errno.EISDIR: ("a report needs the name of a file", "a path that is no folder, such as report.html"),
    errno.ENOTDIR: ("cannot make a folder there", "a path whose parents are folders"),
    errno.EEXIST: ("cannot make a folder there", "a path whose parents are folders"),
    errno.ENAMETOOLONG: ("the file name is too long", "a shorter name"),
}


def write_whole(path: Path, data: bytes | str) -> Path:
    """Put the bytes (or text, as UTF-8) at the path, making its folder; what was there stays until all is written.

    Raises StorageError: full disk, read-only folder, a folder in the file's place.
    """
    raw = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    temporary: str | None = None
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            if os.name == "posix":
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise _storage_error(path, error) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):  # the disk that refused the file may refuse this too
                os.unlink(temporary)
    return path


def _storage_error(path: Path, error: OSError) -> StorageError:
    message, hint = _ADVICE.get(error.errno or 0, ("the system refused to write a report", "another folder"))
    return StorageError(message, got=f"{path} ({error.strerror or error})", hint=hint)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where folders can be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    """The permissions that a plainly created file would lack (mkstemp makes files private)."""
    current = os.umask(0)
    os.umask(current)
    return current
