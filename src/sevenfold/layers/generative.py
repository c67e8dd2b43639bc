"""What a model that learns to sample can do: a loss for each example, samples, and what more it offers.

    forward(*inputs) -> [B]     what training minimizes, for each example; inputs are pixels in 0..1, then the
                                condition (labels [B] or tokens [B, T]) where the model has one
    sample(num, ...) -> [num, C, H, W] in 0..1

Likelihood, Reconstructs, Interpolates, Inpaints and Translates are for the models that give them: what is asked of
a model is found by ``isinstance``. Knows no data set and no file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from sevenfold.errors import UsageError
from sevenfold.layers.noise import Noise

__all__ = [
    "Condition",
    "Generative",
    "Inpaints",
    "Interpolates",
    "Likelihood",
    "OnStep",
    "Reconstructs",
    "Sampling",
    "Translates",
    "require_sampling",
    "untold",
]

Condition = Literal["none", "class", "tokens", "image"]
OnStep = Callable[[int, int], None]  # (steps done, of how many)


def untold(done: int, of: int) -> None:
    """The ``on_step`` that tells nobody."""


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn. None is the model's own way; a model raises UsageError for what it has no use for."""

    steps: int | None = None  # denoising steps
    guidance: float | None = None  # how far the condition is followed beyond what the model learned; 1 or 0: not
    temperature: float = 1.0  # below 1: nearer to the likeliest
    eta: float | None = None  # share of fresh noise a step: 0 is DDIM, 1 is DDPM's variance


def require_sampling(model: str, sampling: Sampling, *taken: str) -> None:
    """UsageError where something is asked of sampling that the model has no use for; ``taken``: what it has.

    >>> require_sampling("the VAE", Sampling(temperature=0.5), "temperature")
    """
    for name, asked in vars(sampling).items():
        if name not in taken and asked != getattr(Sampling(), name):
            raise UsageError(
                f"sampling from {model} has no {name}",
                got=f"{name} {asked}",
                expected=f"{' or '.join(taken)} at most" if taken else "nothing to set",
            )


class Generative(nn.Module, ABC):
    """A model that learns to sample; called with a batch, it gives the loss of each example [B]."""

    condition: Condition = "none"

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """The loss of each example [B], from torch's random numbers where it draws any."""

    @abstractmethod
    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Images [num, C, H, W] in 0..1; ``len(noise) == num``; condition: labels [num] or tokens [num, T]."""


class Likelihood(ABC):
    """A model that bounds, or knows, the probability of an image."""

    def speaks_of(self, levels: int | None) -> bool:
        """Whether its probabilities are of pixels with so many levels (None: their number is not known)."""
        return True

    @abstractmethod
    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        """-log2 p(x) / dimensions of each image [B] whose pixels are discrete levels, or an upper bound of it."""


class Reconstructs(ABC):
    """A model that encodes an image and decodes it again."""

    @abstractmethod
    def reconstruct(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] through the bottleneck and back."""


class Interpolates(ABC):
    """A model with a path between two images."""

    @abstractmethod
    def interpolate(self, first: Tensor, second: Tensor, num: int, *, noise: Noise) -> Tensor:
        """``num`` images [num, C, H, W] from ``first`` to ``second`` [C, H, W], both ends included; one noise."""


class Inpaints(ABC):
    """A model that fills what a mask leaves open."""

    @abstractmethod
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
        """Images [B, C, H, W] whose pixels outside ``kept`` (bool [B, 1, H, W]) are drawn anew."""


class Translates(ABC):
    """A model that makes another image of an image."""

    @abstractmethod
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
        """Images [B, C, H, W] changed by ``strength`` in 0..1: 0 keeps them, 1 keeps nothing."""
