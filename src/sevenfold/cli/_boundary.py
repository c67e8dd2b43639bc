"""The boundary where every failure becomes one line (or one JSON object) on stderr, and an exit status.

0 fine, 1 something failed, 2 the request cannot be carried out as written, 130 interrupted.
"""

from __future__ import annotations

import errno
import json
import os
import sys

import typer
from typer.exceptions import TyperException

from sevenfold.errors import OutOfMemoryError, SevenfoldError, StorageError, UsageError

_INTERRUPTED = 130


def run_guarded(arguments: list[str]) -> int:
    """Run the command line and return its exit status."""
    as_json = "--json" in arguments
    try:
        from sevenfold.cli._commands import app

        result = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
        if result == _INTERRUPTED:  # typer's way to tell of a KeyboardInterrupt
            return _interruption(as_json)
        return result if isinstance(result, int) else 0
    except SevenfoldError as error:
        return _report(error, as_json)
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        return _report(_from_click(error), as_json)
    except (typer.Abort, KeyboardInterrupt):
        return _interruption(as_json)
    except SystemExit as leave:
        if isinstance(leave.__context__, BrokenPipeError):  # typer's way to tell of a reader that left
            return _reader_left()
        raise
    except BrokenPipeError:
        return _reader_left()
    except MemoryError:
        return _report(
            OutOfMemoryError("the machine has no memory left", hint="a smaller --set batch_size"), as_json
        )
    except OSError as error:
        return _report(_from_os(error), as_json)
    except Exception as error:
        return _report(_internal(error), as_json)


def _interruption(as_json: bool) -> int:
    told = SevenfoldError("interrupted", hint="the same command: what was recorded is kept, it goes on from there")
    _report(told, as_json)
    return _INTERRUPTED


def _reader_left() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered has nowhere to go
    return 0


def _report(error: SevenfoldError, as_json: bool) -> int:
    line = json.dumps(error.to_json()) if as_json else f"sevenfold: {error}"
    print(line, file=sys.stderr)  # noqa: T201
    return error.exit_status


def _from_click(error: TyperException) -> UsageError:
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "sevenfold"
    return UsageError(message.rstrip("."), hint=f"`{command} --help`")


def _from_os(error: OSError) -> SevenfoldError:
    place = f"{error.filename} ({error.strerror})" if error.filename else str(error.strerror or error)
    if isinstance(error, FileNotFoundError):
        return UsageError("no such file or folder", got=str(error.filename), expected="a path that exists")
    if error.errno == errno.ENOSPC:
        return StorageError("the disk is full", got=place, hint="SEVENFOLD_HOME on a disk with space")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError("cannot write there", got=place, hint="SEVENFOLD_HOME=/a/writable/folder")
    return StorageError("the system refused a file operation", got=place)


def _internal(error: Exception) -> SevenfoldError:
    """A fault of ours: one line, with the traceback kept in a file."""
    got = f"{type(error).__name__}: {error}"
    try:
        from sevenfold.actions._tracebacks import keep_traceback

        return SevenfoldError("internal error", got=got, hint=f"reporting it with {keep_traceback(error)}")
    except (OSError, SevenfoldError):
        return SevenfoldError("internal error", got=got, hint="reporting it")
