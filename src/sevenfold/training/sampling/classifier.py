"""The classifier of handwritten digits in whose features samples are compared; trained here, from fixed seeds.

A ``lecun1989-small`` on the training part of ``digits``, at 8, 16 or 32 pixels, where digits are enlarged by
repeating pixels. Its features are the activations of H3, 60 a channel. It is right about 96% to 98% of the test
part; the exact share is `DigitsClassifier.accuracy`. This is not the Inception network of published Fréchet
distances, whose numbers cannot be compared with these.

The classifiers of 16 and 32 pixels read photographs too: they are trained on each digit as it is and in 8 versions
of other brightness and contrast, inverted or with noise. Without that, brightness alone makes 93% of the variance
of a photograph's features, and a noise of 0.05 on every pixel goes unnoticed.

Images of another size are brought to the largest of 8, 16, 32 that they have, by averaging areas; each channel of
an image is read on its own, as grey. A classifier takes 3 to 20 s to train and is kept in
``SEVENFOLD_HOME/classifiers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sevenfold import checkpoints
from sevenfold.data import load, parts_of
from sevenfold.data._dataset import ExampleSplit, Split
from sevenfold.errors import CheckpointError, UsageError
from sevenfold.models import MODELS
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe
from sevenfold.training.conditions import run_conditions
from sevenfold.training.loop import Loop, Tally
from sevenfold.training.objectives import loss_function
from sevenfold.training.workload import Workload, seeded

__all__ = ["SIDES", "DigitsClassifier", "digits_classifier"]

SIDES = (8, 16, 32)  # pixels a side of the images that a classifier reads
_STEPS = {8: 500, 16: 800, 32: 800}
_VERSIONS, _VARIED_BY = 8, 5
_AT_ONCE = 512
_VERSION = "1"  # another training of the classifier is another number: its numbers are not comparable


@dataclass(frozen=True, eq=False)
class DigitsClassifier:
    """A trained classifier of digits of one size."""

    network: nn.Module
    head: nn.Module  # the network's last layer, whose inputs are the features
    side: int
    accuracy: float  # on the held-out digits

    def features(self, images: Tensor) -> npt.NDArray[np.float64]:
        """Images [B, C, H, W] in 0..1 -> features [B, 60 C]."""
        return self._read(images)[0]

    def classes(self, images: Tensor) -> Tensor:
        """The digit that each grey image [B, 1, H, W] is taken for, [B] int64."""
        return self._read(images)[1].argmax(1)

    @torch.no_grad()
    def _read(self, images: Tensor) -> tuple[npt.NDArray[np.float64], Tensor]:
        """Features [B, 60 C], and the logits of the first channel [B, 10]."""
        grey = self._fitted(images)
        features: list[Tensor] = []
        handle = self.head.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
        try:
            logits = torch.cat([self.network(part) for part in torch.split(grey, _AT_ONCE)])
        finally:
            handle.remove()
        joined = torch.cat(features).reshape(images.shape[0], -1)
        return joined.double().numpy(), logits.reshape(images.shape[0], images.shape[1], -1)[:, 0]

    def _fitted(self, images: Tensor) -> Tensor:
        """[B, C, H, W] -> [B C, 1, side, side] on the CPU."""
        if images.dim() != 4 or min(images.shape[2:]) < self.side:
            raise UsageError(
                "the digits classifier cannot read these images",
                got=f"shape {list(images.shape)}",
                expected=f"[images, channels, height, width] of at least {self.side} pixels a side",
            )
        channels = images.detach().cpu().float().reshape(-1, 1, *images.shape[2:])
        if tuple(channels.shape[2:]) == (self.side, self.side):
            return channels
        return functional.interpolate(channels, size=(self.side, self.side), mode="area")


def digits_classifier(image: int, *, folder: Path | None = None) -> DigitsClassifier:
    """The classifier for images of ``image`` pixels a side: kept in ``folder`` if there is one, else trained.

    Raises UsageError for images of less than 8 pixels a side.
    """
    if image < SIDES[0]:
        raise UsageError("no classifier reads images that small", got=f"{image} pixels", expected="at least 8")
    side = max(known for known in SIDES if known <= image)
    recipe = _recipe(side)
    workload = _workload(recipe, side)
    place = None if folder is None else folder / f"digits-{side}-{recipe.digest()[:12]}-v{_VERSION}"
    stored = None if place is None else _stored(place)
    if stored is None:
        accuracy = _trained(workload)
        if place is not None:
            kept = checkpoints.model_tensors(workload.model)
            checkpoints.save_weights(place, kept | {"accuracy": torch.tensor(accuracy, dtype=torch.float64)})
    else:
        accuracy = float(stored.pop("accuracy"))
        checkpoints.restore_model(workload.model, stored, source=str(place))
    network = workload.model.eval()
    return DigitsClassifier(network, network.get_submodule("output"), side, accuracy)


def _recipe(side: int) -> Recipe:
    return Recipe(
        name=f"digits-classifier-{side}",
        task="classification",
        model=ModelChoice(name="lecun1989-small", settings={"image": side}),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(lr=2e-3),
        steps=_STEPS[side],
        evaluate_every=_STEPS[side],
        device="cpu",
    )


def _workload(recipe: Recipe, side: int) -> Workload:
    dataset = load(DataChoice(name="digits", settings={"image": side}), task="generation")
    if side > SIDES[0]:
        dataset = dataset.with_train(_varied(dataset.train))
    entry = MODELS[recipe.model.name]
    model = seeded(recipe.seed, lambda: entry.build(recipe.model.settings))
    loss = loss_function(recipe.task, recipe.objective)
    return Workload(recipe, entry, recipe.model.settings, model, dataset, loss, torch.device("cpu"))


def _varied(split: Split) -> ExampleSplit:
    """Each image as it is and in versions a + b x + noise that stay in 0..1, b between 0.15 and 0.9 or negative."""
    (images,) = parts_of(split.inputs)
    draw = torch.Generator().manual_seed(_VARIED_BY)
    versions = [images]
    for _ in range(_VERSIONS):
        offset, contrast, sign, noisy = torch.rand(4, len(images), 1, 1, 1, generator=draw)
        b = (0.15 + 0.75 * contrast) * torch.where(sign < 0.5, -1.0, 1.0)
        lowest, highest = (-b).clamp(min=0), 1 - b.clamp(min=0)
        noise = 0.1 * noisy * b.abs() * torch.randn(images.shape, generator=draw)
        versions.append((lowest + offset * (highest - lowest) + b * images + noise).clamp(0, 1))
    return ExampleSplit(torch.cat(versions), split.targets.repeat(len(versions)))


class _Unlogged:
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keeps nothing."""


def _trained(workload: Workload) -> float:
    """Train the workload's model; its accuracy on the held-out digits."""
    with run_conditions(workload.recipe, workload.device):
        loop = Loop(workload, Tally(), _Unlogged())
        loop.run()
        accuracy = loop.score("test").accuracy
    assert accuracy is not None
    return accuracy


def _stored(place: Path) -> dict[str, Tensor] | None:
    """The kept weights; None where there are none or they are damaged, which training mends."""
    try:
        return checkpoints.load_weights(place)
    except CheckpointError:
        return None
