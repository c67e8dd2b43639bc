"""The share of zeros in what a model's layers really read and write, and what run-length coding makes of it.

Convolutions and matrix products are watched as torch executes them, whether they are modules or function calls. A
rectifier that directly follows a layer belongs to the layer's output, as on chips that apply it on the way to DRAM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sevenfold.hardware.spatial.activations import Activations


@dataclass(frozen=True)
class LayerZeros:
    """One convolution or matrix product; coded sizes are run-length coded over plain (above 1: it would grow)."""

    path: str
    kind: str  # "conv" or "matmul"
    zeros: float  # share of input values that are zero in fixed point
    gated: float  # share of multiply-accumulates whose input is zero, the zeros of padding included
    coded: float
    zeros_out: float  # of the output, after a rectifier that directly follows
    coded_out: float
    values: int  # of the input


@dataclass(frozen=True)
class ZerosResult:
    """Every layer in the order of execution."""

    model: str
    bits: int
    layers: tuple[LayerZeros, ...]

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` would print."""
        return {"schema_version": "1.1", **asdict(self)}

    def by_operator(self) -> dict[tuple[str, str], Activations]:
        """(path, kind) -> what was measured, calls of one path averaged by their values."""
        from sevenfold.hardware.spatial.activations import Activations

        calls: dict[tuple[str, str], list[LayerZeros]] = {}
        for layer in self.layers:
            calls.setdefault((layer.path, layer.kind), []).append(layer)

        def mean(found: list[LayerZeros], name: str) -> float:
            weight = sum(layer.values for layer in found)
            return sum(getattr(layer, name) * layer.values for layer in found) / weight if weight else 0.0

        return {
            key: Activations(
                zeros=mean(found, "zeros"),
                gated=mean(found, "gated"),
                coded_inputs=mean(found, "coded"),
                coded_outputs=mean(found, "coded_out"),
            )
            for key, found in calls.items()
        }


def activation_zeros(
    module: nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any] | None = None, *, bits: int = 16
) -> ZerosResult:
    """Run a module on real inputs and look at what its convolutions and matrix products read and write.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1, bias=False), torch.nn.ReLU(), torch.nn.Conv2d(2, 1, 1))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1))
    >>> activation_zeros(net, (torch.ones(1, 1, 4, 4),)).layers[1].zeros
    0.5

    Values are brought to fixed point of so many bits with the largest power of two that none overflows. Zeros that
    padding adds count in ``gated`` alone. Raises UsageError where the module has no such layer, fails on the
    inputs, or has inputs or weights on ``meta``.
    """
    from sevenfold.actions._watching import watched

    seen = watched(module, inputs, keywords or {})
    if not seen:
        raise UsageError("the model has no convolution or linear layer", got=type(module).__name__)
    return ZerosResult(type(module).__name__, bits, tuple(_layer(one, bits) for one in seen))


def _layer(seen: Any, bits: int) -> LayerZeros:
    inputs, outputs = fixed_point(seen.inputs, bits), fixed_point(seen.outputs, bits)
    zeros, coded = _zeros_and_coded(inputs, bits)
    zeros_out, coded_out = _zeros_and_coded(outputs, bits)
    gated = zeros if seen.convolution is None else _gated_share(inputs, seen.convolution)
    return LayerZeros(seen.path, seen.kind, zeros, gated, coded, zeros_out, coded_out, int(inputs.size))


def fixed_point(values: torch.Tensor, bits: int) -> Any:
    """Integers of so many bits, with the largest power of two that none overflows."""
    return quantized_with(values, bits)[0]


def quantized_with(values: torch.Tensor, bits: int) -> tuple[Any, int]:
    """(integers, fraction bits) of a tensor."""
    import math

    import numpy as np

    from sevenfold.hardware.eyeriss.simulator import quantized

    plain = values.detach().double().cpu().numpy()
    if not np.isfinite(plain).all():
        raise UsageError("a feature map holds values that are no numbers", expected="finite values")
    largest = float(np.abs(plain).max(initial=0.0))
    fraction_bits = bits - 1 - (math.floor(math.log2(largest)) + 1 if largest else 0)
    return quantized(plain, bits=bits, fraction_bits=fraction_bits), fraction_bits


def _zeros_and_coded(fixed: Any, bits: int) -> tuple[float, float]:
    import math

    import numpy as np

    from sevenfold.hardware.eyeriss.rlc import coded_share

    if not fixed.size:
        return 0.0, 1.0
    return float(np.mean(fixed == 0)), coded_share(fixed.astype(np.int16)) if bits <= 16 else math.nan


def _gated_share(inputs: Any, convolution: Any) -> float:
    """Share of multiply-accumulates that read a zero: the taps of every output that fall on one, or on padding."""
    import torch

    stride, padding, dilation, kernel = convolution
    # Zeros of one place over the channels, then over the taps; every group and filter reads alike.
    busy = torch.from_numpy((inputs != 0).astype("float64")).sum(dim=1, keepdim=True)
    ones = torch.ones((1, 1, *kernel), dtype=torch.float64)
    function = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}
    taps = function[len(kernel)](busy, ones, None, stride, padding, dilation)
    return float(1.0 - float(taps.sum()) / (taps.numel() * ones.numel() * inputs.shape[1]))
