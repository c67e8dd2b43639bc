"""The arithmetic of one operator: its kind, loop bounds, multiply-accumulates and vector operations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from sevenfold.counting._arithmetic import GELU_TANH, GELU_TANH_BACKWARD, KINDS
from sevenfold.counting._products import (
    CONVOLUTIONS,
    MATMULS,
    attention_bounds,
    attention_macs,
    attention_vector_ops,
    conv_macs,
    matmul_macs,
)
from sevenfold.counting._traffic import tensors_in
from sevenfold.ops.graph import Kind

# Fused attention kernels that were called directly, and the place of their query among the arguments.
FUSED_ATTENTION: Mapping[str, int] = {
    "_scaled_dot_product_flash_attention": 0,
    "_scaled_dot_product_efficient_attention": 0,
    "_scaled_dot_product_cudnn_attention": 0,
    "_scaled_dot_product_flash_attention_for_cpu": 0,
    "_scaled_dot_product_fused_attention_overrideable": 0,
    "_scaled_dot_product_flash_attention_backward": 1,
    "_scaled_dot_product_efficient_attention_backward": 1,
    "_scaled_dot_product_cudnn_attention_backward": 1,
    "_scaled_dot_product_flash_attention_for_cpu_backward": 1,
    "_scaled_dot_product_fused_attention_overrideable_backward": 1,
}

_WINDOWS = {"avg_pool2d": 2, "avg_pool3d": 3, "max_pool2d_with_indices": 2, "max_pool3d_with_indices": 3}
_SORTS = frozenset(["sort", "topk", "kthvalue", "searchsorted", "bucketize", "unique_consecutive", "_unique2"])
_TRANSFORMS = frozenset(["_fft_r2c", "_fft_c2r", "_fft_c2c"])


class Work(NamedTuple):
    """What one operator computes."""

    kind: Kind
    bounds: dict[str, int]
    macs: int
    vector_ops: int


def base_name(name: str) -> str:
    """The name by which an operator is looked up: in-place and foreach forms as their plain one.

    >>> base_name("add_"), base_name("_foreach_mul_"), base_name("__and__")
    ('add', 'mul', '__and__')
    """
    name = name.removeprefix("_foreach_")
    return name if name.endswith("__") else name.removesuffix("_")


def work_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> Work:
    """Kind, loop bounds, MACs and other arithmetic of one operator as the dispatcher calls it."""
    base = base_name(func.overloadpacket.__name__)
    if base in MATMULS:
        bounds = MATMULS[base](args, out)
        # addmm, baddbmm and the like add a matrix (a bias) to every element of the product.
        added = bounds["M"] * bounds["N"] * bounds["B"] if "add" in base else 0
        return Work("matmul", bounds, matmul_macs(bounds), added)
    if base in CONVOLUTIONS:
        bounds = CONVOLUTIONS[base](args, out)
        return Work("conv", bounds, conv_macs(bounds), _bias_additions(base, args, out))
    if base in FUSED_ATTENTION:
        return _fused_attention(base, args)
    outputs = tensors_in(out)
    elements = max((tensor.numel() for tensor in outputs), default=0)
    larger = max((tensor.numel() for tensor in (*tensors_in((args, kwargs)), *outputs)), default=0)
    bounds = {"elements": elements}
    if base in KINDS:
        kind, per_element = KINDS[base]
        return Work(kind, bounds, 0, _vector_ops(base, per_element, larger, elements, args, kwargs))
    if base in _TRANSFORMS:
        return Work("reduction", bounds, 0, 5 * larger * math.ceil(math.log2(max(2, larger))))
    return Work("elementwise", bounds, 0, elements) if _is_pointwise(func, base) else Work("unknown", bounds, 0, 0)


def _is_pointwise(func: Any, base: str) -> bool:
    if torch.Tag.pointwise in func.tags:
        return True
    packet = getattr(getattr(torch.ops, func.namespace), base, None)  # the in-place form carries no tag
    if packet is None:
        return False
    return any(torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads())


def _fused_attention(base: str, args: Sequence[Any]) -> Work:
    first = FUSED_ATTENTION[base]
    query, key, value = args[first : first + 3]
    products = (2, 2) if first else (1, 1)
    bounds = attention_bounds(query.shape, key.shape, value.shape, causal=False, products=products)
    return Work("attention", bounds, attention_macs(bounds), attention_vector_ops(bounds))


def _bias_additions(base: str, args: Sequence[Any], out: Any) -> int:
    if base == "convolution_backward":
        return int(args[0].numel()) if args[10][2] else 0
    return int(out.numel()) if args[2] is not None else 0


def _vector_ops(
    base: str, per_element: int, larger: int, elements: int, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> int:
    if base in ("gelu", "gelu_backward") and kwargs.get("approximate") == "tanh":
        return larger * (GELU_TANH if base == "gelu" else GELU_TANH_BACKWARD)
    if base in _WINDOWS:
        kernel = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
        window = math.prod(kernel) if len(kernel) == _WINDOWS[base] else kernel[0] ** _WINDOWS[base]
        return elements * int(window)
    if base in _SORTS:
        return larger * math.ceil(math.log2(max(2, larger)))
    return per_element * larger
