"""``rotated-digits``: the handwritten digits turned by an angle that is to be told. For regression.

Each digit is shown ``turns`` times, every time turned about its middle by an angle drawn uniformly from -limit to
limit degrees (counter-clockwise is positive), by bilinear interpolation with nothing (0) beyond the border. The
target is the angle divided by the limit, in -1 to 1: telling everyone 0 has a squared error of 1/3. Digits are in
the splits where `sevenfold.data.digits` has them, and the angles are a function of ``split_seed``: all turns of a
digit are in one split. People write at a slant of their own, so that no error of zero can be had.

N digits, V turns, B batch.

    train, validation, test: inputs [V N, 1, 8, 8], targets [V N, 1]; item v N + n is digit n

See it work: ``python -m sevenfold.data``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset, ExampleSplit, Indices, Split
from sevenfold.data._splitting import Shares
from sevenfold.data.digits import read_digits

__all__ = ["RotatedDigitsSettings", "RotatedSplit", "rotated"]


class RotatedDigitsSettings(Shares):
    """Settings of the rotated digits."""

    limit: float = Field(default=45.0, gt=0, le=180, description="degrees: angles are drawn from -limit to limit")
    turns: int = Field(default=8, ge=1, description="how many times each digit is shown, at another angle each")


@dataclass(frozen=True, eq=False)
class RotatedSplit(Split):
    """Digits at several angles each; a subset keeps all turns of a digit or none."""

    shown: ExampleSplit
    turns: int

    def __len__(self) -> int:
        return len(self.shown)

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        return self.shown.batch(indices)

    def take(self, indices: Indices) -> RotatedSplit:
        whole = len(indices) % self.turns == 0 and _same_digits(indices, self.turns, len(self) // self.turns)
        return RotatedSplit(self.shown.take(indices), self.turns if whole else 1)

    def to(self, device: torch.device | str) -> RotatedSplit:
        return replace(self, shown=self.shown.to(device))

    @property
    def copies(self) -> int:
        return self.turns


def _same_digits(indices: Indices, turns: int, size: int) -> bool:
    """Whether the indices are those of some digits at the first turn, then the same at each other turn."""
    rows = indices.reshape(turns, -1)
    return bool((rows == rows[0] % size + size * np.arange(turns)[:, None]).all())


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Images [B, C, H, W] turned counter-clockwise about their middles by degrees [B]; 0 comes in at the border.

    >>> corner = torch.tensor([[1.0, 0.0], [0.0, 0.0]])[None, None]
    >>> rotated(corner, torch.tensor([90.0]))[0, 0].round(decimals=3).abs()
    tensor([[0., 0.],
            [1., 0.]])

    Bilinear interpolation at the centres of pixels.
    """
    angle = torch.deg2rad(degrees)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # From a pixel of the turned image to where it was: rows grow downwards, so this is clockwise on paper's axes.
    where = torch.stack([torch.stack([cosine, -sine, zero], 1), torch.stack([sine, cosine, zero], 1)], 1)
    grid = functional.affine_grid(where, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _read(settings: RotatedDigitsSettings, split_seed: int, task: str) -> Dataset:
    """Inputs [V N, 1, 8, 8] and targets [V N, 1] in -1..1."""
    digits = read_digits(settings, split_seed, task)
    draw = np.random.default_rng([split_seed, 8_400_401])

    def turned(split: Split) -> RotatedSplit:
        assert isinstance(split, ExampleSplit)
        share = draw.uniform(-1, 1, size=settings.turns * len(split)).astype(np.float32)
        targets = torch.from_numpy(share)
        images = split.stored_inputs.repeat(settings.turns, 1, 1, 1)
        return RotatedSplit(
            ExampleSplit(rotated(images, targets * settings.limit), targets[:, None]), settings.turns
        )

    train, validation, test = turned(digits.train), turned(digits.validation), turned(digits.test)
    return replace(
        digits,
        name="rotated-digits",
        num_outputs=1,
        train=train,
        validation=validation,
        test=test,
        provenance=digits.provenance.with_changes(
            {
                "name": "rotated-digits",
                "num_examples": settings.turns * digits.provenance.num_examples,
                "notes": (
                    f"each digit {settings.turns} times, turned by an angle uniform within {settings.limit:g} "
                    "degrees either way (bilinear, 0 beyond the border); the target is the angle over that limit; "
                    + digits.provenance.notes
                ),
            }
        ),
        num_train_whole=len(train),
    )


DATASETS.add(
    "rotated-digits",
    DatasetEntry(
        name="rotated-digits",
        tasks=("regression",),
        summary="the handwritten digits turned by up to 45 degrees, and by how much (scikit-learn)",
        settings=RotatedDigitsSettings,
        read=_read,
    ),
)
