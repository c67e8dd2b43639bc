"""What diffusion models of images share: pixels in 0..1 outside and -1..1 inside, and what their way back gives.

A model says its loss and its `ReverseProcess`; samples, bounds, inpainting and translation follow from that.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.layers.checking import require_images, require_rows
from sevenfold.layers.diffusion.denoiser import ReverseProcess
from sevenfold.layers.diffusion.losses import bits_per_dimension
from sevenfold.layers.diffusion.process import Process
from sevenfold.layers.diffusion.samplers import Pairs, inpaint, walk
from sevenfold.layers.diffusion.schedules import Spacing, path
from sevenfold.layers.generative import (
    Generative,
    Inpaints,
    Likelihood,
    OnStep,
    Sampling,
    Translates,
    require_sampling,
    untold,
)
from sevenfold.layers.noise import Noise

__all__ = ["ImageDiffusion", "Way", "from_pixels", "to_pixels"]


@dataclass(frozen=True)
class Way:
    """How a model walks back where it is not told: in how many steps (None: all), spaced how, with which eta."""

    steps: int | None = None
    spacing: Spacing = "even"
    eta: float | None = None


def from_pixels(images: Tensor) -> Tensor:
    """0..1 -> -1..1."""
    return 2 * images - 1


def to_pixels(data: Tensor) -> Tensor:
    """-1..1 -> 0..1, what lies outside cut off."""
    return ((data + 1) / 2).clamp(0, 1)


class ImageDiffusion(Generative, Likelihood, Inpaints, Translates):
    """A diffusion over images [C, S, S] of ``levels`` values a pixel, with ``classes`` to be told or none."""

    asked: ClassVar[tuple[str, ...]] = ("steps", "eta")  # of `Sampling`

    def __init__(
        self,
        title: str,
        process: Process,
        *,
        shape: tuple[int, int, int],
        levels: int,
        way: Way,
        classes: int = 0,
        bound_at: int | None = None,
    ) -> None:
        super().__init__()
        self.title, self.shape, self.levels, self.way, self.num_classes = title, shape, levels, way, classes
        self.process, self.bound_at = process, bound_at
        self.condition = "class" if classes else "none"

    @abstractmethod
    def reverse_process(self, condition: Tensor | None, sampling: Sampling = Sampling()) -> ReverseProcess:
        """The way back, for labels [B] or none."""

    def best_weights(self) -> AbstractContextManager[None]:
        """Inside, the weights that samples are drawn with; here, those that are trained."""
        return nullcontext()

    def read(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """Images as the process has them and labels [B] or none, of what `forward` is called with; checked."""
        images, *rest = inputs
        require_images(self.title, images, self.shape[0], self.shape[1])
        condition = rest[0] if rest else None
        self._require_condition(condition, len(images))
        return self.scaled(images), condition

    def scaled(self, images: Tensor) -> Tensor:
        """Pixels in 0..1 as the process has them."""
        return from_pixels(images)

    def unscaled(self, data: Tensor) -> Tensor:
        """What the process ends in, as pixels in 0..1."""
        return to_pixels(data)

    def _require_condition(self, condition: Tensor | None, num: int) -> None:
        if (condition is None) != (self.num_classes == 0):
            raise UsageError(
                f"{self.title} is told " + ("a class" if self.num_classes else "nothing"),
                got="no condition" if condition is None else "a condition",
                expected=f"labels [{num}] below {self.num_classes}" if self.num_classes else "none",
            )
        if condition is not None:
            require_rows(self.title, condition, self.num_classes)

    def path_of(self, sampling: Sampling) -> tuple[Pairs, float | None]:
        """The steps that are walked, and DDIM's eta or None; UsageError for what this model has not."""
        require_sampling(self.title, sampling, *self.asked)
        steps = self.way.steps if sampling.steps is None else sampling.steps
        eta = self.way.eta if sampling.eta is None else sampling.eta
        return path(self.process.steps, steps, spacing=self.way.spacing), eta

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        """The variational bound; its KLs at every step, or at ``bound_at`` of them for each image."""
        data, condition = self.read(inputs)
        with torch.no_grad(), self.best_weights():
            return bits_per_dimension(
                self.reverse_process(condition), data, torch.randn_like, levels=self.levels, at=self.bound_at
            )

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        pairs, eta = self.path_of(sampling)
        self._require_condition(condition, num)
        start = noise.normal(*self.shape)
        with self.best_weights():
            found = walk(self.reverse_process(condition, sampling), start, pairs, noise, eta=eta, on_step=on_step)
        return self.unscaled(found)

    def inpaint(
        self,
        images: Tensor,
        kept: Tensor,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Every step is walked four times, so that what is drawn fits what is kept."""
        pairs, eta = self.path_of(sampling)
        data, condition = self.read((images,) if condition is None else (images, condition))
        with self.best_weights():
            found = inpaint(
                self.reverse_process(condition, sampling), data, kept, pairs, noise,
                repeats=4, eta=eta, on_step=on_step,
            )  # fmt: skip
        return torch.where(kept, images, self.unscaled(found))

    def translate(
        self,
        images: Tensor,
        *,
        strength: float,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Made noisy by ``strength`` of the steps and walked back: Meng et al. 2021, SDEdit."""
        if not 0 <= strength <= 1:
            raise UsageError("the strength of a translation is a share", got=strength, expected="0 to 1")
        pairs, eta = self.path_of(sampling)
        data, condition = self.read((images,) if condition is None else (images, condition))
        rest = pairs[len(pairs) - round(strength * len(pairs)) :]
        if not rest:
            return images
        t = torch.full((len(data),), rest[0][0], dtype=torch.int64, device=data.device)
        start = self.process.noised(data, t, noise.normal(*self.shape).to(data))
        with self.best_weights():
            found = walk(self.reverse_process(condition, sampling), start, rest, noise, eta=eta, on_step=on_step)
        return self.unscaled(found)
