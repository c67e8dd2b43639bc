"""What a watched layer is to the row-stationary simulator: integers, bounds, parameters; and the comparison."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sevenfold.actions._watching import Seen
    from sevenfold.hardware.eyeriss.simulator import Simulation
    from sevenfold.hardware.spatial.cost import MappingCost
    from sevenfold.hardware.spatial.layer import Layer

BITS = 16


@dataclass(frozen=True)
class CountedWords:
    """Words of one operand at one level, as moved by the simulator and as the analytic model has them."""

    level: str
    operand: str
    what: str  # "read", "write", or "transfer" over the array
    simulated: int
    analytic: int


@dataclass(frozen=True)
class SimulatedLayer:
    """One layer executed element by element; ``refused`` says why where the array cannot take it."""

    path: str
    shape: dict[str, Any]
    macs: int
    refused: str | None = None
    mapping: dict[str, int] | None = None  # the seven row-stationary parameters
    outputs_equal: bool = False  # to the convolution of the same integers, bit for bit
    counts: tuple[CountedWords, ...] = ()
    macs_equal: bool = False
    passes: int = 0
    active_pes: int = 0
    gated: float = 0.0  # share of multiply-accumulates whose input is zero
    zeros: float = 0.0  # share of inputs
    coded: float = 1.0  # inputs, run-length coded over plain
    coded_out: float = 1.0  # outputs, after a rectifier that directly follows
    lossless: bool = False  # the coded inputs decode to what they were
    fixed_point_error: float = 0.0  # largest difference from the layer in floating point, over its largest output
    wall_s: float = 0.0

    @property
    def counts_equal(self) -> bool:
        """Whether every count is the analytic model's."""
        return self.macs_equal and all(count.simulated == count.analytic for count in self.counts)


def simulated_layer(seen: Seen) -> SimulatedLayer:
    """A convolution or matrix product through the simulator; refused where no row-stationary mapping takes it."""
    import numpy as np

    from sevenfold.actions.zeros import quantized_with
    from sevenfold.errors import UsageError
    from sevenfold.hardware.eyeriss.rlc import coded_share, decode, encode
    from sevenfold.hardware.eyeriss.search import EYERISS, search
    from sevenfold.hardware.eyeriss.simulator import simulate
    from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
    from sevenfold.hardware.spatial.cost import evaluate

    layer = layer_of(seen)
    chip = SPATIAL_CHIPS["eyeriss"]
    inputs, weights = as_convolution(seen)
    try:
        parameters = search(layer, EYERISS).parameters
        nest = parameters.mapping(layer, chip).on(layer, chip)
    except UsageError as error:
        return SimulatedLayer(layer.name, layer.to_dict(), layer.macs, refused=str(error))
    fixed, input_bits = quantized_with(inputs, BITS)
    fixed_weights, weight_bits = quantized_with(weights, BITS)
    padded = _padded(fixed, seen)
    begun = time.perf_counter()
    done = simulate(layer, parameters, padded, fixed_weights, chip)
    wall_s = time.perf_counter() - begun
    outputs, _ = quantized_with(seen.outputs, BITS)
    words = fixed.astype(np.int16)
    coded = encode(words)
    real = _convolved(inputs.double(), weights.double(), seen)
    largest = float(real.abs().max()) or 1.0
    difference = np.abs(done.outputs * 2.0 ** -(input_bits + weight_bits) - real.numpy()).max(initial=0.0)
    return SimulatedLayer(
        path=layer.name,
        shape=layer.to_dict(),
        macs=layer.macs,
        mapping=parameters.to_dict(),
        outputs_equal=bool(np.array_equal(done.outputs, _exact(fixed, fixed_weights, seen))),
        counts=_counts(done, cost := evaluate(nest)),
        macs_equal=done.macs == cost.macs and done.most_active == cost.active_pes,
        passes=done.passes,
        active_pes=done.most_active,
        gated=done.gated / done.macs,
        zeros=float(np.mean(fixed == 0)),
        coded=64.0 * len(coded) / (BITS * words.size),
        coded_out=coded_share(outputs.astype(np.int16)),
        lossless=bool(np.array_equal(decode(coded, words.size), words.reshape(-1))),
        fixed_point_error=float(difference) / largest,
        wall_s=wall_s,
    )


def simulatable(seen: Seen) -> bool:
    """Two-dimensional convolutions, and products of two matrices."""
    if seen.convolution is not None:
        return len(seen.convolution[3]) == 2 and seen.inputs.dim() == 4
    return seen.inputs.dim() == seen.weights.dim() == 2


def layer_of(seen: Seen) -> Layer:
    """The loop bounds of what was seen."""
    from sevenfold.hardware.spatial.layer import Layer, matmul

    name = seen.path or "(root)"
    if seen.convolution is None:
        return matmul(name, rows=seen.inputs.shape[0], columns=seen.weights.shape[1], inner=seen.inputs.shape[1])
    stride, _, dilation, kernel = seen.convolution
    filters, channels = seen.weights.shape[:2]
    batch, _, height, width = seen.outputs.shape
    return Layer(
        name, G=seen.groups, N=batch, M=filters // seen.groups, C=channels, P=height, Q=width, R=kernel[0],
        S=kernel[1], stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1],
    )  # fmt: skip


def as_convolution(seen: Seen) -> tuple[Any, Any]:
    """(images [N, C, H, W], weights [M, C, R, S]); a matrix product has one place and one tap."""
    if seen.convolution is not None:
        return seen.inputs, seen.weights
    return seen.inputs[:, :, None, None], seen.weights.t()[:, :, None, None]


def _padded(fixed: Any, seen: Seen) -> Any:
    import numpy as np

    if seen.convolution is None:
        return fixed
    down, across = seen.convolution[1]
    return np.pad(fixed, ((0, 0), (0, 0), (down, down), (across, across)))


def _convolved(inputs: Any, weights: Any, seen: Seen) -> Any:
    import torch

    stride, padding, dilation = ([1, 1], [0, 0], [1, 1]) if seen.convolution is None else seen.convolution[:3]
    return torch.nn.functional.conv2d(inputs, weights, None, stride, padding, dilation, seen.groups)


def _exact(fixed: Any, weights: Any, seen: Seen) -> Any:
    """The convolution of integers by torch, in doubles: sums of 16-bit products stay below 2 ** 53."""
    import numpy as np
    import torch

    return (
        _convolved(torch.from_numpy(fixed).double(), torch.from_numpy(weights).double(), seen)
        .numpy()
        .astype(np.int64)
    )


def _counts(done: Simulation, cost: MappingCost) -> tuple[CountedWords, ...]:
    found = []
    for level in cost.levels:
        for operand in ("W", "I", "O"):
            for what, analytic in (("read", level.reads), ("write", level.writes)):
                counted = done.words.get((level.level, operand, what), 0)
                if counted or analytic[operand]:
                    found.append(CountedWords(level.level, operand, what, counted, analytic[operand]))
    for array in cost.arrays:
        for operand in ("W", "I", "O"):
            counted = done.transfers.get(operand, 0)
            if counted or array.transfers[operand]:
                found.append(CountedWords(array.level, operand, "transfer", counted, array.transfers[operand]))
    return tuple(found)
