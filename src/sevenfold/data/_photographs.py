"""The two photographs that scikit-learn carries (china.jpg, flower.jpg; 427 x 640), read without importing it."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sevenfold.errors import InputFileError

__all__ = ["PHOTOGRAPHS", "PHOTOGRAPHS_LICENCE", "photographs"]

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
PHOTOGRAPHS_LICENCE = "photographs CC BY 2.0 (danielbuechele, vultilion)"


@lru_cache(maxsize=2)
def photographs(mode: Literal["L", "RGB"]) -> tuple[tuple[npt.NDArray[np.uint8], ...], str]:
    """Both as bytes, [427, 640] in grey or [427, 640, 3], and the SHA-256 of their files."""
    from PIL import Image

    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise InputFileError(
            "the photographs come with scikit-learn, which is not installed", hint="pip install scikit-learn"
        )
    folder = Path(found.origin).parent / "datasets" / "images"
    digest = hashlib.sha256()
    pictures: list[npt.NDArray[np.uint8]] = []
    for name in PHOTOGRAPHS:
        try:
            digest.update((folder / name).read_bytes())
            with Image.open(folder / name) as picture:
                pictures.append(np.array(picture.convert(mode), dtype=np.uint8))
        except OSError as error:
            raise InputFileError(
                "cannot read the photographs",
                got=f"{folder / name} ({error})",
                hint="pip install --force-reinstall scikit-learn",
            ) from None
    return tuple(pictures), digest.hexdigest()
