"""Public checkpoint formats: how a landmark reads the configuration and the tensors that others published.

A landmark's file ends in ``register(Published(...))``; here is what all of them share: every tensor of the file is
taken, none is missing, every shape fits, and a fault is one line with the layer, what it got and what it expected.

    register(
        Published(
            model_type="gpt2",
            architectures=("GPT2LMHeadModel", "GPT2Model"),
            spec=spec_from_config,           # config.json -> our spec
            weights=weights_from_tensors,    # (our spec, their tensors) -> our whole state dict
            module=GPT2,
            ignored=("*.attn.bias",),        # buffers in older files that hold no weight
        )
    )

In ``weights`` a tensor is taken by its name, ``tensors["wte.weight"]``; a name that is not there is told as
missing, one that is never taken as unknown. ``under(tensors, "transformer.")`` drops a prefix that some files have,
``take_tied`` looks at a second copy of a tied tensor. It must not know files; ``read`` is told where tensors come
from.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from sevenfold.errors import CheckpointError, UsageError, unknown_name
from sevenfold.models._entry import MODELS
from sevenfold.spec import Spec

__all__ = [
    "PUBLISHED",
    "Published",
    "published",
    "read",
    "register",
    "require_config",
    "take_tied",
    "type_of",
    "under",
]


@dataclass(frozen=True)
class Published:
    """A public checkpoint format that a landmark reads."""

    model_type: str  # config.json "model_type" ("gpt2", "bert", ...), or the diffusers library's "_class_name"
    architectures: tuple[str, ...]  # config.json "architectures" that are read; the first is the fullest
    spec: Callable[[Mapping[str, Any]], Spec]  # config.json -> our spec; UsageError for what ours cannot be
    weights: Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]  # -> our whole state dict
    module: Callable[[Any], nn.Module]
    ignored: tuple[str, ...] = ()  # names (fnmatch patterns) that may be there and hold no weight of ours
    landmark: str | None = None  # for a part of a landmark, which has no preset of its own
    example: Callable[[Any], tuple[Tensor | None, ...]] | None = None  # likewise: what one look forward is given


PUBLISHED: dict[str, Published] = {}


def register(entry: Published) -> None:
    """Add a format; a second one of the same ``model_type`` is a mistake in the program."""
    assert entry.model_type not in PUBLISHED, f"model_type {entry.model_type!r} is registered twice"
    PUBLISHED[entry.model_type] = entry


def published(config: Mapping[str, Any]) -> Published:
    """The format of a config.json; raises UsageError where none of ours reads it."""
    MODELS.names()  # imports every landmark's file, each of which registers its formats
    model_type = type_of(config)
    if model_type not in PUBLISHED:
        raise unknown_name("model_type of a checkpoint", model_type, PUBLISHED)
    entry = PUBLISHED[model_type]
    named = config.get("architectures") or [entry.architectures[0]]
    if named[0] not in entry.architectures:
        raise UsageError(
            f"no {model_type} of this architecture can be read",
            got=named[0],
            expected="one of " + ", ".join(entry.architectures),
        )
    return entry


def type_of(config: Mapping[str, Any]) -> str:
    """What a config.json says the model is: ``model_type``, or ``_class_name`` of the diffusers library.

    >>> type_of({"_class_name": "UNet2DModel"})
    'UNet2DModel'
    """
    return str(config.get("model_type") or config.get("_class_name"))


def require_config(config: Mapping[str, Any], **wanted: object) -> None:
    """UsageError unless every setting of config.json is as wanted, or one of a tuple; one that is absent is fine.

    >>> require_config({"hidden_act": "relu"}, hidden_act=("gelu", "gelu_python"))
    Traceback (most recent call last):
    sevenfold.errors.UsageError: a checkpoint that our model cannot be: got hidden_act='relu', ...
    """
    for key, value in wanted.items():
        allowed = value if isinstance(value, tuple) else (value,)
        if key in config and config[key] not in allowed:
            raise UsageError(
                "a checkpoint that our model cannot be",
                got=f"{key}={config[key]!r}",
                expected=" or ".join(repr(choice) for choice in allowed),
            )


class _Taken(Mapping[str, Tensor]):
    """Their tensors, and which of them were taken."""

    def __init__(self, tensors: Mapping[str, Tensor], source: str) -> None:
        self.tensors = tensors
        self.source = source
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise CheckpointError(
                f"{self.source} lacks a tensor",
                got=_some(self.tensors),
                expected=repr(name),
                hint=_nearest(name, self),
            )
        self.names.add(name)
        return self.tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


class _Under(Mapping[str, Tensor]):
    """Tensors whose names start with a prefix, under what follows it."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str) -> None:
        self.tensors = tensors
        self.prefix = prefix

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[self.prefix + name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.prefix + name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return (name[len(self.prefix) :] for name in self.tensors if name.startswith(self.prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def under(tensors: Mapping[str, Tensor], prefix: str) -> Mapping[str, Tensor]:
    """The tensors below a prefix; all of them where no name has it (a file of the bare model).

    >>> list(under({"bert.pooler.bias": torch.zeros(1), "cls.bias": torch.zeros(1)}, "bert."))
    ['pooler.bias']
    """
    return _Under(tensors, prefix) if any(name.startswith(prefix) for name in tensors) else tensors


def take_tied(tensors: Mapping[str, Tensor], name: str, to: str) -> None:
    """Where a tied tensor is stored a second time under ``name``, it must equal the one under ``to``."""
    if name in tensors and not torch.equal(tensors[name], tensors[to]):
        raise CheckpointError(
            f"tensor {name!r} is one with {to!r} in our model", got="two that differ", expected="equal tensors"
        )


def read(
    entry: Published,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    source: str = "the checkpoint",
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """Our module with their weights, in evaluation mode; floating weights as stored, or as ``dtype``.

    Raises UsageError for a configuration that ours cannot be, CheckpointError naming the layer for a tensor that is
    missing, unknown or of another shape.
    """
    spec = entry.spec(config)
    taken = _Taken(tensors, source)
    state = entry.weights(spec, taken)
    unknown = [
        name
        for name in tensors
        if name not in taken.names and not any(fnmatch.fnmatchcase(name, pattern) for pattern in entry.ignored)
    ]
    if unknown:
        raise CheckpointError(
            f"{source} holds a tensor that {entry.model_type} does not have",
            got=_some(map(repr, unknown)),
            expected="none",
        )
    module = _without_weights(entry.module, spec)
    _require_fit(state, module.state_dict(keep_vars=True), source)
    _place(module, state, dtype)
    return module.eval()


def _without_weights(build: Callable[[Any], nn.Module], spec: Spec) -> nn.Module:
    """The module with every parameter on the meta device, and real buffers (a table of positions is not stored)."""

    def to_meta(module: nn.Module, name: str, weight: nn.Parameter | None) -> Any:  # torch's stubs say None
        if weight is None or weight.is_meta:
            return weight
        return nn.Parameter(weight.detach().to("meta"), requires_grad=weight.requires_grad)

    hook = register_module_parameter_registration_hook(to_meta)
    try:
        return build(spec)
    finally:
        hook.remove()


def _require_fit(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    for name, weight in wanted.items():
        if name not in state:
            raise CheckpointError(
                f"{source} leaves {name!r} of our model without weights", expected=list(weight.shape)
            )
        if state[name].shape != weight.shape:
            raise CheckpointError(
                f"{name!r} does not fit {source}", got=list(state[name].shape), expected=list(weight.shape)
            )
    unknown = [name for name in state if name not in wanted]
    assert not unknown, f"a reader made tensors that our model does not have: {unknown[:6]}"


def _place(module: nn.Module, state: Mapping[str, Tensor], dtype: torch.dtype | None) -> None:
    """Give every parameter and buffer its own copy; parameters that were one object stay one."""
    placed: dict[nn.Parameter, nn.Parameter] = {}
    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        for name, weight in list(part._parameters.items()):
            if weight is None:
                continue
            if weight not in placed:
                own = _own(state[prefix + name], dtype)
                placed[weight] = nn.Parameter(own, requires_grad=weight.requires_grad)
            part._parameters[name] = placed[weight]
        for name, buffer in list(part._buffers.items()):
            if buffer is not None and prefix + name in state:
                part._buffers[name] = _own(state[prefix + name], dtype)


def _own(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A copy of our own: aligned, contiguous, and no view of a file that may change."""
    kind = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    return torch.empty(tensor.shape, dtype=kind).copy_(tensor)


def _nearest(name: str, known: Mapping[str, Tensor]) -> str | None:
    import difflib

    found = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"a file of another model, whose nearest name is {found[0]}" if found else None


def _some(names: Any) -> str:
    listed = list(names)
    return ", ".join(listed[:4]) + (f", ... ({len(listed)} in all)" if len(listed) > 4 else "")
