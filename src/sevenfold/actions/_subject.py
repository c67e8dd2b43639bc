"""What is costed: a preset, a person's function, a torch module, or a trained run; its graphs, values, metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from sevenfold.actions._trained import TrainedRun
    from sevenfold.actions.zeros import ZerosResult
    from sevenfold.hardware.spatial.activations import Activations
    from sevenfold.ops.graph import OperatorGraph
    from sevenfold.runs.record import RunRecord

MEASURED_EXAMPLES = 16
RANDOM = "random weights and random inputs: their zeros say nothing of a trained model"


@dataclass(frozen=True)
class ModelMetrics:
    """What a model is by its own measures, beside what a chip makes of it."""

    accuracy: float | None  # None: no run gives it, or its task has none
    accuracy_of: str  # where it was measured, or why it is unknown
    loss: float | None
    layers: int  # convolutions and matrix products with weights of their own
    weights: int
    weight_bytes: int
    macs_per_item: float
    item: str  # "example" or "token"


@dataclass(frozen=True)
class MeasuredValues:
    """What a model's layers read and write on real examples."""

    by_operator: Mapping[tuple[str, str], Activations]
    zeros: ZerosResult
    source: str


@dataclass(frozen=True)
class RealCall:
    """A module and what it is called with; ``source`` says whose values these are."""

    module: nn.Module
    inputs: tuple[Any, ...]
    keywords: Mapping[str, Any]
    source: str


@dataclass
class Subject:
    """A model with its inputs and how it is counted."""

    model: str | nn.Module
    inputs: tuple[Any, ...] | None
    options: Mapping[str, Any]  # batch, seq, image, causal, settings
    train: bool
    optimizer: str
    run: TrainedRun | None = None
    graphs: dict[str, OperatorGraph] = field(default_factory=dict)

    def graph(self, dtype: str) -> OperatorGraph:
        """The operator graph with this dtype; traced once."""
        if dtype not in self.graphs:
            self.graphs[dtype] = self._traced(dtype)
        return self.graphs[dtype]

    def _traced(self, dtype: str) -> OperatorGraph:
        from sevenfold.actions.count import count

        optimizer = self.optimizer if self.train else None
        model, inputs, options = self.model, self.inputs, dict(self.options)
        if self.run is not None:
            model, inputs = self.run.module, self.run.inputs(int(options["batch"]))
        found = count(model, inputs, **options, dtype=dtype, backward=self.train, optimizer=optimizer).graph
        if any(re.search(r"\b0\b", shape.partition("[")[2]) for shape in found.inputs[:1]):
            raise UsageError(
                f"the input of {found.name} is empty", got=found.inputs[0], expected="sizes of at least 1"
            )
        return found if self.run is None else replace(found, name=self.run.record.id)

    def values(self, measure: bool | None) -> MeasuredValues | None:
        """Zeros of real activations: of runs, and where ``measure`` asks for them; None where none are wanted."""
        from sevenfold.actions.zeros import activation_zeros

        if measure is False or (measure is None and self.run is None):
            return None
        real = self.real()
        found = activation_zeros(real.module, real.inputs, real.keywords)
        return MeasuredValues(found.by_operator(), found, real.source)

    def real(self, examples: int = MEASURED_EXAMPLES, *, random: bool = False) -> RealCall:
        """The module with weights and inputs that have values; a preset has random ones, where that will do."""
        from sevenfold.actions.count import real_call
        from sevenfold.recipes.references import is_reference

        if self.run is not None:
            number = min(examples, len(self.run.dataset.validation))
            source = f"{number} example{'s' if number > 1 else ''} of {self.run.dataset.name} (validation split)"
            return RealCall(self.run.module, self.run.inputs(number), {}, source)
        if isinstance(self.model, str):
            named = is_reference(self.model)
            if not named and not random:
                raise UsageError(
                    "a preset has no trained weights whose zeros could be measured",
                    got=self.model,
                    expected="a RUN_ID, or FILE:FUNCTION that returns (module, inputs)",
                )
            module, inputs, keywords = real_call(self.model, self.options)
            return RealCall(module, inputs, keywords, "the inputs given" if named else RANDOM)
        if self.inputs is None:
            raise UsageError("zeros are measured on real inputs", got="none", expected="a tuple of tensors")
        return RealCall(self.model, self.inputs, {}, "the inputs given")

    def metrics(self) -> ModelMetrics:
        """Accuracy where a run gives it; layers, weights and MACs as counted."""
        graph = next(iter(self.graphs.values()))
        number, item = items_of(graph)
        record = None if self.run is None else self.run.record
        accuracy, where = _accuracy(record)
        loss = None if record is None else record.summary.get("test_loss")
        forward = [op for op in graph.operators if op.phase == "forward"]
        return ModelMetrics(
            accuracy=accuracy,
            accuracy_of=where,
            loss=loss if isinstance(loss, float) else None,
            layers=len({op.path for op in forward if op.kind in ("conv", "matmul") and op.params}),
            weights=graph.params,
            weight_bytes=graph.param_bytes,
            macs_per_item=graph.macs / number,
            item=item,
        )


def subject_of(
    model: str | nn.Module, inputs: tuple[Any, ...] | None, options: Mapping[str, Any], train: bool, optimizer: str
) -> Subject:
    """The model that a name means, a run's among them; raises UsageError for settings that a run brings itself."""
    from sevenfold.actions._trained import model_or_run, trained_run

    found = Subject(model, inputs, options, train, optimizer)
    run_id = model_or_run(model) if isinstance(model, str) else None
    if run_id is None:
        return found
    given = [name for name in ("seq", "image") if options[name] is not None]
    given += ["set"] if options["settings"] else []
    if given or inputs is not None:
        raise UsageError(
            f"run {run_id} brings its own data and settings",
            got=", ".join(f"--{name}" for name in given) or "inputs",
            expected="neither --seq, --image nor --set",
        )
    found.run = trained_run(run_id)
    found.options = {**options, "settings": None}
    return found


def items_of(graph: OperatorGraph) -> tuple[float, str]:
    """Examples of the batch, or tokens where the first input is a batch of token sequences."""
    kind, _, shape = graph.inputs[0].partition("[")
    sizes = [int(size) for size in shape.rstrip("]").split(",") if size.strip()]
    if kind.startswith("int") and len(sizes) == 2:
        return float(sizes[0] * sizes[1]), "token"
    return float(sizes[0]) if sizes else 1.0, "example"


def _accuracy(record: RunRecord | None) -> tuple[float | None, str]:
    if record is None:
        return None, "no run gives it: name a RUN_ID of `sevenfold runs list`"
    for split in ("test", "validation"):
        value = record.summary.get(f"{split}_accuracy")
        if isinstance(value, float):
            return value, f"{split} split, run {record.id}"
    return None, f"task {record.run_recipe().task} of run {record.id} has none"
