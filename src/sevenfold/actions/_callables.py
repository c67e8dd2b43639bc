"""A function that a person names on the command line: ``module:function`` or ``path/to/file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sevenfold.errors import InputFileError, SevenfoldError, UsageError, unknown_name


def is_reference(text: str) -> bool:
    """Whether a text names a function rather than an entry of a catalogue."""
    where, colon, name = text.rpartition(":")
    return bool(colon) and bool(where) and name.isidentifier() and (where.endswith(".py") or _is_dotted(where))


def load_callable(reference: str) -> Callable[..., Any]:
    """The function named by ``module:function`` or ``file.py:function``.

    Modules are looked for in the current folder too. Raises InputFileError for a missing file, UnknownNameError
    for a missing function, UsageError for a module that cannot be imported.

    >>> load_callable("math:sqrt")(9.0)
    3.0
    """
    where, _, name = reference.rpartition(":")
    module = _load_file(Path(where)) if where.endswith(".py") else _load_module(where)
    if name not in vars(module):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown_name(f"function in {where}", name, public)
    function = vars(module)[name]
    if not callable(function):
        raise UsageError(f"{reference} cannot be called", got=type(function).__name__, expected="a function")
    return function  # type: ignore[no-any-return]


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _load_module(name: str) -> ModuleType:
    _look_in(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise InputFileError(
                "no such module", got=name, expected="an importable module, or a path that ends in .py"
            ) from None
        raise _broken(name, error) from error
    except Exception as error:
        raise _broken(name, error) from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputFileError(
            "no such file", got=str(path), expected="a Python file and a function, file.py:function"
        )
    _look_in(path.resolve().parent)  # what the file imports from beside itself
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        if before is None:
            del sys.modules[path.stem]
        else:
            sys.modules[path.stem] = before
        if isinstance(error, SevenfoldError) or not isinstance(error, Exception):
            raise
        raise _broken(str(path), error) from error
    return module


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _broken(where: str, error: Exception) -> UsageError:
    line = getattr(error, "lineno", None)
    place = f" (line {line})" if line else ""
    return UsageError(
        f"{where} cannot be imported", got=f"{type(error).__name__}: {error}{place}", expected="a file that imports"
    )
