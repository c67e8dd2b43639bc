"""Images to one PNG: rows of cells, small images enlarged by repeating pixels, so that nothing is invented.

Knows no model. ``write_png`` leaves a file whole or not at all.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sevenfold.checkpoints import write_file
from sevenfold.errors import InputFileError, UsageError

__all__ = ["png", "read_png", "sheet", "write_png"]

_CELL = 48  # pixels that an image is enlarged to, at least
_GAP = 4
_BACKGROUND = 255

Bytes = npt.NDArray[np.uint8]


def sheet(images: Tensor, *, columns: int | None = None) -> Bytes:
    """Images [N, C, H, W] in 0..1 -> one picture [height, width, 3], row by row.

    >>> sheet(torch.zeros(6, 1, 8, 8), columns=3).shape
    (108, 160, 3)
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise UsageError(
            "a sheet is made of images",
            got=f"shape {list(images.shape)}",
            expected="[images, 1 or 3, height, width]",
        )
    cells = _as_bytes(images)
    times = max(1, math.ceil(_CELL / max(cells.shape[1:3])))
    cells = cells.repeat(times, axis=1).repeat(times, axis=2)
    count, height, width, _ = cells.shape
    across = columns or min(count, max(1, math.ceil(math.sqrt(count))))
    rows = math.ceil(count / across)
    picture = np.full(
        (rows * (height + _GAP) + _GAP, across * (width + _GAP) + _GAP, 3), _BACKGROUND, dtype=np.uint8
    )
    for number, cell in enumerate(cells):
        top, left = (
            at * (side + _GAP) + _GAP for at, side in zip(divmod(number, across), (height, width), strict=True)
        )
        picture[top : top + height, left : left + width] = cell
    return picture


def png(picture: Bytes | Tensor, facts: Mapping[str, str] = {}) -> bytes:
    """A picture [H, W, 3] of bytes, or one image [C, H, W] in 0..1, as a PNG's bytes with ``facts`` in its text."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    for key, value in facts.items():
        told.add_itxt(key, value)
    array = _as_bytes(picture[None])[0] if isinstance(picture, Tensor) else picture
    if isinstance(picture, Tensor) and picture.shape[0] == 1:
        array = array[:, :, 0]
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", pnginfo=told)
    return buffer.getvalue()


def write_png(path: Path, picture: Bytes | Tensor, facts: Mapping[str, str] = {}) -> Path:
    """Write a PNG; raises StorageError where the disk does not take it."""
    write_file(path, png(picture, facts))
    return path


def read_png(path: Path, channels: int) -> Tensor:
    """An image file as [channels, H, W] in 0..1 (PNG, or what else Pillow reads); raises InputFileError."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            array = np.array(image.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputFileError(
            "cannot read an image", got=f"{path} ({error})", expected="a whole image file"
        ) from None
    return torch.from_numpy(array.reshape(*array.shape[:2], channels)).permute(2, 0, 1).float() / 255


def _as_bytes(images: Tensor) -> Bytes:
    """[N, C, H, W] in 0..1 -> [N, H, W, 3]."""
    rounded = (images.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8)
    coloured = rounded.expand(-1, 3, -1, -1) if rounded.shape[1] == 1 else rounded
    array: Bytes = coloured.permute(0, 2, 3, 1).contiguous().numpy()
    return array
