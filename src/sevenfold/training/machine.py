"""Benchmarks of the machine that are no single operator: peaks, bandwidths, optimizers, and what calls cost.

Each class holds functions to be timed (``timed``) and says afterwards what their times mean.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sevenfold.counting import trace
from sevenfold.hardware.calibration import OptimizerCost, ThreadCalibration
from sevenfold.hardware.curves import seconds_at
from sevenfold.hardware.families import looked_up
from sevenfold.ops.graph import OperatorGraph, Phase
from sevenfold.training.timing import Clock, Timed


class TableCalls:
    """What ``torch.ops.aten.x.default`` costs Python more than ``torch.x``; a backward pass pays neither."""

    def __init__(self) -> None:
        x = torch.ones(4)
        self.timed = [Timed(lambda: torch.neg(x)), Timed(lambda: torch.ops.aten.neg.default(x))]

    def seconds(self) -> float:
        """Seconds a call."""
        plain, table = self.timed
        return max(0.0, table.seconds - plain.seconds)


class Peaks:
    """FLOP/s of large square matrix products by dtype, the better of two sizes."""

    SIZES = {"float32": (512, 1024), "float64": (512, 768), "bfloat16": (256, 512)}

    def __init__(self) -> None:
        self._sizes = [(dtype, n) for dtype, sizes in self.SIZES.items() for n in sizes]
        self.timed = [Timed(_product(dtype, n), repeats=1) for dtype, n in self._sizes]

    def flops_per_s(self) -> dict[str, float]:
        """By dtype; of the best reading, which other processes disturbed least: a peak is what can be reached."""
        best: dict[str, float] = {}
        for (dtype, n), one in zip(self._sizes, self.timed, strict=True):
            best[dtype] = max(best.get(dtype, 0.0), 2 * n**3 / one.best_s)
        return best


def _product(dtype: str, n: int) -> Callable[[], object]:
    a, b = (torch.empty(n, n).uniform_(-1, 1).to(getattr(torch, dtype)) for _ in range(2))
    return lambda: torch.matmul(a, b)


class Places:
    """Bytes a second of reading, copying and a triad (c = a + 3 b), in memory and in caches; and first touches."""

    _FRESH = 2**24  # numbers, 64 MiB: more than the allocator keeps, so that every page of it is new

    def __init__(self, quick: bool) -> None:
        caches = cache_bytes()
        beyond = min(max(4 * max(caches.values(), default=32e6), 64e6), 256e6) / (2 if quick else 1)
        sizes = {"memory": beyond} | {name: size / 4 for name, size in caches.items() if name != "L1"}
        self._bytes: list[tuple[str, float]] = []
        self.timed: list[Timed] = []
        for place, size in sizes.items():
            self._add_place(place, int(size) // 4)
        old = torch.zeros(self._FRESH)
        self._fresh = Timed(lambda: torch.empty(self._FRESH).fill_(1.0), repeats=1)
        self._again = Timed(lambda: old.fill_(1.0), repeats=1)
        self.timed += [self._fresh, self._again]

    def _add_place(self, place: str, n: int) -> None:
        a, b, c = torch.ones(n), torch.ones(n), torch.ones(n)
        runs: list[tuple[str, float, Callable[[], object]]] = [
            ("read", 4.0 * n, lambda: a.sum()),
            ("copy", 8.0 * n, lambda: b.copy_(a)),
            ("triad", 12.0 * n, lambda: torch.add(a, b, alpha=3.0, out=c)),
        ]
        for pattern, size, run in runs:
            self._bytes.append((f"{pattern} {place}", size))
            self.timed.append(Timed(run, warm=place != "memory"))

    def bytes_per_s(self) -> dict[str, float]:
        """By pattern and place, of the best reading."""
        return {name: size / one.best_s for (name, size), one in zip(self._bytes, self.timed, strict=False)}

    def first_touch_s_per_byte(self) -> float:
        """What a byte of memory new to the process costs beyond writing it."""
        return max(0.0, (self._fresh.seconds - self._again.seconds) / (4 * self._FRESH))


def cache_bytes() -> dict[str, float]:
    """Bytes of the data caches of one core as the system tells them; empty where it does not."""
    found: dict[str, float] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            found[f"L{level}"] = float(size.removesuffix("K")) * 1024
    return found


class Updates:
    """An optimizer's fused step with clipping and zeroing, for few and many tensors, small and large ones."""

    COUNTS = (1, 8, 32)
    LARGE = (4096, 65_536, 524_288)  # elements of each of 8 tensors

    def __init__(self, name: str) -> None:
        self.timed = [Timed(_update(name, count, 64), least_s=2e-3, warm=True) for count in self.COUNTS]
        self.timed += [Timed(_update(name, 8, size), least_s=2e-3, warm=True) for size in self.LARGE]

    def cost(self) -> OptimizerCost:
        """Fixed seconds, seconds a tensor, and seconds an element by number of elements."""
        small = [one.seconds for one in self.timed[: len(self.COUNTS)]]
        tensor_s = max(0.0, (small[-1] - small[0]) / (self.COUNTS[-1] - self.COUNTS[0]))
        fixed_s = max(0.0, median(t - tensor_s * count for t, count in zip(small, self.COUNTS, strict=True)))
        elements = [8.0 * size for size in self.LARGE]
        rest = [one.seconds - fixed_s - 8 * tensor_s for one in self.timed[len(self.COUNTS) :]]
        per_element = [max(seconds, 0.0) / number for seconds, number in zip(rest, elements, strict=True)]
        return OptimizerCost(fixed_s=fixed_s, tensor_s=tensor_s, elements=elements, s_per_element=per_element)


def _update(name: str, tensors: int, size: int) -> Callable[[], object]:
    parameters = [nn.Parameter(torch.zeros(size)) for _ in range(tensors)]
    gradients = [torch.full((size,), 1e-3) for _ in range(tensors)]
    optimizer: torch.optim.Optimizer
    if name == "sgd":
        optimizer = torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, weight_decay=0.01, fused=True)
    else:
        optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)

    def run() -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


class Chains:
    """Training steps of chains of layers so small that calls are nearly all of their time.

    The clock is read between the phases of whole steps, so that code and data are as cold as in a real step. What
    the kernels' own benchmarks do not explain is what a call, a parameter tensor and a step cost.
    """

    def __init__(self, clock: Clock) -> None:
        self._parts: list[_Chain] = [_Chain(module, x, clock) for module, x in _chains()]
        self.timed = [part.timed for part in self._parts]

    def fill_in(self, variant: ThreadCalibration, lanes: int) -> ThreadCalibration:
        """The variant with its overheads, and the optimizers' seconds a step and a tensor inside steps."""
        solved: dict[str, float] = {}
        tensors = [float(part.tensors) for part in self._parts]
        for index, phase in enumerate(("forward", "backward")):
            rows, rest = [], []
            for part in self._parts:
                number, kernels = _kernels(variant, part.graph, phase, lanes)
                rows.append([number, float(part.tensors)])
                rest.append(part.seconds(index) - kernels)
            solved[f"{phase}_op_s"], solved[f"{phase}_parameter_s"] = _least_squares(rows, rest)
        overheads = variant.overheads.with_changes(solved)
        in_step = [part.seconds(2) for part in self._parts]
        fixed_s, tensor_s = _least_squares([[1.0, number] for number in tensors], in_step)
        alone = variant.optimizers["adamw"]
        cold = max(1.0, (fixed_s + 8 * tensor_s) / (alone.fixed_s + 8 * alone.tensor_s))
        optimizers = {
            name: cost.with_changes({"fixed_s": cost.fixed_s * cold, "tensor_s": cost.tensor_s * cold})
            for name, cost in variant.optimizers.items()
        }
        return ThreadCalibration(**{**dict(variant), "overheads": overheads, "optimizers": optimizers})


class _Chain:
    """One chain, trained step by step; phases are forward, backward, update."""

    def __init__(self, module: nn.Module, x: torch.Tensor, clock: Clock) -> None:
        self.module, self.x, self._clock = module, x, clock
        self.targets = torch.zeros(len(x), dtype=torch.int64)
        self.parameters = list(module.parameters())
        self.tensors = len(self.parameters)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, fused=True)
        self.graph = trace(module, (x,), loss=lambda out: F.cross_entropy(out, self.targets.to(out.device)))
        self._phases: list[tuple[float, ...]] = []
        self.timed = Timed(self._step, repeats=3, warm=True)

    def _step(self) -> None:
        clock = self._clock
        times = [clock()]
        loss = F.cross_entropy(self.module(self.x), self.targets)
        times.append(clock())
        torch.autograd.backward(loss)
        times.append(clock())
        nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        times.append(clock())
        self._phases.append(tuple(after - before for before, after in pairwise(times)))

    def seconds(self, phase: int) -> float:
        """Median seconds of a phase."""
        return median(times[phase] for times in self._phases)


def _chains() -> list[tuple[nn.Module, torch.Tensor]]:
    def repeated(times: int, layers: Callable[[], list[nn.Module]]) -> nn.Module:
        return nn.Sequential(*(layer for _ in range(times) for layer in layers()))

    return [
        (repeated(1, lambda: [nn.Linear(8, 8, bias=False), *(nn.Tanh() for _ in range(12))]), torch.ones(8, 8)),
        (repeated(5, lambda: [nn.Linear(16, 16), nn.ReLU()]), torch.ones(8, 16)),
        (repeated(4, lambda: [nn.Linear(16, 16), nn.LayerNorm(16), nn.Tanh()]), torch.ones(8, 16)),
        (repeated(3, lambda: [nn.Linear(24, 8), nn.Sigmoid(), nn.Linear(8, 24)]), torch.ones(4, 24)),
        (repeated(6, lambda: [nn.Linear(16, 16, bias=False), nn.ReLU(), nn.Tanh()]), torch.ones(8, 16)),
    ]


def _kernels(variant: ThreadCalibration, graph: OperatorGraph, phase: Any, lanes: int) -> tuple[float, float]:
    """Number of operators of a phase, and the seconds of their kernels."""
    chosen: Phase = phase
    number, seconds = 0.0, 0.0
    for op in graph.select(chosen):
        number += op.count
        for family, sizes in looked_up(op, lanes):
            curve = variant.curve(family, "float32")
            assert curve is not None, "chains are made of benchmarked operators"
            seconds += op.count * seconds_at(curve, sizes)
    return number, seconds


def _least_squares(rows: list[list[float]], seconds: list[float]) -> tuple[float, float]:
    """Two unknowns, neither negative."""
    from scipy.optimize import nnls

    solution, _ = nnls(np.array(rows), np.maximum(np.array(seconds), 0.0))
    return float(solution[0]), float(solution[1])
