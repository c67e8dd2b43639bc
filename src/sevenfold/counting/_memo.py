"""Remembers what an operator does to given shapes: models repeat themselves, and torch's meta kernels are slow.

On the meta device the result of an operator depends on nothing but the forms of its arguments (shape, stride,
dtype, which of them share memory) and its plain arguments. For operators that make new tensors and change none, the
second call with the same forms is answered by making tensors like the first call's.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from sevenfold.counting._traffic import storage_key

_Form = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]


class _Unlike(Exception):
    """An argument or result of a kind that is not remembered."""


def form_of_call(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
    """A key under which calls of equal effect agree; None for calls that are not to be remembered."""
    seen: dict[int, int] = {}
    try:
        key = (func, _form(args, seen), _form(tuple(kwargs.items()), seen))
        hash(key)
    except (_Unlike, TypeError):
        return None
    return key


def _form(value: Any, seen: dict[int, int]) -> Hashable:
    if isinstance(value, torch.Tensor):
        if value.device.type != "meta" or value.is_complex():
            raise _Unlike
        memory = seen.setdefault(storage_key(value), len(seen))
        size = value.untyped_storage().nbytes()
        return (memory, size, value.storage_offset(), tuple(value.shape), value.stride(), value.dtype)
    if isinstance(value, (list, tuple)):
        return (type(value), *[_form(item, seen) for item in value])
    return (type(value), value)  # 1, 1.0 and True are equal, and not the same argument


def results_like(template: Any) -> Any:
    """New tensors of a template's forms."""
    if isinstance(template, list):
        return [results_like(item) for item in template]
    if template is None:
        return None
    if isinstance(template[0], str):
        return tuple(results_like(item) for item in template[1])
    shape, stride, dtype = template
    return torch.empty_strided(shape, stride, dtype=dtype, device="meta")


def template_of(results: Any) -> Any | None:
    """What ``results_like`` needs to make such results again; None where it cannot."""
    try:
        return _template(results)
    except _Unlike:
        return None


def _template(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        whole = value.numel() * value.element_size() == value.untyped_storage().nbytes()
        if value.device.type != "meta" or value.is_complex() or value.storage_offset() or not whole:
            raise _Unlike
        form: _Form = (tuple(value.shape), value.stride(), value.dtype)
        return form
    if type(value) is tuple:
        return ("tuple", [_template(item) for item in value])
    if type(value) is list:
        return [_template(item) for item in value]
    raise _Unlike
