"""From an operator graph to the layers that a spatial chip runs, and what is left for its host.

Convolutions and matrix products become layers; attention becomes its matrix products; gradients become the
convolutions that they are. Everything else (softmax, normalization, elementwise) a dataflow chip does not run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.layer import Layer, matmul
from sevenfold.ops.graph import Operator, OperatorGraph, Phase


@dataclass(frozen=True)
class Work:
    """A layer with the operator that it comes from and how often it runs."""

    layer: Layer
    operator: Operator
    times: int


@dataclass(frozen=True)
class Workload:
    """Layers for the array, operators for the host, and what a reader must know."""

    works: tuple[Work, ...]
    host: tuple[Operator, ...]
    notes: tuple[str, ...]


def workload_of(graph: OperatorGraph, phases: Iterable[Phase]) -> Workload:
    """The operators of some phases, taken apart."""
    works: list[Work] = []
    host: list[Operator] = []
    notes: list[str] = []
    for op in graph.operators:
        if op.phase not in phases:
            continue
        layers = _layers(op, notes)
        if layers:
            works += [Work(layer, op, op.count) for layer in layers]
        else:
            host.append(op)
    return Workload(tuple(works), tuple(host), tuple(dict.fromkeys(notes)))


def _layers(op: Operator, notes: list[str]) -> list[Layer]:
    name = op.path or op.name
    if op.kind in ("matmul", "conv", "attention") and not op.macs:
        empty = next((bound for bound, size in op.bounds.items() if size == 0 and bound != "transposed"), None)
        if empty is not None:
            raise UsageError(f"layer {name!r} has no {empty}", got=0, expected="every bound at least 1")
    if not op.macs:
        return []
    if op.kind == "matmul":
        b = op.bounds
        return [matmul(name, rows=b["M"], columns=b["N"], inner=b["K"], batch=b["B"])]
    if op.kind == "conv":
        return _convolutions(op, name, notes)
    if op.kind == "attention":
        return _attention(op, name)
    return []


def _convolutions(op: Operator, name: str, notes: list[str]) -> list[Layer]:
    b = op.bounds
    groups = b.get("groups", 1)
    forward = Layer(
        name,
        G=groups * b.get("Z", 1) * b.get("T", 1),  # depth, and taps in depth, one after the other
        N=b["N"],
        M=b["K"] // groups,
        C=b["C"] // groups,
        P=b["P"],
        Q=b["Q"],
        R=b["R"],
        S=b["S"],
        stride_h=b.get("stride_h", 1),
        stride_w=b.get("stride_w", 1),
        dilation_h=b.get("dilation_h", 1),
        dilation_w=b.get("dilation_w", 1),
    )
    if op.phase != "backward" and not b.get("transposed"):
        return [forward]
    if op.phase != "backward" or b.get("transposed"):
        notes.append("transposed convolutions are costed as plain ones over their input positions")
    if op.phase != "backward":
        return [gradient_of_input(forward)]
    layers = [gradient_of_weight(forward)]
    if b.get("products", 2) > 1:
        layers.append(gradient_of_input(forward))
        if forward.stride_h > 1 or forward.stride_w > 1:
            notes.append("input gradients of strided convolutions are costed at their output positions")
    return layers


def gradient_of_weight(layer: Layer) -> Layer:
    """The weight's gradient: input channels are its batch, the batch its channels, output positions its taps.

    >>> gradient_of_weight(Layer("c", N=2, M=8, C=4, P=6, Q=6, R=3, S=3, stride_h=2)).dilation_h
    2
    """
    return Layer(
        f"{layer.name} (weight)", G=layer.G, N=layer.C, M=layer.M, C=layer.N, P=layer.R, Q=layer.S, R=layer.P,
        S=layer.Q, stride_h=layer.dilation_h, stride_w=layer.dilation_w, dilation_h=layer.stride_h,
        dilation_w=layer.stride_w,
    )  # fmt: skip


def gradient_of_input(layer: Layer) -> Layer:
    """The input's gradient: channels and filters exchange their places."""
    return Layer(
        f"{layer.name} (input)", G=layer.G, N=layer.N, M=layer.C, C=layer.M, P=layer.P, Q=layer.Q, R=layer.R,
        S=layer.S, dilation_h=layer.dilation_h, dilation_w=layer.dilation_w,
    )  # fmt: skip


def _attention(op: Operator, name: str) -> list[Layer]:
    """Queries x keys, and weights x values, of every head; causal attention at its mean number of keys."""
    b = op.bounds
    heads, queries = max(1, b["B"]) * b["H"], b["T"]
    keys = max(1, round(b.get("pairs", queries * b["S"]) / queries))
    values = b.get("DV", b["D"])
    scores = matmul(f"{name} (scores)", rows=queries, columns=keys, inner=b["D"], batch=heads)
    mixed = matmul(f"{name} (values)", rows=queries, columns=values, inner=keys, batch=heads)
    return [scores] * b.get("products_D", 1) + [mixed] * b.get("products_DV", 1)
