"""The predicted time of a real training step on a calibrated machine.

Every operator takes what its benchmarked family took at its size, plus a call overhead of its phase. On top come
what the passes do once a parameter tensor, the optimizer's step, the loop around it, and first touches of memory
where a step keeps more than the allocator holds back. Nothing here is fitted to a model: the benchmarks are single
operators and chains of tiny ones.

>>> from sevenfold.hardware import CHIPS
>>> cost = predict_step(graph, CHIPS["this-machine"], threads=1)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sevenfold.errors import UsageError
from sevenfold.hardware.calibration import Calibration, Curve, OptimizerCost, ThreadCalibration
from sevenfold.hardware.chip import DTYPE_NAMES, Chip
from sevenfold.hardware.curves import seconds_at
from sevenfold.hardware.energy import busy_energy
from sevenfold.hardware.families import ELEMENTWISE, looked_up
from sevenfold.hardware.figure import measured
from sevenfold.hardware.roofline import Cost, CostRow, total
from sevenfold.ops.graph import Operator, OperatorGraph, Phase

# glibc gives memory back to the system when more than twice its largest mmap threshold (32 MiB) is free at the top.
_KEPT_BY_ALLOCATOR = 64 * 2**20


def predict_step(
    graph: OperatorGraph,
    chip: Chip,
    phases: Sequence[Phase] = ("forward", "backward", "optimizer"),
    *,
    threads: int = 1,
    optimizer: str = "adamw",
) -> Cost:
    """Seconds of one step of ``graph`` on a calibrated chip with so many threads (0: all cores).

    ``graph`` is traced with its loss, its backward pass and its optimizer. Rows are operators in their order, then
    what belongs to no operator. Raises UsageError where the chip is not calibrated.
    """
    if chip.calibration is None:
        raise UsageError(
            f"{chip.name} is not calibrated: only its roofline is known",
            expected="this-machine",
            hint="`sevenfold calibrate`, or roofline() for the bound",
        )
    machine = _Machine(chip, chip.calibration, chip.calibration.variant(threads))
    rows = [machine.row(op) for op in graph.operators if op.phase in phases and op.phase != "optimizer"]
    tensors, elements = parameter_tensors(graph)
    overheads = machine.variant.overheads
    if "forward" in phases:
        rows.append(machine.extra("parameters", "forward", tensors * overheads.forward_parameter_s))
    if "backward" in phases:
        rows.append(machine.extra("parameters", "backward", tensors * overheads.backward_parameter_s))
        first_touch = max(0, graph.activation_bytes - _KEPT_BY_ALLOCATOR)
        rows.append(machine.extra("first touch", "backward", first_touch * overheads.fresh_page_s_per_byte))
    if "optimizer" in phases and tensors:
        rows.append(machine.optimizer_row(optimizer, tensors, elements))
        rows.append(machine.extra("training loop", "optimizer", overheads.step_s))
    rows = [row for row in rows if row.seconds]
    return total(
        rows,
        chip,
        method="predicted",
        joules_method=busy_energy(chip, sum(row.seconds for row in rows), threads=machine.variant.threads).method,
        notes=machine.notes,
    )


def parameter_tensors(graph: OperatorGraph) -> tuple[int, int]:
    """How many parameter tensors the graph's optimizer updates, and their elements; read from its operators.

    Each operator of the optimizer's formula appears at least once a tensor: the rarest name counts them.
    """
    by_name: dict[str, list[Operator]] = {}
    for op in graph.select("optimizer"):
        if op.bounds.get("elements", 0) > 1 or op.bounds.get("tensors"):
            by_name.setdefault(op.name, []).append(op)
    if not by_name:
        return 0, 0
    rarest = min(by_name.values(), key=lambda ops: sum(op.count for op in ops))
    tensors = sum(op.count * op.bounds.get("tensors", 1) for op in rarest)
    return tensors, max(graph.params, 1)


@dataclass
class _Machine:
    """The calibrated chip with one number of threads."""

    chip: Chip
    calibration: Calibration
    variant: ThreadCalibration

    def __post_init__(self) -> None:
        self.notes: list[str] = []
        self._missing: set[str] = set()

    def row(self, op: Operator) -> CostRow:
        overheads = self.variant.overheads
        overhead_s = overheads.forward_op_s if op.phase == "forward" else overheads.backward_op_s
        kernel_s = self.kernel_seconds(op)
        num_bytes = op.bytes_read + op.bytes_written
        seconds = (kernel_s + overhead_s) * op.count
        return CostRow(
            name=op.name,
            path=op.path,
            kind=op.kind,
            phase=op.phase,
            dtype=DTYPE_NAMES.get(op.dtype, op.dtype),
            count=op.count,
            flops=float(op.flops * op.count),
            bytes=float(num_bytes * op.count),
            seconds=seconds,
            joules=self.joules(seconds),
            bound_by=self._binds(op, kernel_s, overhead_s),
        )

    def kernel_seconds(self, op: Operator) -> float:
        """One execution, without what a call costs on top."""
        dtype = DTYPE_NAMES.get(op.dtype, op.dtype)
        seconds = 0.0
        for family, sizes in looked_up(op, self.calibration.lanes):
            curve, scale = self._curve(family, dtype)
            seconds += scale * seconds_at(curve, sizes)
        return seconds

    def _curve(self, family: str, dtype: str) -> tuple[Curve, float]:
        variant = self.variant
        own = variant.curve(family, dtype)
        if own is not None:
            return own, 1.0
        reference = variant.curve(family, "float32") or variant.curve(ELEMENTWISE, "float32")
        assert reference is not None, "every calibration has float32 and elementwise operators"
        peaks = variant.matmul_flops_per_s
        product = family.startswith(("matmul", "conv", "attention"))
        scale = peaks["float32"] / peaks[dtype] if product and dtype in peaks else 1.0
        if f"{family} {dtype}" not in self._missing and dtype in peaks:
            self._missing.add(f"{family} {dtype}")
            self.notes.append(f"{family} in {dtype} was not benchmarked: taken from {reference.family} in float32")
        return reference, scale

    def _binds(self, op: Operator, kernel_s: float, overhead_s: float) -> str:
        """Which share is largest: the call, the arithmetic at its peak, or the traffic at memory bandwidth."""
        dtype = DTYPE_NAMES.get(op.dtype, op.dtype)
        peak = self.variant.matmul_flops_per_s.get(dtype, self.variant.matmul_flops_per_s["float32"])
        arithmetic_s = op.flops / peak
        traffic_s = (op.bytes_read + op.bytes_written) / self.chip.bandwidth.value
        if max(arithmetic_s, traffic_s) < 0.5 * (kernel_s + overhead_s) and kernel_s + overhead_s < 50e-6:
            return "overhead"
        return "compute" if arithmetic_s > traffic_s else "memory"

    def extra(self, name: str, phase: Phase, seconds: float) -> CostRow:
        """Time that belongs to no operator."""
        return CostRow(
            name=name, path="", kind="overhead", phase=phase, dtype="float32", count=1, flops=0.0, bytes=0.0,
            seconds=seconds, joules=self.joules(seconds), bound_by="overhead",
        )  # fmt: skip

    def joules(self, seconds: float) -> float | None:
        """What the machine draws in so many seconds of this variant's threads."""
        return busy_energy(self.chip, seconds, threads=self.variant.threads).joules

    def optimizer_row(self, optimizer: str, tensors: int, elements: int) -> CostRow:
        """The optimizer's whole step: fused update, clipping and zeroing of all tensors."""
        cost = self.variant.optimizers.get(optimizer)
        if cost is None:
            raise UsageError(
                "unknown optimizer", got=optimizer, expected="one of " + ", ".join(self.variant.optimizers)
            )
        num_bytes = {"adamw": 7, "sgd": 5}.get(optimizer, 7) * 4 * elements  # each state read and written once
        seconds = optimizer_seconds(cost, tensors, elements)
        return CostRow(
            name=f"{optimizer} step",
            path="",
            kind="optimizer",
            phase="optimizer",
            dtype="float32",
            count=1,
            flops=0.0,
            bytes=float(num_bytes),
            seconds=seconds,
            joules=self.joules(seconds),
            bound_by="memory" if num_bytes / self.chip.bandwidth.value > 0.5 * seconds else "overhead",
        )


def optimizer_seconds(cost: OptimizerCost, tensors: int, elements: int) -> float:
    """Fixed, a share a tensor, and a share an element (interpolated over the logarithm of the elements)."""
    per_element = float(np.interp(np.log(max(elements, 1)), np.log(cost.elements), cost.s_per_element))
    return cost.fixed_s + cost.tensor_s * tensors + per_element * elements


def with_threads(chip: Chip, threads: int) -> Chip:
    """A calibrated chip as a program with so many threads sees it: their peaks and bandwidth, not all cores'."""
    if chip.calibration is None:
        return chip
    variant = chip.calibration.variant(threads)
    source = f"`sevenfold calibrate`, {chip.calibration.created}, {variant.threads} thread(s)"
    found = variant.bandwidth_bytes_per_s
    outermost = max(found["read memory"], found["copy memory"], found["triad memory"])
    level = chip.memory[0].with_changes({"bandwidth_bytes_per_s": measured(outermost, source).to_dict()})
    peaks = {dtype: measured(value, source) for dtype, value in variant.matmul_flops_per_s.items()}
    changed = {"peak_flops_per_s": peaks, "achievable_flops_per_s": peaks, "memory": [level, *chip.memory[1:]]}
    return Chip(**{**dict(chip), **changed})
