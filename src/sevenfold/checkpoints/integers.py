"""Weights as integers of 8 or 4 bits: the rounding, how they lie in a file, and back.

R rows (output channels) of a tensor, K numbers a row, G numbers a group.

    8 bits   one scale a row, symmetric:  scale = max |w| / 127,  q = round(w / scale) in -127..127
    4 bits   a scale and a zero for each G numbers of a row:  low = min(w, 0), high = max(w, 0),
             scale = (high - low) / 15,  zero = round(-low / scale),  q = round(w / scale) + zero in 0..15
             two to a byte, the first in the lower half; a last group that is shorter is filled with zeros
    back     w = scale (q - zero)

Rounding is to the nearest, halves to even, of w times 1 / scale, as torch does it. A file is safetensors:
``NAME.int8`` or ``NAME.int4`` with ``NAME.scale`` (float32) and ``NAME.zero`` (packed), every other tensor as it
was, and the shapes in its header. Tensors that share memory are written once.

Jacob et al. 2017, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
section 2. Krishnamoorthi 2018, Quantizing Deep Convolutional Networks for Efficient Inference (a scale a channel).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sevenfold.checkpoints.tensors import from_bytes, to_bytes
from sevenfold.errors import CheckpointError, InputFileError

__all__ = ["IntegerWeights", "from_rows", "packed", "rounded_groups", "rounded_rows", "unpacked"]

_TINY = torch.finfo(torch.float32).tiny


def rounded_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """int8 [R, K] and scales [R] float32 of rows [R, K].

    >>> rounded_rows(torch.tensor([[1.27, -0.5]]))[0].tolist()
    [[127, -50]]
    """
    scale = (rows.float().abs().amax(1) / 127).clamp(min=_TINY)
    return (rows.float() * (1 / scale)[:, None]).round().clamp(-127, 127).to(torch.int8), scale


def rounded_groups(rows: Tensor, group: int) -> tuple[Tensor, Tensor, Tensor]:
    """Whole numbers 0..15 [R, groups, G] uint8, scales [R, groups] float32, zeros [R, groups] uint8.

    >>> rounded_groups(torch.tensor([[0.0, 1.0, 15.0]]), 3)[0].tolist()
    [[[0, 1, 15]]]
    """
    filled = torch.nn.functional.pad(rows.float(), (0, -rows.shape[1] % group))
    groups = filled.view(len(rows), -1, group)
    low, high = groups.amin(2).clamp(max=0), groups.amax(2).clamp(min=0)
    scale = ((high - low) / 15).clamp(min=_TINY)
    zero = (-low / scale).round().clamp(0, 15)
    whole = ((groups * (1 / scale)[..., None]).round() + zero[..., None]).clamp(0, 15)
    return whole.to(torch.uint8), scale, zero.to(torch.uint8)


def _integers(rows: Tensor, bits: int, group: int) -> dict[str, Tensor]:
    if bits == 8:
        whole, scale = rounded_rows(rows)
        return {"int8": whole, "scale": scale}
    whole, scale, zero = rounded_groups(rows, group)
    return {"int4": packed(whole), "scale": scale, "zero": packed(zero)}


def packed(numbers: Tensor) -> Tensor:
    """Numbers 0..15 of any shape, two to a byte: [ceil(n / 2)] uint8.

    >>> packed(torch.tensor([1, 2, 3])).tolist()
    [33, 3]
    """
    flat = torch.nn.functional.pad(numbers.flatten().to(torch.uint8), (0, numbers.numel() % 2))
    return flat[0::2] | (flat[1::2] << 4)


def unpacked(content: Tensor, count: int) -> Tensor:
    """The first ``count`` numbers of packed bytes, [count] uint8."""
    return torch.stack([content & 15, content >> 4], dim=1).flatten()[:count]


def from_rows(rows: Tensor, shape: tuple[int, ...], axis: int) -> Tensor:
    """Rows [R, K] as the tensor of this shape whose ``axis`` they lie along."""
    moved = [shape[axis], *shape[:axis], *shape[axis + 1 :]]
    return rows.reshape(moved).movedim(0, axis).contiguous()


@dataclass(frozen=True)
class IntegerWeights:
    """A model's state, some of it as integers; ``inputs`` are scale and zero of what a module is given."""

    bits: int
    group: int  # numbers that share a scale, of 4 bits
    tensors: Mapping[str, Tensor]  # as they lie in the file
    shapes: Mapping[str, tuple[int, ...]]  # of those that are integers
    axes: Mapping[str, int]  # which axis of them is the rows
    inputs: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, state: Mapping[str, Tensor], axes: Mapping[str, int], *, bits: int, group: int, **more: Any
    ) -> IntegerWeights:
        """Rounds the tensors named in ``axes``, whose rows lie along that axis, and keeps the others."""
        tensors: dict[str, Tensor] = {}
        made: dict[object, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            if name not in axes:
                tensors[name] = tensor.detach()
                continue
            place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), axes[name])
            if place not in made:
                made[place] = _integers(tensor.detach().movedim(axes[name], 0).flatten(1), bits, group)
            tensors |= {f"{name}.{end}": part for end, part in made[place].items()}
        shapes = {name: tuple(state[name].shape) for name in axes}
        return cls(bits, group, tensors, shapes, dict(axes), **more)

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors as they lie in the file."""
        places = {t.data_ptr(): t.numel() * t.element_size() for t in self.tensors.values() if t.numel()}
        return sum(places.values())

    def state(self) -> dict[str, Tensor]:
        """The model's state with every integer as the float32 number that it stands for."""
        ends = (".int8", ".int4", ".scale", ".zero")
        parts = {f"{name}{end}" for name in self.shapes for end in ends}
        kept = {name: tensor for name, tensor in self.tensors.items() if name not in parts}
        return kept | {name: self._number(name) for name in self.shapes}

    def _number(self, name: str) -> Tensor:
        shape, axis = self.shapes[name], self.axes[name]
        scale, rows = self.tensors[f"{name}.scale"], shape[axis]
        if self.bits == 8:
            return from_rows(self.tensors[f"{name}.int8"].float() * scale[:, None], shape, axis)
        whole = unpacked(self.tensors[f"{name}.int4"], scale.numel() * self.group).view(*scale.shape, self.group)
        zero = unpacked(self.tensors[f"{name}.zero"], scale.numel()).view(scale.shape)
        numbers = scale[..., None] * (whole.float() - zero.float()[..., None])
        length = torch.Size(shape).numel() // rows
        return from_rows(numbers.view(rows, -1)[:, :length], shape, axis)

    def content(self) -> bytes:
        """The bytes of the file."""
        about = {
            "bits": self.bits,
            "group": self.group,
            "shapes": self.shapes,
            "axes": self.axes,
            "inputs": self.inputs,
            "facts": dict(self.facts),
        }
        return to_bytes(self.tensors, {"sevenfold-integers": json.dumps(about)})

    @classmethod
    def read(cls, path: Path) -> IntegerWeights:
        """From a file; raises InputFileError where there is none, CheckpointError for another kind of file."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputFileError("cannot read the weights", got=f"{path} ({error.strerror})") from None
        tensors = from_bytes(content, str(path))
        try:
            size = int.from_bytes(content[:8], "little")
            about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["sevenfold-integers"])
            shapes = {name: tuple(shape) for name, shape in about["shapes"].items()}
            inputs = {name: (float(scale), int(zero)) for name, (scale, zero) in about["inputs"].items()}
            return cls(about["bits"], about["group"], tensors, shapes, about["axes"], inputs, about["facts"])
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                "no weights as integers", got=f"{path} ({error})", hint="a file that `sevenfold quantize` wrote"
            ) from None
