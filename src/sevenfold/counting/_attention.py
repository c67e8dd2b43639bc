"""Scaled-dot-product attention as one operator, forward and backward.

On the meta device torch takes attention apart into two matrix products and a softmax that stores every score; a
device runs one fused kernel. Calls of ``torch.nn.functional.scaled_dot_product_attention`` are therefore caught
before they are taken apart: by replacing that name for the tracing thread (torch hides calls inside
``multi_head_attention_forward`` from function modes) and by a function mode for who imported it by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from sevenfold.counting._products import attention_bounds, attention_macs, attention_vector_ops
from sevenfold.counting._recorder import Recorder
from sevenfold.counting._traffic import bytes_of
from sevenfold.ops.graph import Operator

_TORCHS_OWN = torch.nn.functional.scaled_dot_product_attention
_OTHER_NAMES = (
    torch.ops.aten.scaled_dot_product_attention,
    torch.ops.aten.scaled_dot_product_attention.default,
)

_LOCK = threading.Lock()
_COUNTERS: dict[int, list[AttentionCounter]] = {}  # of each thread that traces, innermost last


def _caught(*args: Any, **kwargs: Any) -> torch.Tensor:
    mine = _COUNTERS.get(threading.get_ident())
    return mine[-1].attend(*args, **kwargs) if mine else _TORCHS_OWN(*args, **kwargs)


class AttentionCounter(TorchFunctionMode):
    """Catches attention calls and lists each as one operator of kind ``attention``.

    With ``causal``, calls that say so and square calls with a mask (its values are not looked at) are counted as
    causal; ``calls`` says how many of each there were.
    """

    def __init__(self, recorder: Recorder, *, causal: bool, computes: bool) -> None:
        super().__init__()
        self.recorder = recorder
        self.causal = causal
        self.computes = computes  # with real tensors: the output's values matter
        self.calls = {"causal": 0, "masked": 0, "full": 0}
        self.dropout = False

    def __enter__(self) -> AttentionCounter:
        with _LOCK:
            _COUNTERS.setdefault(threading.get_ident(), []).append(self)
            torch.nn.functional.scaled_dot_product_attention = _caught
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *failure: Any) -> None:
        super().__exit__(*failure)  # type: ignore[no-untyped-call]
        with _LOCK:
            mine = _COUNTERS[threading.get_ident()]
            mine.pop()
            if not mine:
                del _COUNTERS[threading.get_ident()]
            if not _COUNTERS:
                torch.nn.functional.scaled_dot_product_attention = _TORCHS_OWN

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is _TORCHS_OWN or func in _OTHER_NAMES:
            return self.attend(*args, **kwargs)
        return func(*args, **kwargs)

    def attend(
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
        query, key, value = _lowered(query, key, value)
        square = query.shape[-2] == key.shape[-2]
        how = "causal" if is_causal else "masked" if attn_mask is not None and square else "full"
        self.calls[how] += 1
        self.dropout |= dropout_p > 0
        compute: Callable[..., torch.Tensor] | None = None
        if self.computes:

            def compute(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
                return _TORCHS_OWN(q, k, v, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)

        causal = self.causal and how != "full"
        # How the kernel is called decides how fast it is, whatever is counted.
        called = {"is_causal": int(is_causal), "dropout": int(dropout_p > 0)}
        return _Attention.apply(  # type: ignore[no-untyped-call,no-any-return]
            query, key, value, attn_mask, self.recorder, causal, called, compute
        )


class _Attention(torch.autograd.Function):
    """Stands for a fused kernel: keeps query, key, value, output and one number per query, and no scores."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        recorder: Recorder,
        causal: bool,
        called: dict[str, int],
        compute: Callable[..., torch.Tensor] | None,
    ) -> torch.Tensor:
        batch = _broadcast(query.shape[:-3], key.shape[:-3])
        shape = (*batch, *query.shape[-3:-1], value.shape[-1])
        with recorder.paused():
            out = _like_query(query, shape) if compute is None else compute(query, key, value)
            statistics = query.new_empty(shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, mask, out, statistics)
        ctx.recorder, ctx.causal, ctx.called = recorder, causal, called
        bounds = attention_bounds((*shape[:-1], query.shape[-1]), key.shape, value.shape, causal=causal)
        _list(recorder, "", bounds | called, [query, key, value, mask], [out, statistics])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        query, key, value, mask, out, statistics = ctx.saved_tensors
        recorder: Recorder = ctx.recorder
        wanted = ctx.needs_input_grad[:4]
        with recorder.paused():
            operands = zip((query, key, value, mask), wanted, strict=True)
            made = [torch.zeros_like(tensor) if want else None for tensor, want in operands]
        # gradients of query and key run over D; of values, and of the scores on the way to the others, over DV
        products = (int(wanted[0]) + int(wanted[1]), int(wanted[2]) + int(wanted[0] or wanted[1] or wanted[3]))
        shape = (*out.shape[:-1], query.shape[-1])
        bounds = attention_bounds(shape, key.shape, value.shape, causal=ctx.causal, products=products)
        _list(
            recorder, "_backward", bounds | ctx.called, [query, key, value, mask, out, statistics, grads[0]], made
        )
        return (*made, None, None, None, None)


def _like_query(query: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """The output lies in memory in the order of the query's dimensions, so that no copy follows."""
    return torch.empty_like(query) if tuple(query.shape) == tuple(shape) else query.new_empty(shape)


def _list(
    recorder: Recorder,
    suffix: str,
    bounds: dict[str, int],
    operands: Sequence[torch.Tensor | None],
    results: Sequence[torch.Tensor | None],
) -> None:
    read = [tensor for tensor in operands if tensor is not None]
    recorder.operators.append(
        Operator(
            kind="attention",
            name="aten.scaled_dot_product_attention" + suffix,
            path=recorder.locate(),
            phase=recorder.phase,
            dtype=str(read[0].dtype).removeprefix("torch."),
            bounds=bounds,
            macs=attention_macs(bounds),
            bytes_read=bytes_of(read),
            bytes_written=bytes_of(tensor for tensor in results if tensor is not None),
            vector_ops=attention_vector_ops(bounds),
            params=recorder.claim(read),
        )
    )


def _lowered(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Under autocast attention runs in the lower precision; the casts are recorded as torch makes them."""
    device = tensors[0].device.type
    if device == "meta" or not torch.is_autocast_enabled(device):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors)


def _broadcast(*shapes: Sequence[int]) -> Sequence[int]:
    return torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call,no-any-return]


def _check_shapes(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, grouped: bool) -> None:
    """What torch refuses, refused here as well: this stands in for torch's own operator."""
    if query.shape[-1] != key.shape[-1]:
        raise RuntimeError(f"attention: query has {query.shape[-1]} per head, key {key.shape[-1]}")
    if key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"attention: {key.shape[-2]} keys, {value.shape[-2]} values")
    if query.dim() < 3 or query.shape[-3] == key.shape[-3]:
        return
    if not grouped and 1 not in (query.shape[-3], key.shape[-3]):
        raise RuntimeError(f"attention: {query.shape[-3]} query heads, {key.shape[-3]} key heads")
    if grouped and query.shape[-3] % key.shape[-3]:
        raise RuntimeError(f"attention: {query.shape[-3]} query heads do not share {key.shape[-3]} key heads")
