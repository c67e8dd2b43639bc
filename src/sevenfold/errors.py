"""The exception tree: one clear line with what was got, what was expected and what to try.

    SevenfoldError                exit status 1: something failed
    ├── UsageError (ValueError)   exit status 2: the request cannot be carried out as written
    │   ├── UnknownNameError      a name that no catalogue or spec knows
    │   ├── SpecError             a setting that does not fit its spec
    │   ├── QuantityError         a text that is no quantity of the wanted unit
    │   └── InputFileError        a file or folder that is missing or cannot be read
    ├── RunError                  a run that could not go on
    │   ├── NonFiniteLossError    the loss became NaN or infinite
    │   └── OutOfMemoryError      the machine or the device had no memory left
    ├── StorageError              a folder or disk that does not take what is written
    ├── CheckpointError           a checkpoint that is damaged or of another shape
    └── StoreError                a run store that is damaged, locked or of another version

Low floors raise short facts; the boundary (command line, web) adds the context once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SevenfoldError(Exception):
    """A failure told in four parts; ``str()`` of it is one line.

    >>> print(SevenfoldError("no memory left", got="batch 4096", hint="a smaller batch_size"))
    no memory left: got batch 4096; try a smaller batch_size
    """

    exit_status = 1

    def __init__(
        self, message: str, *, got: object = None, expected: object = None, hint: str | None = None
    ) -> None:
        self.message = " ".join(message.split())
        self.got = None if got is None else " ".join(str(got).split())
        self.expected = None if expected is None else " ".join(str(expected).split())
        self.hint = None if hint is None else " ".join(hint.split())
        super().__init__(self.message)

    def __str__(self) -> str:
        facts = []
        if self.got is not None:
            facts.append(f"got {self.got}")
        if self.expected is not None:
            facts.append(f"expected {self.expected}")
        line = self.message + (": " + ", ".join(facts) if facts else "")
        return line + (f"; try {self.hint}" if self.hint is not None else "")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only facts survive the way through a worker process.
        return (_rebuild, (type(self), self.message, self.got, self.expected, self.hint))

    def to_json(self) -> dict[str, str | None]:
        """The object that ``--json`` writes to stderr."""
        return {"error": self.message, "got": self.got, "expected": self.expected, "hint": self.hint}


def _rebuild(
    kind: type[SevenfoldError], message: str, got: str | None, expected: str | None, hint: str | None
) -> SevenfoldError:
    return kind(message, got=got, expected=expected, hint=hint)


class UsageError(SevenfoldError, ValueError):
    """The request cannot be carried out as written."""

    exit_status = 2


class UnknownNameError(UsageError):
    """A name that no catalogue or spec knows; the nearest known name is the hint."""


class SpecError(UsageError):
    """A setting that does not fit its spec."""


class QuantityError(UsageError):
    """A text that is no quantity of the wanted unit."""


class InputFileError(UsageError):
    """A file or folder that was named and is missing or cannot be read."""


class RunError(SevenfoldError):
    """A run that could not go on."""


class NonFiniteLossError(RunError):
    """The loss became NaN or infinite."""


class OutOfMemoryError(RunError):
    """The machine or the device had no memory left."""


class StorageError(SevenfoldError):
    """A folder or disk that does not take what is written to it."""


class CheckpointError(SevenfoldError):
    """A checkpoint that is damaged, or that belongs to another recipe or shape."""


class StoreError(SevenfoldError):
    """A run store that is damaged, locked, or of another version."""


def unknown_name(kind: str, got: str, known: Iterable[str], *, hint: str | None = None) -> UnknownNameError:
    """The error for a name that is not among the known ones, with the nearest known name.

    >>> print(unknown_name("chip", "h10", ["h100", "a100"]))
    unknown chip: got 'h10', expected one of a100, h100; try h100
    """
    names = sorted(known)
    by_folded = {name.casefold(): name for name in reversed(names)}
    nearest = [
        by_folded[folded] for folded in difflib.get_close_matches(got.casefold(), by_folded, n=1, cutoff=0.4)
    ]
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    return UnknownNameError(
        f"unknown {kind}",
        got=repr(got),
        expected=f"one of {shown}" if names else f"a known {kind} (there is none)",
        hint=nearest[0] if nearest else hint,
    )
