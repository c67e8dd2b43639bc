"""The SQLite file: its layout, how it is made and opened, and what its errors mean to a person.

    store    one row: 16 random bytes that name this store
    runs     one row a run: id, and what changes while it runs (state, summary, claim, number of chunks), as JSON
    facts    one row a run: what never changes (recipe, provenance, environment), as JSON
    chunks   metrics; the row's number is run * 2**32 + position

Every row is sealed (`_seal`). Write-ahead log, so that a reader never waits for a writer. A new store is made
beside its place and linked into it, so that no process ever sees half of one.
"""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from sevenfold.errors import SevenfoldError, StorageError, StoreError
from sevenfold.runs._seal import Damage, seal, unseal
from sevenfold.runs.home import made_folder

SCHEMA_VERSION = 1
APPLICATION_ID = 0x53564E46  # "SVNF"
CHUNKS_PER_RUN = 2**32
BUSY_S = 30.0  # how long a process waits for another one's commit
_TABLES = {
    "chunks": "CREATE TABLE chunks (number INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "facts": "CREATE TABLE facts (number INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "runs": "CREATE TABLE runs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, data BLOB NOT NULL)",
    "store": "CREATE TABLE store (number INTEGER PRIMARY KEY, data BLOB NOT NULL)",
}


def create(path: Path) -> None:
    """Make an empty store; nothing happens where another process was faster."""
    made_folder(path.parent)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with translated(path), closing(_connection(draft, "rwc")) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.values():
                database.execute(statement)
            database.execute("INSERT INTO store VALUES (1, ?)", (seal("store", 1, secrets.token_bytes(16)),))
            database.execute(f"PRAGMA application_id={APPLICATION_ID}")
            database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            database.execute("COMMIT")
        _link(draft, path)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                os.unlink(f"{draft}{suffix}")


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        # A file system without hard links: the only loss is that two processes may race here.
        if not path.exists():
            os.replace(draft, path)


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open an existing store and make sure that it is one of ours. Raises StoreError, StorageError."""
    with translated(path):
        if path.stat().st_size == 0:
            raise Damage("the file is empty")
        modes = ["rw"] if write else ["rw", "ro"]
        if not write and not Path(f"{path}-wal").exists():
            modes.append("ro&immutable=1")  # a read-only folder; with a log its newest rows would be left out
        for mode in modes:
            try:
                return _checked_connection(path, mode, write=write)
            except sqlite3.OperationalError as error:
                read_only = _name(error).startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
                if not read_only or mode == modes[-1]:
                    raise
        raise AssertionError("the last mode returns or raises")


def _checked_connection(path: Path, mode: str, *, write: bool) -> sqlite3.Connection:
    database = _connection(path, mode)
    try:
        _set_up(database)
        if not write:
            database.execute("PRAGMA query_only=ON")
        _check_layout(path, database)
    except BaseException:
        database.close()
        raise
    return database


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _set_up(database: sqlite3.Connection) -> None:
    # A commit that a kill of the process cannot undo; what a power cut can undo, the durable commits bound.
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute("PRAGMA cell_size_check=ON")
    database.execute("PRAGMA trusted_schema=OFF")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2**28)  # a damaged length asks for no gigabytes


def _check_layout(path: Path, database: sqlite3.Connection) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreError(
            "not a run store",
            got=f"{path} (another program's SQLite file)",
            hint="moving it away, or another SEVENFOLD_HOME",
        )
    if version != SCHEMA_VERSION:
        raise StoreError(
            "the run store is of another version",
            got=f"version {version} in {path}",
            expected=f"version {SCHEMA_VERSION}",
            hint="the Sevenfold that wrote it, or another SEVENFOLD_HOME",
        )
    found = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
    if found != _TABLES:
        raise Damage("its tables are not the ones that were made")


def identity_of(database: sqlite3.Connection) -> bytes:
    """The 16 bytes that name this store."""
    row = database.execute("SELECT data FROM store WHERE number = 1").fetchone()
    return unseal("store", 1, row[0] if row else None)


@contextmanager
def transaction(path: Path, database: sqlite3.Connection, *, durable: bool = False) -> Iterator[None]:
    """One write; ``durable`` waits until the disk has it, so that a power cut cannot undo it either."""
    with translated(path):
        if durable:
            database.execute("PRAGMA synchronous=FULL")
        try:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield
                database.execute("COMMIT")
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")
        finally:
            if durable:
                database.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def snapshot(path: Path, database: sqlite3.Connection) -> Iterator[None]:
    """Several reads of one state."""
    with translated(path):
        database.execute("BEGIN")
        try:
            yield
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's, the system's and the seals' complaints as errors of ours."""
    try:
        yield
    except Damage as error:
        raise damaged(path, str(error)) from None
    except sqlite3.Error as error:
        raise _from_sqlite(path, error) from None
    except OSError as error:
        raise _from_system(path, error) from None


def damaged(path: Path, what: str) -> StoreError:
    """The error for a store that does not hold what was written."""
    return StoreError(
        "the run store is damaged",
        got=f"{path} ({what})",
        expected="what was written to it",
        hint="a copy of it, or moving it away: runs can be made again",
    )


def _name(error: sqlite3.Error) -> str:
    # Errors of the sqlite3 module itself (not of the library) carry no name.
    return str(getattr(error, "sqlite_errorname", ""))


def _from_sqlite(path: Path, error: sqlite3.Error) -> SevenfoldError:
    name = _name(error)
    if name.startswith("SQLITE_FULL"):
        return _full(path)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return _not_writable(path, str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            "the run store is locked by another program",
            got=f"{path}, locked for more than {BUSY_S:.0f} s",
            hint="closing what holds it open",
        )
    if name == "SQLITE_NOTADB":
        return StoreError(
            "not a run store",
            got=f"{path} (not an SQLite file)",
            hint="moving it away, or another SEVENFOLD_HOME",
        )
    if name.startswith("SQLITE_IOERR") and not name.startswith(("SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPT")):
        return StorageError("the disk refused the run store", got=f"{path} ({error})")
    return damaged(path, str(error))


def _from_system(path: Path, error: OSError) -> SevenfoldError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _not_writable(path, error.strerror or "")
    return StorageError("the system refused the run store", got=f"{path} ({error.strerror})")


def _full(path: Path) -> StorageError:
    return StorageError(
        "the disk is full", got=str(path), expected="space for the run store", hint="SEVENFOLD_HOME on another disk"
    )


def _not_writable(path: Path, why: str) -> StorageError:
    return StorageError(
        "cannot open the run store", got=f"{path} ({why})", hint="SEVENFOLD_HOME=/a/writable/folder"
    )
