"""The action behind ``sevenfold count``: what a model executes on one input, and what that costs in arithmetic."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sevenfold.errors import SevenfoldError, UsageError, unknown_name
from sevenfold.ops.graph import OperatorGraph
from sevenfold.ops.tables import Row, by_kind, by_module
from sevenfold.spec import parse_assignments

if TYPE_CHECKING:
    from torch import nn

SCHEMA_VERSION = "1.0"

_DTYPES = ("float32", "bfloat16", "float16", "float64")
_LOWER = ("bfloat16", "float16")


@dataclass(frozen=True)
class CountResult:
    """The operator graph of a model, and its totals: forward, unless a name says backward."""

    graph: OperatorGraph

    def modules(self, depth: int = 2) -> list[Row]:
        """One row for each module down to a depth, in the order of execution."""
        return by_module(self.graph, depth)

    def kinds(self) -> list[Row]:
        """One row for each kind of operator, most MACs first."""
        return by_kind(self.graph)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        graph = self.graph
        return {
            "schema_version": SCHEMA_VERSION,
            "model": graph.name,
            "inputs": list(graph.inputs),
            "params": graph.params,
            "param_bytes": graph.param_bytes,
            "macs": graph.macs,
            "flops": graph.flops,
            "flops_backward": graph.flops_backward,
            "vector_ops": graph.vector_ops,
            "bytes_read": graph.bytes_read,
            "bytes_written": graph.bytes_written,
            "activation_bytes": graph.activation_bytes,
            "notes": list(graph.notes),
            "unknown": sorted({op.name for op in graph.unknown}),
            "operators": [op.to_dict() for op in graph.operators],
        }


def count(
    model: str | nn.Module,
    inputs: tuple[Any, ...] | None = None,
    *,
    batch: int = 1,
    seq: int | None = None,
    image: int | None = None,
    causal: bool = False,
    dtype: str | None = None,
    autocast: str | None = None,
    backward: bool = True,
    optimizer: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: Literal["meta", "cpu"] = "meta",
) -> CountResult:
    """Count a model: a preset's name, ``module:function`` or ``file.py:function``, or a torch module with inputs.

    >>> count("mlp-small", batch=4).graph.macs > 0
    True

    The function returns (module, inputs) or a module alone, which is then given images (``image``) or tokens
    (``seq``); ``settings`` are its keyword arguments, or the preset's settings. Attention counts in full unless
    ``causal``. Without ``backward`` the model is counted as in inference, in ``eval()`` mode;
    ``optimizer`` (adamw, sgd) adds its step. Nothing is computed
    and no weights are made, except with ``device="cpu"``.

    Raises UsageError (and its kin) for an unknown name, a length beyond the context, a module that fails.
    """
    import torch

    from sevenfold.counting import trace

    _check_choice("dtype", dtype, _DTYPES)
    _check_choice("autocast", autocast, _LOWER)
    if batch < 1:
        raise UsageError("a batch has at least one example", got=batch)
    if isinstance(model, torch.nn.Module):
        if settings:
            raise UsageError("settings are for presets and functions", got=", ".join(settings), expected="none")
        name, module = type(model).__name__, model
        given: Any = inputs if inputs is not None else _shaped_inputs(model, batch, seq, image)
    elif inputs is not None:
        raise UsageError("inputs are for a module", got=f"model {model!r}", expected="a torch.nn.Module")
    else:
        name = model
        module, given = _named(model, batch, seq, image, dict(settings or {}), device)
    positional, keywords = _call_of(given, name)
    graph = trace(
        module,
        positional,
        keywords,
        backward=backward,
        causal=causal,
        optimizer=optimizer,
        autocast=autocast,
        dtype=dtype,
        training=None if backward else False,
        name=name,
        device=device,
    )
    return CountResult(graph)


def _named(
    model: str,
    batch: int,
    seq: int | None,
    image: int | None,
    settings: dict[str, Any],
    device: Literal["meta", "cpu"],
) -> tuple[nn.Module, Any]:
    """Module and inputs of a preset or of a person's function."""
    from sevenfold.models import MODELS
    from sevenfold.recipes.references import is_reference

    if is_reference(model):
        return _from_function(model, batch, seq, image, settings, device)
    entry = MODELS[model]
    settings = entry.sized(settings, seq=seq, image=image)
    inputs = entry.example(settings, batch=batch, seq=seq, image=image, device="meta")
    return (entry.build(settings) if device == "cpu" else entry.build_meta(settings)), inputs


def _from_function(
    reference: str,
    batch: int,
    seq: int | None,
    image: int | None,
    settings: dict[str, Any],
    device: Literal["meta", "cpu"],
) -> tuple[nn.Module, Any]:
    import torch

    made = _call(reference, settings, device)
    parts = made if isinstance(made, tuple) else (made,)
    if not parts or not isinstance(parts[0], torch.nn.Module):
        raise UsageError(
            f"{reference} returned something else",
            got=_kinds(made),
            expected="(module, example inputs), or a module",
        )
    module, *rest = parts
    if not rest:
        return module, _shaped_inputs(module, batch, seq, image)
    if seq is not None or image is not None:
        raise UsageError(
            f"{reference} brings its own inputs",
            got="--seq" if seq is not None else "--image",
            expected="neither --seq nor --image",
        )
    return module, rest[0] if len(rest) == 1 else tuple(rest)


def module_of(reference: str) -> tuple[nn.Module, Any]:
    """The module and the example inputs that ``file.py:function`` returns."""
    return _named(reference, 1, None, None, {}, "meta")


def real_call(model: str, options: Mapping[str, Any]) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Module with weights, positional and keyword inputs with values, of a preset or a person's function.

    ``options`` are batch, seq, image and settings; a preset's random weights are those of seed 0.
    """
    import torch

    from sevenfold.models import MODELS

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        settings = dict(options["settings"] or {})
        sizes = {name: options[name] for name in ("batch", "seq", "image")}
        module, given = _named(model, **sizes, settings=settings, device="cpu")
    if model in MODELS.names():
        entry = MODELS[model]
        given = entry.example(entry.sized(settings, seq=sizes["seq"], image=sizes["image"]), **sizes, device="cpu")
    return module, *_call_of(given, model)


def _call(reference: str, settings: dict[str, Any], device: Literal["meta", "cpu"]) -> Any:
    """What the function returns; on the meta device if it can live there, so that its weights cost nothing."""
    import torch

    from sevenfold.recipes.references import load_function

    function = load_function(reference)
    try:
        inspect.signature(function).bind(**settings)
    except TypeError as error:
        raise UsageError(
            f"{reference} does not take these settings",
            got=str(error),
            expected=f"{function.__name__}{inspect.signature(function)}",
            hint="--set NAME=VALUE",
        ) from None
    if device == "meta":
        try:
            with torch.device("meta"):
                return function(**settings)
        except Exception:
            # It looks at values while it builds: its own error, if any, comes from the call below.
            pass
    try:
        return function(**settings)
    except SevenfoldError:
        raise
    except Exception as error:
        raise UsageError(
            f"{reference} failed", got=f"{type(error).__name__}: {error}", expected="(module, example inputs)"
        ) from error


def _shaped_inputs(module: nn.Module, batch: int, seq: int | None, image: int | None) -> tuple[Any, ...]:
    """Inputs for a module of which only the length or the image size is known."""
    import torch

    if (seq is None) == (image is None):
        raise UsageError(
            "a module without example inputs needs the shape of one",
            got="neither" if seq is None else "--seq and --image",
            expected="one of --image SIZE and --seq LENGTH",
            hint="returning (module, inputs)",
        )
    if image is None:
        return (torch.empty((batch, seq or 0), dtype=torch.int64, device="meta"),)
    first = next((part for part in module.modules() if isinstance(part, torch.nn.Conv2d)), None)
    if first is None:
        raise UsageError(
            "an image has no channels that this module tells",
            got=f"{type(module).__name__} without a Conv2d",
            expected="a module that begins with one",
            hint="returning (module, inputs)",
        )
    return (torch.empty((batch, first.in_channels, image, image), device="meta"),)


def _call_of(given: Any, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Example inputs as positional and keyword arguments."""
    import torch

    if isinstance(given, torch.Tensor):
        return (given,), {}
    if isinstance(given, Mapping):
        return (), dict(given)
    if isinstance(given, (tuple, list)):
        return tuple(given), {}
    raise UsageError(
        f"{name} has no example inputs",
        got=type(given).__name__,
        expected="a tensor, a tuple of arguments or a mapping of keyword arguments",
    )


def _check_choice(setting: str, got: str | None, known: tuple[str, ...]) -> None:
    if got is not None and got not in known:
        raise unknown_name(setting, got, known)


def _kinds(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(type(item).__name__ for item in value) + ")"
    return f"a {type(value).__name__}"


def read_settings(assignments: list[str]) -> dict[str, Any]:
    """``["layers=2", "norm=rms"]`` as ``{"layers": 2, "norm": "rms"}``."""
    return {key: _scalar(text) for key, text in parse_assignments(assignments).items()}


def _scalar(text: str) -> Any:
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except ValueError:
        return text
