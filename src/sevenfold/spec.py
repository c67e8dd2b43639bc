"""What a configuration is: small, frozen, strict specs; and how ``--set KEY=VALUE`` changes one.

A spec refuses unknown keys and names the nearest known one. The help text of a setting is written once, beside the
field (``Field(description=...)``); command line, docs and forms read it there.

>>> from sevenfold.runs.recipe import Optimizer
>>> Optimizer().with_changes({"lr": "3e-4"}).lr
0.0003
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sevenfold.errors import SpecError, UnknownNameError, UsageError, unknown_name

__all__ = ["Spec", "digest_of", "parse_assignments", "settings_of", "to_spec_error"]

S = TypeVar("S", bound="Spec")


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelType
else:
    _ModelType = type(BaseModel)


class _Checked(_ModelType):
    """Makes ``S(...)`` raise our errors.

    Not an ``__init__`` of Spec: pydantic would call that for nested specs too, with the rules for Python objects
    where JSON is read (lists would not become tuples), and the place of the fault would be lost.
    """

    def __call__(cls, *arguments: Any, **settings: Any) -> Any:
        try:
            return super().__call__(*arguments, **settings)
        except ValidationError as error:
            raise to_spec_error(cast("type[BaseModel]", cls), error) from None


class Spec(BaseModel, metaclass=_Checked):
    """A frozen, strict, keyword-only configuration; unknown keys are errors with the nearest known name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """A spec from plain JSON-like data (lists become tuples), checked like the constructor."""
        try:
            text = json.dumps(settings)
        except (TypeError, ValueError) as error:
            raise SpecError(f"{cls.__name__} holds plain data", got=str(error)) from None
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise to_spec_error(cls, error) from None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-like data."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal specs have equal digests, on every machine."""
        return digest_of(self.to_dict())

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """A copy with dotted keys changed; texts are read as the field's own type.

        A key under a field of type ``dict`` (``model.settings``) may be written without the ``settings.`` part.
        Raises UnknownNameError for a key that does not exist and SpecError for a value that does not fit.
        """
        data = self.to_dict()
        for key, value in changes.items():
            _set_path(type(self), data, key, value)
        return type(self).from_dict(data)


def digest_of(data: Mapping[str, Any]) -> str:
    """SHA-256 of plain data as canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def settings_of(spec: type[BaseModel], prefix: str = "") -> list[tuple[str, str, Any, str]]:
    """Every leaf setting as (dotted key, type as text, default, help), for ``--help``, docs and forms."""
    rows: list[tuple[str, str, Any, str]] = []
    for name, field in spec.model_fields.items():
        inner = _spec_type(field.annotation)
        if inner is not None and not _is_optional(field.annotation):
            rows += settings_of(inner, f"{prefix}{name}.")
        else:
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            rows.append((prefix + name, _type_text(field.annotation), default, field.description or ""))
    return rows


def parse_assignments(assignments: Iterable[str], *, option: str = "--set") -> dict[str, str]:
    """``["optimizer.lr=3e-4"]`` as a mapping; raises UsageError for a text without ``=``."""
    changes: dict[str, str] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} needs KEY=VALUE", got=repr(text), hint=f"{option} optimizer.lr=3e-4")
        if key.strip() in changes:
            raise UsageError(f"{option} names one key twice", got=repr(key.strip()), expected="one value a key")
        changes[key.strip()] = value.strip()
    return changes


def to_spec_error(spec: type[BaseModel], error: ValidationError) -> UsageError:
    """The first fault of a pydantic ValidationError as one of ours."""
    fault = error.errors()[0]
    inner_error = fault.get("ctx", {}).get("error")
    if isinstance(inner_error, UsageError):  # a spec's own constructor, called by pydantic, has told it already
        return _within(".".join(str(part) for part in fault["loc"]), inner_error)
    where = ".".join(str(part) for part in fault["loc"]) or spec.__name__
    if fault["type"] == "extra_forbidden":
        owner = _owner(spec, fault["loc"])
        prefix = ".".join(str(part) for part in fault["loc"][:-1])
        wrong = unknown_name("setting", str(fault["loc"][-1]), owner.model_fields)
        return UnknownNameError(
            f"unknown setting {where!r}" if prefix else wrong.message,
            got=wrong.got,
            expected=wrong.expected,
            hint=wrong.hint and (f"{prefix}.{wrong.hint}" if prefix else wrong.hint),
        )
    if fault["type"] == "missing":
        return SpecError(f"{spec.__name__} needs {where}", expected=f"a value for {where}")
    got = repr(fault["input"])
    return SpecError(
        f"{where} does not fit",
        got=got if len(got) < 80 else got[:77] + "...",
        expected=_expected(fault["msg"]),
    )


def _within(prefix: str, error: UsageError) -> UsageError:
    """The fault of an inner spec, told with the dotted key of the outer one."""
    if not prefix:
        return error
    if isinstance(error, UnknownNameError):
        known = error.message.removeprefix("unknown setting").strip().strip("'")
        key = f"{prefix}.{known or (error.got or '').strip(chr(39))}"
        hint = error.hint and f"{prefix}.{error.hint}"
        return UnknownNameError(f"unknown setting {key!r}", got=error.got, expected=error.expected, hint=hint)
    return type(error)(f"{prefix}.{error.message}", got=error.got, expected=error.expected, hint=error.hint)


def _owner(spec: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """The spec that the last part of a place in another spec belongs to."""
    owner, in_container = spec, False
    for part in place[:-1]:
        if in_container:  # the position in a list or the key in a mapping
            in_container = False
            continue
        annotation = owner.model_fields[str(part)].annotation
        owner = _spec_type(annotation) or owner
        in_container = any(
            get_origin(kind) in (list, tuple, dict, Mapping, Sequence)
            for kind in (annotation, *get_args(annotation))
        )
    return owner


def _expected(message: str) -> str:
    for start in ("Input should be ", "Value error, "):
        if message.startswith(start):
            message = message[len(start) :]
    return message


def _set_path(spec: type[BaseModel], data: dict[str, Any], key: str, value: Any) -> None:
    parts = key.split(".")
    owner: type[BaseModel] = spec
    for depth, part in enumerate(parts):
        field = owner.model_fields.get(part)
        if field is None:
            open_field = next((n for n, f in owner.model_fields.items() if _is_dict(f.annotation)), None)
            if open_field is not None and depth > 0:
                data.setdefault(open_field, {})[".".join(parts[depth:])] = _read_scalar(value)
                return
            wrong = unknown_name("setting", part, owner.model_fields)
            prefix = ".".join([*parts[:depth], ""])
            raise UnknownNameError(
                f"unknown setting {key!r}",
                got=wrong.got,
                expected=wrong.expected,
                hint=wrong.hint and prefix + wrong.hint,
            )
        if _is_dict(field.annotation) and depth + 1 < len(parts):
            data.setdefault(part, {})[".".join(parts[depth + 1 :])] = _read_scalar(value)
            return
        inner = _spec_type(field.annotation)
        if depth + 1 == len(parts):
            if inner is not None and isinstance(value, str) and "name" in inner.model_fields:
                raise SpecError(
                    f"{key} does not fit",
                    got=repr(value),
                    expected="a setting below it",
                    hint=f"{key}.name={value}",
                )
            data[part] = _read_value(field.annotation, key, value)
            return
        if inner is None:
            raise UnknownNameError(
                f"unknown setting {key!r}",
                got=repr(parts[depth + 1]),
                expected=f"a value for {'.'.join(parts[: depth + 1])}",
            )
        if data.get(part) is None:
            data[part] = {}
        data, owner = data[part], inner


_NONE = ("none", "null")


def _read_value(annotation: Any, key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    is_union = get_origin(annotation) in (Union, UnionType)
    if is_union and type(None) in get_args(annotation) and value.strip().lower() in _NONE:
        return None
    takes_text = str in (get_args(annotation) if is_union else (annotation,))
    candidates = [value.strip()] if takes_text else [*_readings(value), value.strip()]
    fault = "a value that fits"
    for candidate in candidates:
        try:
            return adapter.dump_python(adapter.validate_json(json.dumps(candidate), strict=True), mode="json")
        except ValidationError as error:
            fault = _expected(error.errors()[0]["msg"])
    raise SpecError(f"{key} does not fit", got=repr(value), expected=fault)


def _readings(text: str) -> list[Any]:
    """What a text may stand for: "1e3" is a whole number where one is wanted."""
    read = _read_scalar(text)
    return [int(read), read] if isinstance(read, float) and read.is_integer() else [read]


def _read_scalar(value: Any) -> Any:
    """``"3e-4"`` -> 0.0003, ``"true"`` -> True, ``"[1, 2]"`` -> [1, 2], ``"none"`` -> None, else the text."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in _NONE:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = json.loads(text)
    except ValueError:
        try:
            return int(text.replace("_", ""))
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            return text
    return number


def _spec_type(annotation: Any) -> type[BaseModel] | None:
    """The spec in an annotation such as ``S``, ``S | None``, ``list[S]``, ``dict[str, S]``."""
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for kind in get_args(annotation) if (found := _spec_type(kind)) is not None), None)


def _is_optional(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _is_dict(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", annotation) in (dict, Mapping) or (
        getattr(annotation, "__origin__", None) is not None
        and isinstance(annotation.__origin__, type)
        and issubclass(annotation.__origin__, Mapping)
    )


def _type_text(annotation: Any) -> str:
    name = getattr(annotation, "__name__", None) if not get_args(annotation) else None
    return name or str(annotation).replace("typing.", "").replace("NoneType", "none")
