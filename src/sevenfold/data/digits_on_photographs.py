"""``digits-on-photographs``: real handwriting on real photographs, and which pixel is ink.

Each item is a piece of one of scikit-learn's two photographs in grey, with handwritten digits of the ``digits``
set, three times as large, drawn over it in translucent white where it is dark and black where it is bright. The
label of a pixel is 1 where there is ink and 0 elsewhere, given for the middle of the piece: a network of unpadded
convolutions answers for that only. A linear rule on the 5x5 pixels around does no better than calling everything
photograph.

The splits share nothing: digits are split as in ``digits``, and photographs by columns (the left three fifths for
training, then one fifth each).
Legend: N items, S side of a piece, L side of its labelled middle.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset, ExampleSplit, Provenance, parts_of
from sevenfold.data._photographs import PHOTOGRAPHS_LICENCE, photographs
from sevenfold.data._splitting import Shares
from sevenfold.data.digits import read_digits
from sevenfold.errors import SpecError
from sevenfold.spec import Spec

Floats = npt.NDArray[np.float32]

_ENLARGED = 3
_INK = 0.5  # of a digit's 0 to 1: the pixels that count as ink
_COLUMNS = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}


class PieceSettings(Spec):
    """Sizes and numbers."""

    image: int = Field(default=92, ge=32, le=128, description="pixels a side of a piece")
    output: int = Field(default=52, ge=1, description="pixels a side of its middle, which is labelled")
    digits: int = Field(default=5, ge=1, le=20, description="digits drawn on a piece")
    contrast: float = Field(default=0.6, gt=0, le=1, description="how much of a pixel full ink replaces")
    train_items: int = Field(default=600, ge=1, description="pieces to train on")
    held_out_items: int = Field(default=150, ge=1, description="pieces in validation, and as many in the test part")

    @model_validator(mode="after")
    def _middle_lies_inside(self) -> Self:
        if self.output > self.image or (self.image - self.output) % 2:
            raise SpecError(
                "output does not fit", got=self.output, expected=f"{self.image} less an even number (image)"
            )
        return self


def read_pieces(settings: PieceSettings, split_seed: int, task: str) -> Dataset:
    """Pieces [1, S, S] with values in 0 to 1, and labels [L, L]; the same for the same settings and seed."""
    digits = read_digits(Shares(), split_seed, "classification")
    photographs, digest = _photographs()
    parts = {
        name: _pieces(parts_of(split.inputs)[0][:, 0].numpy(), photographs, settings, name, split_seed)
        for name, split in (("train", digits.train), ("validation", digits.validation), ("test", digits.test))
    }
    return Dataset(
        name="digits-on-photographs",
        task=task,
        input_shape=(1, settings.image, settings.image),
        num_outputs=2,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        provenance=Provenance(
            name="digits-on-photographs",
            source="scikit-learn datasets/images/china.jpg and flower.jpg, and datasets/data/digits.csv.gz",
            licence=f"{PHOTOGRAPHS_LICENCE}; digits BSD-3-Clause (scikit-learn)",
            num_examples=settings.train_items + 2 * settings.held_out_items,
            sha256=hashlib.sha256(f"{digest} {digits.provenance.sha256}".encode()).hexdigest(),
            version=f"scikit-learn {importlib.metadata.version('scikit-learn')}",
            notes=(
                "composed: digits drawn on pieces of photographs; no digit and no column of a photograph is in two "
                f"splits; the middle {settings.output} x {settings.output} of {settings.image} x {settings.image} "
                "pixels is labelled"
            ),
        ),
        num_train_whole=len(parts["train"]),
    )


def _pieces(
    digits: Floats, photographs: tuple[Floats, ...], settings: PieceSettings, part: str, split_seed: int
) -> ExampleSplit:
    """One split: ``digits`` [N, 8, 8] of it, and its columns of the photographs."""
    number = list(_COLUMNS).index(part)
    draw = np.random.default_rng([split_seed, number])
    own = []
    for photograph in photographs:
        first, last = (round(share * photograph.shape[1]) for share in _COLUMNS[part])
        own.append(photograph[:, first:last])
    count = settings.train_items if part == "train" else settings.held_out_items
    images = np.empty((count, 1, settings.image, settings.image), dtype=np.uint8)
    border = (settings.image - settings.output) // 2
    middle = slice(border, border + settings.output)
    labels = np.empty((count, settings.output, settings.output), dtype=np.int64)
    for item in range(count):
        image, ink = _piece(own[item % len(own)], digits, settings, draw)
        images[item, 0] = np.round(255 * image).astype(np.uint8)
        labels[item] = ink[middle, middle]
    return ExampleSplit(torch.from_numpy(images), torch.from_numpy(labels))


def _piece(
    photograph: Floats, digits: Floats, settings: PieceSettings, draw: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """A piece of the photograph with digits drawn on it, and where there is ink; each [S, S]."""
    side = settings.image
    row, column = (int(draw.integers(0, size - side + 1)) for size in photograph.shape)
    image = photograph[row : row + side, column : column + side].copy()
    ink = np.zeros((side, side), dtype=np.bool_)
    size = digits.shape[1] * _ENLARGED
    for _ in range(settings.digits):
        digit = _enlarged(digits[int(draw.integers(0, len(digits)))])
        top, left = (int(start) for start in draw.integers(0, side - size + 1, size=2))
        place = (slice(top, top + size), slice(left, left + size))
        tone = float(image[place].mean() < 0.5)  # white on dark, black on bright
        image[place] += settings.contrast * digit * (tone - image[place])
        ink[place] |= digit >= _INK
    return image, ink


def _enlarged(digit: Floats) -> Floats:
    """[8, 8] -> [24, 24], linear between pixels."""
    large = torch.nn.functional.interpolate(
        torch.from_numpy(digit)[None, None], scale_factor=_ENLARGED, mode="bilinear", align_corners=False
    )
    result: Floats = large[0, 0].numpy()
    return result


def _photographs() -> tuple[tuple[Floats, ...], str]:
    """Both in grey, 0 to 1, [427, 640], and the SHA-256 of their files."""
    pictures, digest = photographs("L")
    return tuple(picture.astype(np.float32) / np.float32(255) for picture in pictures), digest


DATASETS.add(
    "digits-on-photographs",
    DatasetEntry(
        name="digits-on-photographs",
        tasks=("segmentation",),
        summary="handwritten digits drawn on two photographs; which pixels are ink (scikit-learn)",
        settings=PieceSettings,
        read=read_pieces,
    ),
)
