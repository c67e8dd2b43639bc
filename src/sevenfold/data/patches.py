"""``patches``: square pieces of scikit-learn's two photographs, to learn to sample from.

Each photograph is cut into 7 x 10 blocks of 61 x 64 pixels. Whole blocks go to training, validation or test, drawn
by the split's seed, and patches overlap inside their block only, so that no pixel is in two splits. Neighbouring
blocks do show the same sky. Pixels are bytes (256 levels), divided by 255 when served; the label of a patch is its
photograph: 0 china.jpg, 1 flower.jpg.
"""

from __future__ import annotations

import importlib.metadata
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset, ExampleSplit, Provenance, Split
from sevenfold.data._generation import Conditioning, conditioned
from sevenfold.data._photographs import PHOTOGRAPHS_LICENCE, photographs
from sevenfold.data._splitting import Shares
from sevenfold.data.order import order

_ROWS, _COLUMNS = 7, 10  # blocks of a photograph: 61 x 64 pixels

Bytes = npt.NDArray[np.uint8]


class PatchSettings(Shares, Conditioning):
    """Sizes of the patches."""

    image: Literal[16, 32] = Field(default=16, description="pixels a side of a patch: 16 or 32")
    channels: Literal[1, 3] = Field(default=1, description="1 for grey, 3 for colour")
    stride: int = Field(default=8, ge=1, le=64, description="pixels from one patch of a block to the next")


def read_patches(settings: PatchSettings, split_seed: int, task: str) -> Dataset:
    """Patches [C, S, S] with pixels in 0 to 1; the same for the same settings and seed."""
    settings.checked()
    pictures, digest = photographs("L" if settings.channels == 1 else "RGB")
    blocks = [(block, label) for label, picture in enumerate(pictures) for block in _blocks(picture)]
    parts = {name: _split([blocks[n] for n in numbers], settings) for name, numbers in
             _shared_out(len(blocks), settings, split_seed).items()}  # fmt: skip
    return Dataset(
        name="patches",
        task=task,
        input_shape=(settings.channels, settings.image, settings.image),
        num_outputs=len(pictures) if settings.condition == "class" else 0,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        provenance=Provenance(
            name="patches",
            source="scikit-learn datasets/images/china.jpg and flower.jpg",
            licence=PHOTOGRAPHS_LICENCE,
            num_examples=sum(len(part) for part in parts.values()),
            sha256=digest,
            version=f"scikit-learn {importlib.metadata.version('scikit-learn')}",
            notes=(
                f"{len(blocks)} blocks of 61 x 64 pixels, whole ones to each split; patches of {settings.image} x "
                f"{settings.image} every {settings.stride} pixels inside a block; pixels 0..255 divided by 255"
            ),
        ),
        num_train_whole=len(parts["train"]),
        levels=256,
    )


def _blocks(picture: Bytes) -> list[Bytes]:
    """[H, W] or [H, W, 3] -> blocks [C, 61, 64], row by row."""
    channels_first = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
    height, width = channels_first.shape[1] // _ROWS, channels_first.shape[2] // _COLUMNS
    return [
        channels_first[:, row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(_ROWS)
        for column in range(_COLUMNS)
    ]


def _shared_out(count: int, shares: Shares, seed: int) -> dict[str, list[int]]:
    """Numbers of the blocks of each split, at least one each."""
    shuffled = order(seed, 0, 0, count, count, purpose="splits").tolist()
    first = max(1, round(shares.validation_share * count))
    second = first + max(1, round(shares.test_share * count))
    chosen = {"train": shuffled[second:], "validation": shuffled[:first], "test": shuffled[first:second]}
    return {name: sorted(numbers) for name, numbers in chosen.items()}


def _split(blocks: list[tuple[Bytes, int]], settings: PatchSettings) -> Split:
    side = settings.image
    patches = [
        (block[:, row : row + side, column : column + side], label)
        for block, label in blocks
        for row in range(0, block.shape[1] - side + 1, settings.stride)
        for column in range(0, block.shape[2] - side + 1, settings.stride)
    ]
    images = np.stack([patch for patch, _ in patches])
    split = ExampleSplit(torch.from_numpy(images), torch.tensor([label for _, label in patches]))
    return conditioned(split, settings, "patches")


DATASETS.add(
    "patches",
    DatasetEntry(
        name="patches",
        tasks=("generation",),
        summary="16 x 16 or 32 x 32 patches of two photographs, grey or in colour (scikit-learn)",
        settings=PatchSettings,
        read=read_patches,
    ),
)
