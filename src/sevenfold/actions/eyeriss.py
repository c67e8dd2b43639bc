"""The actions behind ``sevenfold eyeriss``: the chip predicted beside what was measured on it, and simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from torch import nn

    from sevenfold.actions._simulating import SimulatedLayer as SimulatedLayer
    from sevenfold.hardware.eyeriss.validation import Row as Row
    from sevenfold.hardware.eyeriss.validation import Validation as Validation

SCHEMA_VERSION = "1.0"


def validate_eyeriss() -> Validation:
    """Predicted against published for AlexNet's convolutions (batch 4), and totals of VGG-16 (batch 3).

    >>> validate_eyeriss().layers[0].published["active_pes"]
    154
    """
    from sevenfold.hardware.eyeriss.validation import validate

    return validate()


@dataclass(frozen=True)
class EyerissSimulation:
    """Layers in the order of execution, and whose weights and inputs these were."""

    model: str
    values: str
    layers: tuple[SimulatedLayer, ...]
    notes: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every output and every count came out as it must."""
        ran = [layer for layer in self.layers if layer.refused is None]
        return all(layer.outputs_equal and layer.counts_equal and layer.lossless for layer in ran)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        layers = [
            {**asdict(layer), "counts_equal": None if layer.refused else layer.counts_equal}
            for layer in self.layers
        ]
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "layers": layers, "equal": self.equal}


def simulate_eyeriss(
    model: str | nn.Module,
    inputs: tuple[Any, ...] | None = None,
    *,
    layer: str | None = None,
    batch: int = 1,
    seq: int | None = None,
    image: int | None = None,
    settings: Mapping[str, Any] | None = None,
    on_layer: Callable[[str, int], None] = lambda path, macs: None,
) -> EyerissSimulation:
    """Run layers of a model on the row-stationary array, element by element, on 16-bit integers.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU())
    >>> simulate_eyeriss(net, (torch.rand(1, 1, 8, 8),)).equal
    True

    A run has its own trained weights and data, ``file.py:function`` and a torch module what they bring, a preset
    random ones. Convolutions in two dimensions and products of two matrices are simulated, under the parameters of
    least energy; outputs are compared with the convolution of the same integers, counts with the analytic model's.
    ``layer`` is a module path; ``on_layer(path, macs)`` is called before each.

    Raises UnknownNameError for a layer that is not there, UsageError for one that the array cannot take.
    """
    from sevenfold.actions._simulating import layer_of, simulatable, simulated_layer
    from sevenfold.actions._subject import subject_of
    from sevenfold.actions._watching import watched

    options = {"batch": batch, "seq": seq, "image": image, "causal": False, "settings": settings}
    if batch < 1:
        raise UsageError("a batch has at least one example", got=batch)
    subject = subject_of(model, inputs, options, False, "adamw")
    real = subject.real(batch, random=True)
    executed = watched(real.module, real.inputs, real.keywords)
    first: dict[str, Any] = {}
    for seen in executed:
        if simulatable(seen):
            first.setdefault(seen.path or "(root)", seen)
    if not first:
        raise UsageError("the model has no convolution or linear layer to simulate", got=str(model)[:60])
    if layer is not None and layer not in first:
        raise unknown_name("layer", layer, first)
    found = []
    for path, seen in first.items():
        if layer in (None, path):
            on_layer(path, layer_of(seen).macs)
            found.append(simulated_layer(seen))
    if layer is not None and found[0].refused is not None:
        raise UsageError(f"the array cannot take layer {layer}", got=found[0].refused)
    name = (
        subject.run.record.id
        if subject.run is not None
        else model
        if isinstance(model, str)
        else type(model).__name__
    )
    return EyerissSimulation(name, real.source, tuple(found), _notes(executed, first))


def _notes(seen: list[Any], first: Mapping[str, Any]) -> tuple[str, ...]:
    from sevenfold.actions._simulating import simulatable

    notes = []
    if others := sorted({one.path or "(root)" for one in seen if not simulatable(one)}):
        notes.append(f"not simulated (no 2-d convolution or product of two matrices): {', '.join(others)}")
    if again := sum(simulatable(one) for one in seen) - len(first):
        notes.append(f"{again} further calls of the same layers are left out")
    return tuple(notes)
