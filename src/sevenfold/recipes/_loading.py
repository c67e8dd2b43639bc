"""``recipe_from``: a recipe by its name in the catalogue, or out of a person's own file or module.

A fault in a person's file is told in one line that names the file and the line, never as a traceback.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from sevenfold.data import pinned
from sevenfold.errors import InputFileError, SevenfoldError, UsageError, unknown_name
from sevenfold.recipes._catalogue import RECIPES
from sevenfold.recipes.custom import CustomRecipe
from sevenfold.runs.recipe import Recipe

__all__ = ["recipe_from"]


def recipe_from(
    given: str | Recipe | CustomRecipe, changes: Mapping[str, Any] | None = None
) -> Recipe | CustomRecipe:
    """The recipe that a text names, with settings changed by dotted key.

    >>> recipe_from("digits-cnn", {"steps": 10}).steps
    10

    ``digits-cnn`` is an entry of the catalogue, ``my_file.py:recipe`` and ``package.module:recipe`` are functions
    that return a Recipe, or what ``custom_recipe`` returned. A folder of data is pinned to what it holds now.

    Raises UnknownNameError for a name, function or setting that does not exist, InputFileError for a missing file,
    UsageError for a function that fails or returns something else, with the line of the person's file.
    """
    found = _called(given) if isinstance(given, str) else given
    if isinstance(found, CustomRecipe):
        changed = found.with_changes(changes or {})
        return replace(changed, recipe=_pinned(changed.recipe))
    return _pinned(found.with_changes(changes or {}))


def _pinned(recipe: Recipe) -> Recipe:
    choice = pinned(recipe.data)
    return recipe if choice == recipe.data else recipe.with_changes({"data": choice.to_dict()})


def _called(name: str) -> Recipe | CustomRecipe:
    place, colon, function_name = name.rpartition(":")
    if not colon:
        if name.endswith(".py"):
            raise UsageError(
                "a file of recipes needs the name of a function", got=name, expected=f"{name}:FUNCTION"
            )
        return RECIPES[name].recipe()
    if not function_name.isidentifier() or not place:
        raise UsageError(
            "cannot read a recipe's name", got=name, expected="FILE.py:FUNCTION, MODULE:FUNCTION or a name"
        )
    is_file = place.endswith(".py") or "/" in place or "\\" in place
    module = _file_module(Path(place).expanduser()) if is_file else _named_module(place)
    function = _function(module, function_name, place)
    return _result(function, name, place)


def _function(module: ModuleType, name: str, place: str) -> Callable[[], Any]:
    function = getattr(module, name, None)
    if function is None:
        own = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise unknown_name(f"function in {place}", name, own)
    if not callable(function):
        raise UsageError(f"{place}:{name} is no function", got=f"a {type(function).__name__}")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise UsageError(
            f"{place}:{name} cannot be called without arguments", got=str(error), expected="a function of none"
        ) from None
    return function  # type: ignore[no-any-return]


def _result(function: Callable[[], Any], name: str, place: str) -> Recipe | CustomRecipe:
    try:
        result = function()
    except (Exception, SystemExit) as error:
        raise _told(error, place) from error
    if isinstance(result, Recipe | CustomRecipe):
        return result
    raise UsageError(
        f"{name} returned something else",
        got=f"a {type(result).__name__}",
        expected="a sevenfold Recipe, or what custom_recipe returns",
        hint="return sevenfold.recipe(model=..., data=..., task=...)",
    )


def _named_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputFileError(
                "no such module", got=repr(name), expected="an importable module, or FILE.py:FUNCTION"
            ) from None
        raise _told(error, name) from error
    except (Exception, SystemExit) as error:
        raise _told(error, name) from error


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        near = sorted(other.name for other in path.parent.glob("*.py"))[:5] if path.parent.is_dir() else []
        raise InputFileError(
            "no such file of recipes",
            got=path,
            expected="a Python file" + (f" (there is {', '.join(near)})" if near else ""),
        )
    path = path.absolute()
    name = f"recipe_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise InputFileError("cannot read a file of recipes", got=path, expected="a file that ends in .py")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # as if the file were run: its neighbours can be imported
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _told(error, str(path)) from error
    _send_by_value(module)
    return module


def _send_by_value(module: ModuleType) -> None:
    # Another process cannot import a module of this made-up name.
    import cloudpickle

    cloudpickle.register_pickle_by_value(module)


def _told(error: BaseException, place: str) -> SevenfoldError:
    """A fault of a person's file in one line, with the last line of that file that led to it."""
    where = _where(error, place)
    if isinstance(error, SevenfoldError):
        return type(error)(f"{where}: {error.message}", got=error.got, expected=error.expected, hint=error.hint)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return UsageError(f"{where}: the recipe failed", got=text)


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
