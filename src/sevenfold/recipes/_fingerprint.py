"""What a person's function computes, as a digest: the identity of a model that no catalogue knows.

Two processes must find the same digest for the same source, and another one when anything that the function uses
has changed; otherwise finished runs are repeated, or, worse, taken for runs of a changed model. The bytes of a
pickle do neither: those of a class in a script hold a random number, and those of an imported one only its name.
So bytecode, constants, defaults, captured and global values and the classes of a person's own files are walked;
installed packages count by name and version. Comments, line numbers and file names do not count.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sevenfold.errors import UsageError

__all__ = ["fingerprint", "is_own"]

_UNSTABLE = frozenset(
    (
        "__dict__",
        "__weakref__",
        "__module__",
        "__qualname__",
        "__doc__",
        "__firstlineno__",
        "__static_attributes__",
        "__annotations_cache__",
        "_abc_impl",
    )
)
_SCALARS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range)


def fingerprint(builder: Callable[..., Any]) -> str:
    """SHA-256 over what a callable computes: 64 hexadecimal digits.

    >>> def two(): return 2
    >>> fingerprint(lambda width: width * 2) == fingerprint(lambda width: width * 2)
    True
    >>> fingerprint(lambda width: width * 2) == fingerprint(lambda width: width * 3)
    False
    """
    try:
        return _Walk().digest(builder)
    except RecursionError:
        raise UsageError(
            "the model's function holds a structure that is nested too deeply to be named",
            got=getattr(builder, "__qualname__", type(builder).__name__),
            hint="building the structure inside the function",
        ) from None


def is_own(module_name: str | None) -> bool:
    """Whether a module is a person's own: a file outside the standard library, installed packages and Sevenfold."""
    if module_name is None:
        return False
    if module_name == "__main__":
        return True
    if module_name.partition(".")[0] == "sevenfold":
        return False
    return _own_file(module_name) is not None


def _own_file(module_name: str) -> Path | None:
    module = sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    if module is None:
        try:
            found = importlib.util.find_spec(module_name)
        except (ImportError, ValueError, AttributeError):
            return None
        file = found.origin if found is not None and found.has_location else None
    if not file or "site-packages" in Path(file).parts or "dist-packages" in Path(file).parts:
        return None
    path = Path(file).absolute()
    return None if any(path.is_relative_to(folder) for folder in _library_folders()) else path


@functools.lru_cache(maxsize=1)
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple(Path(sysconfig.get_path(name)).absolute() for name in names if sysconfig.get_path(name))


class _Walk:
    """One walk over everything that a function reaches; what was seen is named by its number of appearance."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(f"sevenfold function 1, python {sys.version_info[:2]}".encode())
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # keeps ids from being given to another object
        self._modules: set[str] = set()

    def digest(self, value: object) -> str:
        self._value(value)
        return self._hash.hexdigest()

    def _say(self, *words: object) -> None:
        for word in words:
            raw = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass")
            self._hash.update(f"{len(raw)}:".encode() + raw)

    def _value(self, value: Any) -> None:
        if isinstance(value, _SCALARS) and type(value) in _SCALARS:
            self._say(type(value).__name__, repr(value))
            return
        if id(value) in self._seen:
            self._say("seen", self._seen[id(value)])
            return
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        if isinstance(value, tuple | list) and type(value) in (tuple, list):
            self._say(type(value).__name__, len(value))
            for item in value:
                self._value(item)
        elif isinstance(value, dict) and type(value) is dict:
            self._say("dict", len(value))
            for key, item in value.items():
                self._value(key)
                self._value(item)
        elif isinstance(value, set | frozenset):
            self._say("set", *sorted(_Walk().digest(item) for item in value))
        else:
            self._thing(value)

    def _thing(self, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self._module(value.__name__)
        elif isinstance(value, types.MethodType):
            self._say("method")
            self._value(value.__func__)
            self._value(value.__self__)
        elif isinstance(value, staticmethod | classmethod):
            self._say(type(value).__name__)
            self._value(value.__func__)
        elif isinstance(value, property):
            self._say("property")
            for part in (value.fget, value.fset, value.fdel):
                self._value(part)
        elif isinstance(value, torch.Tensor):
            self._tensor(value)
        elif isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            self._say("array", array.dtype.str, array.shape)
            if array.dtype.hasobject:
                self._value(array.tolist())
            else:
                self._say(array.tobytes())
        else:
            self._instance(value)

    def _function(self, function: types.FunctionType) -> None:
        if not is_own(function.__module__) and _has_name(function):
            self._library("function", function)
            return
        self._say("function")
        self._code(function.__code__)
        self._value(function.__defaults__)
        self._value(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self._value(cell.cell_contents)
            except ValueError:
                self._say("empty cell")
        for name in sorted(set(_global_names(function.__code__))):
            if name in function.__globals__:
                self._say("global", name)
                self._value(function.__globals__[name])
        for name in sorted(set(_imported_names(function.__code__))):
            self._module(name)

    def _code(self, code: types.CodeType) -> None:
        self._say("code", code.co_code, code.co_exceptiontable, code.co_argcount, code.co_kwonlyargcount)
        self._say(code.co_posonlyargcount, code.co_flags, code.co_names, code.co_varnames)
        self._say(code.co_freevars, code.co_cellvars)
        for constant in code.co_consts:
            self._value(constant)

    def _class(self, kind: type) -> None:
        if not is_own(kind.__module__) and _has_name(kind):
            self._library("class", kind)
            return
        self._say("class", kind.__name__, len(kind.__bases__))
        for base in kind.__bases__:
            self._value(base)
        for name in sorted(vars(kind)):
            if name not in _UNSTABLE:
                self._say("attribute", name)
                self._value(vars(kind)[name])

    def _module(self, name: str) -> None:
        self._say("module", name)
        path = _own_file(name) if is_own(name) and name != "__main__" else None
        if path is None:
            top = sys.modules.get(name.partition(".")[0])
            self._say(getattr(top, "__version__", "-"))
            return
        if name in self._modules:
            return
        self._modules.add(name)
        self._say(hashlib.sha256(path.read_bytes()).digest())
        # What it took from a person's other files counts too.
        homes = {_home_of(value) for value in list(getattr(sys.modules.get(name), "__dict__", {}).values())}
        for other in sorted(home for home in homes if home is not None and home != name and is_own(home)):
            self._module(other)

    def _library(self, kind: str, value: Any) -> None:
        name = value.__module__ or "-"
        top = sys.modules.get(name.partition(".")[0])
        self._say(kind, name, value.__qualname__, getattr(top, "__version__", "-"))

    def _tensor(self, tensor: torch.Tensor) -> None:
        plain = tensor.detach().cpu().contiguous()
        self._say("tensor", plain.dtype, tuple(plain.shape), tensor.requires_grad)
        self._say(plain.reshape(-1).view(torch.uint8).numpy().tobytes())

    def _instance(self, value: Any) -> None:
        kind = type(value)
        wrapped = inspect.getattr_static(value, "__wrapped__", None)
        if wrapped is not None:  # a cached function, which says of itself no more than its name
            self._say("wrapper", kind.__module__, kind.__qualname__)
            self._value(wrapped)
            return
        try:
            parts = value.__reduce_ex__(4)
        except Exception:
            # A lock, a file, a handle of a C library: it has no value that could change what is computed.
            self._say("handle", kind.__module__, kind.__qualname__)
            return
        self._say("instance")
        self._value(kind)
        if isinstance(parts, str):
            self._say(parts)
            return
        for part in parts:
            if isinstance(part, Iterator):
                part = list(part)
            self._value(part)


def _has_name(value: Any) -> bool:
    """Whether a library's module and the name lead back to it; a lambda or what a function made are their code."""
    found: Any = sys.modules.get(value.__module__ or "")
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def _home_of(value: object) -> str | None:
    if isinstance(value, types.ModuleType):
        return value.__name__
    home = getattr(value, "__module__", None)
    return home if isinstance(home, str) else None


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _global_names(code: types.CodeType) -> Iterator[str]:
    """The names that a function, and functions written inside it, look up among the globals."""
    for inner in _codes(code):
        for instruction in dis.get_instructions(inner):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                yield str(instruction.argval)


def _imported_names(code: types.CodeType) -> Iterator[str]:
    for inner in _codes(code):
        for instruction in dis.get_instructions(inner):
            if instruction.opname == "IMPORT_NAME" and instruction.argval:
                yield str(instruction.argval)
