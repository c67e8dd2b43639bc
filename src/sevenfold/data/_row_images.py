"""Images out of rows, decoded when a batch asks for them: data sets larger than memory.

Each image is scaled so that its shorter side is ``size`` and cut to the square in its middle (Krizhevsky et al.
2012, section 2), then divided by 255.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sevenfold.data._dataset import Split
from sevenfold.data._rows import Rows
from sevenfold.errors import InputFileError, UsageError

__all__ = ["RowImages", "labels_of"]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RowImages(Split):
    """``batch`` is (images [B, C, size, size] float32 in 0 to 1, class numbers [B])."""

    rows: Rows
    column: str
    labels: torch.Tensor  # [N] int64
    size: int
    grayscale: bool
    device: torch.device | str = "cpu"

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor]:
        images = [self._pixels(image) for image in self.rows.take(indices).values(self.column)]
        inputs = torch.from_numpy(np.stack(images)).to(self.device).float().div_(255)
        return inputs, self.labels[torch.from_numpy(indices)].to(self.device)

    @property
    def targets(self) -> torch.Tensor:
        return self.labels.to(self.device)  # without decoding an image

    def take(self, indices: Indices) -> RowImages:
        return replace(self, rows=self.rows.take(indices), labels=self.labels[torch.from_numpy(indices)])

    def to(self, device: torch.device | str) -> RowImages:
        return replace(self, device=device)  # batches are moved; the whole would not fit

    def _pixels(self, image: Any) -> npt.NDArray[np.uint8]:
        from PIL import Image

        try:
            image = image.convert("L" if self.grayscale else "RGB")
        except (OSError, SyntaxError, ValueError, AttributeError) as error:
            raise InputFileError(
                f"column {self.column!r} holds something that is no image", got=f"{type(image).__name__} ({error})"
            ) from None
        if image.size != (self.size, self.size):
            scale = self.size / min(image.size)
            width, height = (max(self.size, round(side * scale)) for side in image.size)
            left, top = (width - self.size) // 2, (height - self.size) // 2
            image = image.resize((width, height), Image.Resampling.BILINEAR)
            image = image.crop((left, top, left + self.size, top + self.size))
        array = np.array(image, dtype=np.uint8)
        return array[None] if self.grayscale else np.ascontiguousarray(array.transpose(2, 0, 1))


def labels_of(rows: Rows, column: str, classes: int, part: str) -> torch.Tensor:
    """[N] int64; raises UsageError for rows whose label is hidden, as test splits of competitions have them."""
    labels = np.asarray(rows.values(column), dtype=np.int64)
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise UsageError(
            f"the {part} split has labels that are no class",
            got=f"{labels.min()} to {labels.max()}",
            expected=f"0 to {classes - 1}",
            hint=f"--set data.{part}=NAME with a split whose labels are known, or --set data.classes=N",
        )
    return torch.from_numpy(labels)
