"""Scaled-dot-product attention as one operator, forward and backward.

On the meta device torch takes attention apart into two matrix products and a softmax that stores every score; a
device runs one fused kernel. Calls of ``torch.nn.functional.scaled_dot_product_attention`` are therefore caught
before they are taken apart: by replacing that name for the tracing thread (torch hides calls inside
``multi_head_attention_forward`` from function modes) and by a function mode for who imported it by name.

Loop bounds: B batch, H query heads, T queries, S keys, D per head, DV values per head. MACs are
B * H * pairs * (products_D * D + products_DV * DV), where pairs is T * S, or, counted as causal, the sum over
queries i < T of min(i + 1, S), which is T * (T + 1) / 2 for a square. Forward, products_D = products_DV = 1;
backward 2 and 2 where all three gradients are wanted: the scores that a fused kernel computes a second time are no
useful work and are left out (as torch's counter on the meta device does).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from sevenfold.counting._traffic import bytes_of
from sevenfold.ops.graph import Kind, Operator

if TYPE_CHECKING:
    from sevenfold.counting._recorder import Recorder

SCORE_OPS = 5  # scale, maximum, subtract, exp, sum: per pair of query and key, forward
SCORE_OPS_BACKWARD = 6  # scale, subtract, exp (again), subtract, multiply, scale


def causal_pairs(queries: int, keys: int) -> int:
    """Query-key pairs of a causal attention (query i sees keys 0..i).

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
) -> dict[str, int]:
    """Bounds from the shapes [..., H, T, D], [..., H, S, D], [..., H, S, DV]."""
    heads = query[-3] if len(query) > 2 else 1
    return {
        "B": math.prod(query[:-3]),
        "H": heads,
        "T": query[-2],
        "S": key[-2],
        "D": query[-1],
        "DV": value[-1],
        "causal": int(causal),
        "pairs": causal_pairs(query[-2], key[-2]) if causal else query[-2] * key[-2],
        "products_D": products[0],
        "products_DV": products[1],
    }


def attention_macs(bounds: dict[str, int]) -> int:
    """B * H * pairs * (products_D * D + products_DV * DV)."""
    per_pair = bounds["products_D"] * bounds["D"] + bounds["products_DV"] * bounds["DV"]
    return bounds["B"] * bounds["H"] * bounds["pairs"] * per_pair


_TORCHS_OWN = torch.nn.functional.scaled_dot_product_attention


class AttentionCounter(TorchFunctionMode):
    """Catches attention calls and lists each as one operator of kind ``attention``."""

    # Fused kernels that reach the dispatcher anyway (called directly), and the place of their query.
    ATEN = {
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

    def __init__(self, recorder: Recorder, *, causal: bool, computes: bool) -> None:
        super().__init__()
        self.recorder = recorder
        self.causal = causal
        self.computes = computes  # with real tensors: the output's values matter
        self.calls = {"causal": 0, "masked": 0, "full": 0}
        self.dropout = False

    @staticmethod
    def aten_work(
        name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Kind, dict[str, int], int, int]:
        """Kind, bounds, MACs and other arithmetic of a fused attention kernel."""
        backward = AttentionCounter.ATEN[name]
        query, key, value = args[backward : backward + 3]
        products = (2, 2) if backward else (1, 1)
        bounds = attention_bounds(query.shape, key.shape, value.shape, causal=False, products=products)
        scores = bounds["B"] * bounds["H"] * bounds["pairs"]
        return (
            "attention",
            bounds,
            attention_macs(bounds),
            scores * (SCORE_OPS_BACKWARD if backward else SCORE_OPS),
        )

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return self._attend(*args, **kwargs) if func is _TORCHS_OWN else func(*args, **kwargs)

    def __enter__(self) -> AttentionCounter:
        thread, before = threading.get_ident(), torch.nn.functional.scaled_dot_product_attention

        def caught(*args: Any, **kwargs: Any) -> torch.Tensor:
            return (self._attend if threading.get_ident() == thread else before)(*args, **kwargs)

        self._before = before
        torch.nn.functional.scaled_dot_product_attention = caught
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *failure: Any) -> None:
        torch.nn.functional.scaled_dot_product_attention = self._before
        super().__exit__(*failure)  # type: ignore[no-untyped-call]

    def _attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        _check_shapes(query, key, value, enable_gqa)
        square = query.shape[-2] == key.shape[-2]
        how = "causal" if is_causal else "masked" if attn_mask is not None and square else "full"
        self.calls[how] += 1
        self.dropout |= dropout_p > 0
        compute: Callable[..., torch.Tensor] | None = None
        if self.computes:

            def compute(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
                return _TORCHS_OWN(q, k, v, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)

        query, key, value = self._lowered(query, key, value)
        counted_causal = self.causal and how != "full"
        result: torch.Tensor = _Attention.apply(  # type: ignore[no-untyped-call]
            query, key, value, attn_mask, self.recorder, counted_causal, compute
        )
        return result

    def _lowered(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # Autocast runs attention in the lower precision; the casts are recorded as torch makes them.
        device = tensors[0].device.type
        if device == "meta" or not torch.is_autocast_enabled(device):
            return tensors
        return tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors)


class _Attention(torch.autograd.Function):
    """Stands for a fused kernel: saves query, key, value, output and one number per query, and no scores."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        recorder: Recorder,
        causal: bool,
        compute: Callable[..., torch.Tensor] | None,
    ) -> torch.Tensor:
        shape = (*_broadcast(query.shape[:-3], key.shape[:-3]), *query.shape[-3:-1], value.shape[-1])
        with recorder.paused():
            out = query.new_empty(shape) if compute is None else compute(query, key, value)
            statistics = query.new_empty(shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, mask, out, statistics)
        ctx.recorder, ctx.causal, ctx.computes = recorder, causal, compute is not None
        recorder.last_path = recorder.path()
        recorder.note_node()
        bounds = attention_bounds((*shape[:-1], query.shape[-1]), key.shape, value.shape, causal=causal)
        operands = [tensor for tensor in (query, key, value, mask) if tensor is not None]
        scores = bounds["B"] * bounds["H"] * bounds["pairs"]
        _list(recorder, query, bounds, operands, [out, statistics], SCORE_OPS * scores + out.numel())
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        query, key, value, mask, out, statistics = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        want_query, want_key, want_value, want_mask = ctx.needs_input_grad[:4]
        scores_wanted = want_query or want_key or want_mask
        with recorder.paused():
            made = [
                torch.zeros_like(tensor) if wanted else None
                for tensor, wanted in zip((query, key, value, mask), ctx.needs_input_grad[:4], strict=True)
            ]
        recorder.last_path = recorder.path()
        bounds = attention_bounds(
            (*out.shape[:-1], query.shape[-1]),
            key.shape,
            value.shape,
            causal=ctx.causal,
            products=(int(want_query) + int(want_key), int(want_value) + int(scores_wanted)),
        )
        scores = bounds["B"] * bounds["H"] * bounds["pairs"]
        operands = [t for t in (query, key, value, mask, out, statistics, grads[0]) if t is not None]
        arithmetic = SCORE_OPS_BACKWARD * scores + 2 * out.numel()
        _list(recorder, query, bounds, operands, [t for t in made if t is not None], arithmetic)
        return (*made, None, None, None)


def _list(
    recorder: Recorder,
    query: torch.Tensor,
    bounds: dict[str, int],
    operands: Sequence[torch.Tensor],
    results: Sequence[torch.Tensor],
    vector_ops: int,
) -> None:
    recorder.add(
        Operator(
            kind="attention",
            name="aten.scaled_dot_product_attention" + ("_backward" if recorder.phase == "backward" else ""),
            path=recorder.last_path,
            phase=recorder.phase,
            dtype=str(query.dtype).removeprefix("torch."),
            bounds=bounds,
            macs=attention_macs(bounds),
            bytes_read=bytes_of(operands),
            bytes_written=bytes_of(results),
            vector_ops=vector_ops,
            params=recorder.claim(list(operands)),
        )
    )


def _broadcast(*shapes: Sequence[int]) -> Sequence[int]:
    return torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call,no-any-return]


def _check_shapes(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, grouped: bool) -> None:
    """What torch refuses, refused here as well: this stands in for torch's own operator."""
    if query.shape[-1] != key.shape[-1]:
        raise RuntimeError(f"attention: query has {query.shape[-1]} per head, key {key.shape[-1]}")
    if key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"attention: {key.shape[-2]} keys, {value.shape[-2]} values")
    if query.dim() > 2 and query.shape[-3] != key.shape[-3]:
        if not grouped and 1 not in (query.shape[-3], key.shape[-3]):
            raise RuntimeError(f"attention: {query.shape[-3]} query heads, {key.shape[-3]} key heads")
        if grouped and query.shape[-3] % key.shape[-3]:
            raise RuntimeError(f"attention: {query.shape[-3]} query heads do not share {key.shape[-3]} key heads")
