"""Which benchmarked family an operator belongs to, and its sizes as that family's curve takes them.

The benchmarks of calibration and the forecasts of prediction speak through this table: what is measured is what is
looked up. An operator without a row is priced like a simple elementwise one of the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from sevenfold.ops.graph import Operator

MATMUL_AXES = ["batch", "rows", "columns", "inner"]
CONV_AXES = ["groups", "images", "positions", "inputs", "outputs", "taps", "strides", "lanes"]
ATTENTION_AXES = ["heads", "queries", "keys", "width"]

AXES: dict[str, list[str]] = {
    "matmul": MATMUL_AXES,
    "matmul_bias": MATMUL_AXES,
    "conv_forward": CONV_AXES,
    "conv_grad_input": CONV_AXES,
    "conv_grad_weight": CONV_AXES,
    "attention": ATTENTION_AXES,
    "attention_backward": ATTENTION_AXES,
    "attention_causal": ATTENTION_AXES,
    "attention_causal_backward": ATTENTION_AXES,
    "attention_dropout": ATTENTION_AXES,
    "attention_dropout_backward": ATTENTION_AXES,
}

# Families over bytes (read and written) alone, and the operators of torch that belong to each.
BY_BYTES: dict[str, str] = {
    "tanh": "tanh sigmoid exp expm1 log log1p sin cos erf pow silu silu_backward softplus softplus_backward mish "
    "mish_backward elu celu selu glu glu_backward log_sigmoid_forward log_sigmoid_backward logaddexp",
    "layer_norm": "native_layer_norm native_group_norm _fused_rms_norm",
    "layer_norm_backward": "native_layer_norm_backward native_group_norm_backward _fused_rms_norm_backward",
    "batch_norm": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_functional "
    "_batch_norm_with_update _batch_norm_with_update_functional cudnn_batch_norm",
    "batch_norm_backward": "native_batch_norm_backward batch_norm_backward cudnn_batch_norm_backward",
    "softmax": "_softmax _safe_softmax softmax",
    "softmax_backward": "_softmax_backward_data",
    "log_softmax": "_log_softmax log_softmax logsumexp",
    "log_softmax_backward": "_log_softmax_backward_data",
    "fill": "zeros zeros_like ones ones_like full full_like new_zeros new_ones new_full fill zero arange",
    "pad": "constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d",
    "gather": "index_select gather take embedding",
    "index": "index _unsafe_index",
    "scatter": "index_put _unsafe_index_put _index_put_impl index_add scatter_add",
    "embedding_backward": "embedding_dense_backward",
    "random": "bernoulli uniform normal rand rand_like randn randn_like exponential native_dropout dropout_mask",
    "max_pool": "max_pool2d_with_indices adaptive_max_pool2d",
    "max_pool_backward": "max_pool2d_with_indices_backward adaptive_max_pool2d_backward",
    "average_pool": "avg_pool2d _adaptive_avg_pool2d avg_pool1d",
    "average_pool_backward": "avg_pool2d_backward _adaptive_avg_pool2d_backward",
    "nll_loss": "nll_loss_forward nll_loss2d_forward",
    "nll_loss_backward": "nll_loss_backward nll_loss2d_backward",
    "sum": "sum mean amax max amin min var var_mean norm linalg_vector_norm prod any all argmax cumsum",
    "copy": "clone copy _to_copy cat stack repeat select_backward slice_backward flip roll",
}
_FAMILY_OF = {name: family for family, names in BY_BYTES.items() for name in names.split()}
ELEMENTWISE = "pointwise"


def looked_up(op: Operator, lanes: int) -> list[tuple[str, list[float]]]:
    """The (family, sizes) whose seconds add up to one execution of an operator."""
    if op.kind == "matmul":
        b = op.bounds
        family = "matmul_bias" if "addmm" in op.name and b["B"] == 1 else "matmul"
        return [(family, [float(b["B"]), float(b["M"]), float(b["N"]), float(b["K"])])]
    if op.kind == "conv":
        return _convolution(op, lanes)
    if op.kind == "attention" and "T" in op.bounds:
        return [(_attention_family(op), attention_sizes(op.bounds))]
    return [(_by_bytes(op), [float(op.bytes_read + op.bytes_written)])]


def conv_sizes(bounds: Mapping[str, int], lanes: int) -> list[float]:
    """The sizes of a convolution, groups apart."""
    groups = bounds.get("groups", 1)
    depth, taps_depth = bounds.get("Z", 1), bounds.get("T", 1)
    strides = bounds.get("stride_h", 1) * bounds.get("stride_w", 1) * bounds.get("stride_d", 1)
    return [
        float(groups),
        float(bounds["N"]),
        float(bounds["P"] * bounds["Q"] * depth),
        bounds["C"] / groups,
        bounds["K"] / groups,
        float(bounds["R"] * bounds["S"] * taps_depth),
        float(strides),
        float(lanes),
    ]


def attention_sizes(bounds: Mapping[str, int]) -> list[float]:
    """The sizes of an attention: heads of all examples together, queries, keys, width of a head."""
    return [
        float(max(1, bounds["B"]) * bounds["H"]),
        float(bounds["T"]),
        float(bounds["S"]),
        float(max(bounds["D"], bounds.get("DV", 0))),
    ]


def _convolution(op: Operator, lanes: int) -> list[tuple[str, list[float]]]:
    sizes = conv_sizes(op.bounds, lanes)
    forward, grad_input = ("conv_forward", "conv_grad_input")
    if op.bounds.get("transposed"):  # a transposed convolution is the input gradient of a plain one
        forward, grad_input = grad_input, forward
    if op.phase != "backward":
        return [(forward, sizes)]
    if op.bounds.get("products", 2) == 1:  # the first layer: nobody wants the gradient of the images
        return [("conv_grad_weight", sizes)]
    return [(grad_input, sizes), ("conv_grad_weight", sizes)]


def _attention_family(op: Operator) -> str:
    if op.bounds.get("dropout"):
        family = "attention_dropout"
    else:
        family = "attention_causal" if op.bounds.get("is_causal", op.bounds.get("causal")) else "attention"
    return family + ("_backward" if op.phase == "backward" else "")


def _by_bytes(op: Operator) -> str:
    name = op.name.rpartition(".")[2]
    base = name if name.endswith("__") else name.removesuffix("_")
    if base in ("gelu", "gelu_backward"):
        return _gelu(op, base)
    if base in _FAMILY_OF:
        return _FAMILY_OF[base]
    by_kind = {"copy": "copy", "reduction": "sum", "softmax": "softmax", "random": "random", "loss": "nll_loss"}
    return by_kind.get(op.kind, ELEMENTWISE)


def _gelu(op: Operator, base: str) -> str:
    """The tanh form counts 9 operations an element (16 backward), the exact one 5 (10): different kernels."""
    per_element = op.vector_ops / max(1, op.bounds.get("elements", 1))
    return base if per_element > (12 if base == "gelu_backward" else 7) else f"{base}_exact"
