"""Loop bounds and multiply-accumulates of matrix products, convolutions and attention.

The product of the bounds is the number of MACs (``groups`` divides, strides and dilations are not loops):

matmul     B * M * N * K
conv       N * K * (C // groups) * P * Q * R * S * products, in three dimensions also Z (output) and T (filter).
           P, Q are output positions, of a transposed convolution input positions (each meets every tap once).
           ``products`` is 1 forward; backward 1 for each gradient computed, the input's and the weight's.
attention  B * H * pairs * (products_D * D + products_DV * DV). B batch, H query heads, T queries, S keys, D and DV
           per head. pairs is T * S or, counted as causal, the sum over queries i < T of min(i + 1, S), which is
           T * (T + 1) / 2 for a square. Forward, products_D = products_DV = 1; backward 2 and 2 where all three
           gradients are wanted: the scores that a fused kernel computes a second time are no useful work.

Source of the shapes: the operators' schemas in ATen's native_functions.yaml. torch's own counter gives the weight
gradient of a grouped convolution ``groups`` times too many MACs (it takes all input channels for each filter).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Bounds = dict[str, int]


def matmul_bounds(batch: int, rows: int, columns: int, inner: int) -> Bounds:
    """B, M, N, K."""
    return {"B": batch, "M": rows, "N": columns, "K": inner}


def matmul_macs(bounds: Bounds) -> int:
    """B * M * N * K."""
    return bounds["B"] * bounds["M"] * bounds["N"] * bounds["K"]


def conv_bounds(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    out_shape: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    *,
    transposed: bool = False,
    products: int = 1,
) -> Bounds:
    """Bounds of a 1-, 2- or 3-dimensional convolution; missing spatial dimensions are 1.

    >>> conv_bounds((1, 4, 8, 8), (6, 2, 3, 3), (1, 6, 6, 6), (1, 1), (1, 1), 2)["P"]
    6
    """
    spatial = len(w_shape) - 2
    positions = list((x_shape if transposed else out_shape)[-spatial:])
    channels, filters = (w_shape[0], w_shape[1] * groups) if transposed else (w_shape[1] * groups, w_shape[0])
    batch = x_shape[0] if len(x_shape) == spatial + 2 else 1

    def padded(values: Sequence[int]) -> list[int]:
        values = list(values) * spatial if len(values) == 1 else list(values)
        return [1] * (3 - spatial) + values

    depth, height, width = padded(positions)
    taps_depth, taps_height, taps_width = padded(w_shape[2:])
    strides, dilations = padded(stride), padded(dilation)
    bounds = {"N": batch, "K": filters, "C": channels, "P": height, "Q": width, "R": taps_height, "S": taps_width}
    if spatial == 3:
        bounds |= {"Z": depth, "T": taps_depth, "stride_d": strides[0], "dilation_d": dilations[0]}
    bounds |= {"stride_h": strides[1], "stride_w": strides[2]}
    bounds |= {"dilation_h": dilations[1], "dilation_w": dilations[2]}
    return bounds | {"groups": groups, "transposed": int(transposed), "products": products}


def conv_macs(bounds: Bounds) -> int:
    """N * K * (C / groups) * P * Q * R * S (* Z * T) * products."""
    loops = math.prod(bounds.get(name, 1) for name in ("N", "K", "P", "Q", "R", "S", "Z", "T", "products"))
    return loops * (bounds["C"] // bounds["groups"])


def _mm(args: Sequence[Any], out: Any) -> Bounds:
    (rows, inner), (_, columns) = args[0].shape, args[1].shape
    return matmul_bounds(1, rows, columns, inner)


def _bmm(args: Sequence[Any], out: Any) -> Bounds:
    (batch, rows, inner), (_, _, columns) = args[0].shape, args[1].shape
    return matmul_bounds(batch, rows, columns, inner)


def _mv(args: Sequence[Any], out: Any) -> Bounds:
    rows, inner = args[0].shape
    return matmul_bounds(1, rows, 1, inner)


def _dot(args: Sequence[Any], out: Any) -> Bounds:
    return matmul_bounds(1, 1, 1, args[0].numel())


def _linear(args: Sequence[Any], out: Any) -> Bounds:
    columns, inner = args[1].shape if args[1].dim() == 2 else (1, args[1].shape[0])
    return matmul_bounds(1, args[0].numel() // inner, columns, inner)


def _skip_first(rule: Callable[[Sequence[Any], Any], Bounds]) -> Callable[[Sequence[Any], Any], Bounds]:
    return lambda args, out: rule(args[1:], out)


def _trilinear(args: Sequence[Any], out: Any) -> Bounds:
    # sum over some dimensions of the product of three broadcast tensors: bilinear layers.
    ranks = [list(tensor.shape) for tensor in args[:3]]
    for shape, expanded in zip(ranks, args[3:6], strict=True):
        for place in sorted(expanded):
            shape.insert(place, 1)
    space = [max(sizes) for sizes in zip(*ranks, strict=True)]
    inner = math.prod(space[place] for place in args[6])
    return matmul_bounds(1, math.prod(space) // inner, 1, inner)


def _recurrent_layer(args: Sequence[Any], out: Any) -> Bounds:
    # oneDNN's fused layer: at every step the input and the state meet the weights of all gates.
    x, input_weight, state_weight = args[:3]
    gates, inputs = input_weight.shape
    return matmul_bounds(1, x.shape[0] * x.shape[1], gates, inputs + state_weight.shape[1])


def _recurrent_layer_backward(args: Sequence[Any], out: Any) -> Bounds:
    bounds = _recurrent_layer(args, out)
    return {**bounds, "K": 2 * bounds["K"]}  # the gradients of what came in and of the weights


MATMULS: dict[str, Callable[[Sequence[Any], Any], Bounds]] = {
    "mm": _mm,
    "_int_mm": _mm,
    "_scaled_mm": _mm,
    "_scaled_mm_v2": _mm,
    "bmm": _bmm,
    "mv": _mv,
    "dot": _dot,
    "vdot": _dot,
    "linear": _linear,
    "addmm": _skip_first(_mm),
    "_addmm_activation": _skip_first(_mm),
    "addbmm": _skip_first(_bmm),
    "baddbmm": _skip_first(_bmm),
    "addmv": _skip_first(_mv),
    "_trilinear": _trilinear,
    "mkldnn_rnn_layer": _recurrent_layer,
    "mkldnn_rnn_layer_backward": _recurrent_layer_backward,
}


def _convolution(args: Sequence[Any], out: Any) -> Bounds:
    x, weight, _bias, stride, _padding, dilation, transposed, _output_padding, groups = args[:9]
    return conv_bounds(x.shape, weight.shape, out.shape, stride, dilation, groups, transposed=transposed)


def _convolution_backward(args: Sequence[Any], out: Any) -> Bounds:
    grad, x, weight, _bias, stride, _padding, dilation, transposed, _output_padding, groups, wanted = args[:11]
    return conv_bounds(
        x.shape,
        weight.shape,
        grad.shape,
        stride,
        dilation,
        groups,
        transposed=transposed,
        products=int(wanted[0]) + int(wanted[1]),
    )


def _fused_convolution(args: Sequence[Any], out: Any) -> Bounds:
    # mkldnn_convolution(x, weight, bias, padding, stride, dilation, groups)
    x, weight, _bias, _padding, stride, dilation, groups = args[:7]
    return conv_bounds(x.shape, weight.shape, out.shape, stride, dilation, groups)


CONVOLUTIONS: dict[str, Callable[[Sequence[Any], Any], Bounds]] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "convolution_backward": _convolution_backward,
    "mkldnn_convolution": _fused_convolution,
}


SCORE_OPS = 5  # per query-key pair, forward: scale, maximum, subtract, exp, sum
SCORE_OPS_BACKWARD = 6  # scale, subtract, exp (again), subtract, multiply, scale


def causal_pairs(queries: int, keys: int) -> int:
    """Query-key pairs of a causal attention: query i sees keys 0..i, as torch's ``is_causal`` aligns them.

    >>> causal_pairs(4, 4), causal_pairs(2, 5), causal_pairs(5, 2)
    (10, 3, 9)
    """
    triangle = min(queries, keys)
    return triangle * (triangle + 1) // 2 + max(0, queries - keys) * keys


def attention_bounds(
    query: Sequence[int],
    key: Sequence[int],
    value: Sequence[int],
    *,
    causal: bool,
    products: tuple[int, int] = (1, 1),
) -> Bounds:
    """Bounds from the shapes [..., H, T, D], [..., H, S, D], [..., H, S, DV]."""
    return {
        "B": math.prod(query[:-3]),
        "H": query[-3] if len(query) > 2 else 1,
        "T": query[-2],
        "S": key[-2],
        "D": query[-1],
        "DV": value[-1],
        "causal": int(causal),
        "pairs": causal_pairs(query[-2], key[-2]) if causal else query[-2] * key[-2],
        "products_D": products[0],
        "products_DV": products[1],
    }


def attention_macs(bounds: Bounds) -> int:
    """B * H * pairs * (products_D * D + products_DV * DV)."""
    per_pair = bounds["products_D"] * bounds["D"] + bounds["products_DV"] * bounds["DV"]
    return bounds["B"] * bounds["H"] * bounds["pairs"] * per_pair


def attention_vector_ops(bounds: Bounds) -> int:
    """The softmax on the way, and one division (backward: a dot product) for each element of the output."""
    forward = bounds["products_D"] == 1 and bounds["products_DV"] == 1
    scores = bounds["B"] * bounds["H"] * bounds["pairs"]
    outputs = bounds["B"] * bounds["H"] * bounds["T"] * bounds["DV"]
    return scores * (SCORE_OPS if forward else SCORE_OPS_BACKWARD) + outputs * (1 if forward else 2)
