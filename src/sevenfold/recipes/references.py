"""A function that a person names: ``path/to/file.py:function`` or ``package.module:function``.

A fault in a person's file is told in one line that names the file and the line, never as a traceback. Knows
nothing of what the function is for.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sevenfold.errors import InputFileError, SevenfoldError, UsageError, unknown_name

__all__ = ["fault_told", "is_reference", "load_function"]


def is_reference(text: str) -> bool:
    """Whether a text names a function rather than an entry of a catalogue.

    >>> is_reference("my_file.py:net"), is_reference("gpt2"), is_reference("folder:/a/path")
    (True, False, False)
    """
    place, colon, name = text.rpartition(":")
    return bool(colon and place) and name.isidentifier() and (_is_file(place) or _is_dotted(place))


def load_function(reference: str) -> Callable[..., Any]:
    """The function that a reference names; a file may import what lies beside it.

    Raises UsageError for a text that is no reference, a module that fails or a name that is no function,
    InputFileError for a missing file or module, UnknownNameError for a missing function.

    >>> load_function("math:sqrt")(9.0)
    3.0
    """
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise UsageError(
            "cannot read the name of a function", got=reference, expected="FILE.py:FUNCTION or MODULE:FUNCTION"
        )
    module = _file_module(Path(place).expanduser()) if _is_file(place) else _named_module(place)
    function = getattr(module, name, None)
    if function is None:
        own = [key for key, value in vars(module).items() if inspect.isroutine(value) and not key.startswith("_")]
        raise unknown_name(f"function in {place}", name, own)
    if not callable(function):
        raise UsageError(
            f"{place}:{name} cannot be called", got=f"a {type(function).__name__}", expected="a function"
        )
    return function  # type: ignore[no-any-return]


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _named_module(name: str) -> ModuleType:
    _look_in(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputFileError(
                "no such module", got=repr(name), expected="an importable module, or FILE.py:FUNCTION"
            ) from None
        raise fault_told(error, name) from error
    except (Exception, SystemExit) as error:
        raise fault_told(error, name) from error


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        near = sorted(other.name for other in path.parent.glob("*.py"))[:5] if path.parent.is_dir() else []
        raise InputFileError(
            "no such file",
            got=path,
            expected="a Python file" + (f" (there is {', '.join(near)})" if near else ""),
        )
    path = path.absolute()
    name = f"person_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise InputFileError("cannot read a file", got=path, expected="a file that ends in .py")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    _look_in(path.parent)  # as if the file were run: its neighbours can be imported
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise fault_told(error, str(path)) from error
    _send_by_value(module)
    return module


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _send_by_value(module: ModuleType) -> None:
    # Another process cannot import a module of this made-up name.
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def fault_told(error: BaseException, place: str) -> SevenfoldError:
    """A fault of a person's file in one line, with the last line of that file that led to it."""
    where = _where(error, place)
    if isinstance(error, SevenfoldError):
        return type(error)(f"{where}: {error.message}", got=error.got, expected=error.expected, hint=error.hint)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return UsageError(f"{where} failed", got=text)


def _where(error: BaseException, place: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    module = sys.modules.get(place)
    wanted = Path(getattr(module, "__file__", None) or place)
    of_file = [frame for frame in frames if Path(frame.filename).name == wanted.name]
    if not of_file:
        return place
    return f"{Path(of_file[-1].filename).name}, line {of_file[-1].lineno}"
