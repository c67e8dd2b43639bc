"""Post-training quantization of a model: which weights become integers, what its layers are given, and back.

    weights       every floating tensor of the state with two axes or more; rows are its output channels
    activations   (8 bits) what linear and convolutional layers are given, one scale a layer, asymmetric:
                  scale = (high - low) / 255, zero = round(-low / scale), from the lowest and highest number that
                  the layer was given by training examples; what comes later and lies beyond is cut off

The model computes with the numbers that the integers stand for: the sums are those of integer arithmetic, to the
rounding of float32. Nothing is said of speed. Products that are no layer of their own (attention, a head tied to an
embedding) get floats. Jacob et al. 2017, sections 2.1 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from sevenfold import checkpoints
from sevenfold.checkpoints.integers import IntegerWeights
from sevenfold.data import Split, moved, parts_of
from sevenfold.errors import UsageError
from sevenfold.training.conditions import run_conditions
from sevenfold.training.evaluating import Score, evaluate, evenly_spaced
from sevenfold.training.steps import forward_of
from sevenfold.training.workload import Workload

__all__ = [
    "input_ranges",
    "integer_weights",
    "integers_of",
    "rounded_inputs",
    "score_of_integers",
    "score_on_test",
    "weight_axes",
]

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)


def integers_of(
    workload: Workload, *, bits: int, group: int = 32, weights_only: bool = False, facts: Mapping[str, str] = {}
) -> IntegerWeights:
    """A trained workload's state as integers; of 8 bits with the ranges of its layers' inputs, unless left out."""
    inputs: dict[str, tuple[float, int]] = {}
    if bits == 8 and not weights_only:
        with run_conditions(workload.recipe, workload.device):
            inputs = input_ranges(workload.model, workload.dataset.train)
    return integer_weights(workload.model, bits=bits, group=group, inputs=inputs, facts=facts)


def score_on_test(workload: Workload) -> Score:
    """Loss and accuracy of a workload's model on its test split, as its recipe evaluates."""
    recipe = workload.recipe
    with run_conditions(recipe, workload.device):
        return evaluate(
            workload.model,
            forward_of(recipe.with_changes({"compile": False}), workload.model, workload.device),
            workload.dataset.test,
            task=recipe.task,
            at_most=recipe.evaluate_examples,
            batch_size=recipe.batch_size // recipe.accumulate,
            device=workload.device,
        )


def score_of_integers(workload: Workload, weights: IntegerWeights, *, source: str = "the integers") -> Score:
    """The same of the integers, whose numbers the model has afterwards."""
    checkpoints.restore_model(workload.model, weights.state(), source=source)
    with rounded_inputs(workload.model, weights.inputs):
        return score_on_test(workload)


def integer_weights(
    model: nn.Module, *, bits: int, group: int, inputs: Mapping[str, tuple[float, int]], facts: Mapping[str, str]
) -> IntegerWeights:
    """The model's state with its weights as integers; raises UsageError where there are none to round."""
    state = checkpoints.model_tensors(model)
    axes = weight_axes(model, state)
    if not axes:
        raise UsageError("the model has no weights to round", got=type(model).__name__, expected="matrices")
    return IntegerWeights.of(state, axes, bits=bits, group=group, inputs=inputs, facts=facts)


def weight_axes(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, int]:
    """The tensors that become integers, and the axis of their output channels."""
    turned = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, _TRANSPOSED)}
    return {
        name: 1 if name in turned else 0
        for name, tensor in state.items()
        if tensor.is_floating_point() and tensor.dim() >= 2
    }


def input_ranges(
    model: nn.Module, split: Split, *, examples: int = 512, at_once: int = 64
) -> dict[str, tuple[float, int]]:
    """Scale and zero of what each layer is given by evenly spaced examples of a split, in evaluation mode."""
    seen: dict[str, tuple[float, float]] = {}

    def watch(name: str, given: Tensor) -> Tensor:
        low, high = seen.get(name, (0.0, 0.0))
        seen[name] = min(low, float(given.min())), max(high, float(given.max()))
        return given

    chosen = evenly_spaced(len(split), examples)
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]), _before_layers(model, watch, None):
        torch.manual_seed(0)
        for start in range(0, len(chosen), at_once):
            model(*parts_of(moved(split.batch(chosen[start : start + at_once])[0], device)))
    return {name: _scale_and_zero(low, high) for name, (low, high) in seen.items()}


def _scale_and_zero(low: float, high: float) -> tuple[float, int]:
    scale = float(np.float32(max((high - low) / 255, 1e-12)))
    return scale, min(255, max(0, round(-low / scale)))


@contextmanager
def rounded_inputs(model: nn.Module, ranges: Mapping[str, tuple[float, int]]) -> Iterator[None]:
    """Inside, layers get their inputs as the numbers 0..255 stand for."""

    def rounded(name: str, given: Tensor) -> Tensor:
        scale, zero = ranges[name]
        return torch.fake_quantize_per_tensor_affine(given, scale, zero, 0, 255)

    with _before_layers(model, rounded, set(ranges)):
        yield


@contextmanager
def _before_layers(model: nn.Module, do: object, names: set[str] | None) -> Iterator[None]:
    assert callable(do)
    handles = [
        module.register_forward_pre_hook(lambda module, inputs, name=name: (do(name, inputs[0]), *inputs[1:]))
        for name, module in model.named_modules()
        if isinstance(module, _LAYERS) and (names is None or name in names)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
