"""A small generative model for tests of what surrounds models: every pixel normal on its own, by class if asked.

It is found in the catalogue as ``test-painter`` once this file is imported, and can do all that a model may.
"""

from __future__ import annotations

import atexit
import math
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from sevenfold.errors import UsageError
from sevenfold.layers import (
    Generative,
    Inpaints,
    Interpolates,
    Likelihood,
    Noise,
    OnStep,
    Reconstructs,
    Sampling,
    Translates,
    untold,
)
from sevenfold.models import MODELS, ModelEntry
from sevenfold.models._entry import Input, fit_generation
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe
from sevenfold.spec import Spec
from sevenfold.training.sampling.classifier import digits_classifier


class PainterSpec(Spec):
    image: int = Field(default=8, description="pixels a side")
    channels: int = Field(default=1, description="channels")
    classes: int = Field(default=0, description="classes; 0 for none")


class Painter(Generative, Likelihood, Reconstructs, Interpolates, Inpaints, Translates):
    def __init__(self, spec: PainterSpec) -> None:
        super().__init__()
        self.spec = spec
        self.condition = "class" if spec.classes else "none"
        shape = (max(1, spec.classes), spec.channels, spec.image, spec.image)
        self.mean, self.log_scale = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        rows = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
        normal = torch.distributions.Normal(self.mean[rows], self.log_scale[rows].exp())
        return -normal.log_prob(images).flatten(1).mean(1)

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        return self(*inputs) / math.log(2) + math.log2(16)

    def sample(self, num, *, noise: Noise, condition=None, sampling=Sampling(), on_step: OnStep = untold):
        if sampling.guidance is not None and not self.spec.classes:
            raise UsageError("a painter without classes has nothing to be guided by", got=sampling.guidance)
        rows = torch.zeros(num, dtype=torch.int64) if condition is None else condition
        for step in range(sampling.steps or 2):
            on_step(step + 1, sampling.steps or 2)
        drawn = noise.normal(*self.mean.shape[1:]) * sampling.temperature
        return (self.mean[rows] + self.log_scale[rows].exp() * drawn).clamp(0, 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        return 0.5 * images + 0.25

    def interpolate(self, first: Tensor, second: Tensor, num: int, *, noise: Noise) -> Tensor:
        share = torch.linspace(0, 1, num)[:, None, None, None]
        return (1 - share) * first + share * second

    def inpaint(self, images, kept, *, noise, condition=None, sampling=Sampling(), on_step=untold):
        drawn = self.sample(len(images), noise=noise, condition=condition, sampling=sampling, on_step=on_step)
        return torch.where(kept, images, drawn)

    def translate(self, images, *, strength, noise, condition=None, sampling=Sampling(), on_step=untold):
        drawn = self.sample(len(images), noise=noise, condition=condition, sampling=sampling, on_step=on_step)
        return (1 - strength) * images + strength * drawn


_ENTRY = ModelEntry(
    name="test-painter",
    landmark=None,
    task="generation",
    size="laptop",
    dial=None,
    dial_multiple=1,
    preset={},
    spec_type=PainterSpec,
    module=Painter,
    fit=fit_generation,
    inputs=lambda spec: (Input((spec.channels, spec.image, spec.image)),),
)

MODELS.add_finder(lambda name: _ENTRY if name == "test-painter" else None)


@cache
def _classifiers() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="classifiers-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    digits_classifier(8, folder=folder)
    return folder


def keep_classifier(home: Path) -> None:
    """Put the trained classifier of digits into a data folder, so that one process trains it once."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "classifiers").symlink_to(_classifiers())


def painter_recipe(**changes) -> Recipe:
    """60 steps on digits, which bring the painter to its data's mean and scale; keywords are changes by key."""
    return Recipe(
        name="painter",
        task="generation",
        model=ModelChoice(name="test-painter"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=0.1, weight_decay=0.0),
        batch_size=128,
        steps=60,
        evaluate_every=60,
    ).with_changes({key.replace("__", "."): value for key, value in changes.items()})
