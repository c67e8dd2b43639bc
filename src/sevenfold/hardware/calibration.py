"""What `sevenfold calibrate` measures on this machine, as data: seconds by operator and size, and overheads.

A *family* is a group of operators that take the same time at the same size: ``matmul``, ``conv_grad_weight``,
``tanh``. Its samples are (sizes, seconds) pairs; ``curves`` turns them into seconds at any size. Torch-free.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sevenfold.errors import UsageError
from sevenfold.spec import Spec


class Sample(Spec):
    """One benchmark: an operator of these sizes takes so many seconds (median)."""

    sizes: list[float] = Field(description="as the family's ``axes`` name them")
    seconds: float = Field(gt=0)


class Curve(Spec):
    """The samples of one family."""

    family: str
    dtype: str
    axes: list[str]
    samples: list[Sample] = Field(min_length=1)


class Overheads(Spec):
    """Seconds that belong to no operator's arithmetic or traffic."""

    forward_op_s: float = Field(
        description="a forward operator on top of its kernel: module call, autograd's record"
    )
    backward_op_s: float = Field(description="a backward operator on top of its kernel: the engine's node")
    forward_parameter_s: float = Field(description="a parameter tensor in the forward pass: looking it up")
    backward_parameter_s: float = Field(
        description="a parameter tensor in the backward pass: its gradient's accumulation"
    )
    step_s: float = Field(description="a step of the training loop beside its operators: batch, schedule, log")
    fresh_page_s_per_byte: float = Field(
        description="first touch of memory new to the process, on top of writing it"
    )


class OptimizerCost(Spec):
    """An optimizer's step (update, gradient clipping, zeroing), over T tensors with E elements in all."""

    fixed_s: float
    tensor_s: float
    elements: list[float]
    s_per_element: list[float]


class ThreadCalibration(Spec):
    """All that was measured with one number of threads."""

    threads: int = Field(ge=1)
    clock: Literal["wall", "cpu"] = Field(description="cpu: seconds on the processor, blind to other processes")
    matmul_flops_per_s: dict[str, float] = Field(description="best matrix product by dtype")
    bandwidth_bytes_per_s: dict[str, float] = Field(description="by pattern and place: `read memory`, `copy L2`")
    curves: list[Curve]
    overheads: Overheads
    optimizers: dict[str, OptimizerCost]

    def curve(self, family: str, dtype: str) -> Curve | None:
        """The samples of a family in a dtype, None where it was not measured."""
        return next((c for c in self.curves if c.family == family and c.dtype == dtype), None)


class Calibration(Spec):
    """One calibration of one machine."""

    created: str = Field(description="ISO 8601, UTC")
    cpu: str
    cores: int
    lanes: int = Field(description="float32 numbers in a vector register: convolutions are padded to it")
    torch_version: str
    quick: bool
    seconds: float = Field(description="how long the calibration took")
    busy_share: float = Field(
        description="share of the time in which another process had the processor, at one thread"
    )
    caches: dict[str, float] = Field(default={}, description="bytes by level, where the system tells")
    variants: list[ThreadCalibration]

    def variant(self, threads: int) -> ThreadCalibration:
        """The figures for a number of threads; 0 is all cores. Raises UsageError where it was not measured."""
        wanted = threads or self.cores
        for variant in self.variants:
            if variant.threads == wanted:
                return variant
        raise UsageError(
            "this machine was not calibrated with that many threads",
            got=wanted,
            expected="one of " + ", ".join(str(v.threads) for v in self.variants),
            hint=f"`sevenfold calibrate --threads {wanted}`",
        )
