"""Images with captions to an image-text data set: as ``metadata.csv`` (file_name, text) beside the images says.

An image may have several captions, each of which is a training item; validation and test take the first. Splits are
made of whole images (equal ones stay together). Captions are lower-cased and become byte pairs learnt from the
training part: start, pieces, end, padding with 0. Start and end are the last two tokens, as in CLIP's vocabulary; a
caption that is too long is cut, its end kept.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from sevenfold.data._dataset import CaptionTokens, Dataset, Provenance, Split
from sevenfold.data._images import ImageSettings, decoded
from sevenfold.data._splitting import equal_groups, split_by_class
from sevenfold.data._tokenizing import Encoding, byte_pairs
from sevenfold.errors import InputFileError

__all__ = ["METADATA", "CaptionSettings", "caption_dataset", "read_captions"]

METADATA = "metadata.csv"
Indices = npt.NDArray[np.int64]


class CaptionSettings(ImageSettings):
    """How images are made alike, and how captions become tokens."""

    context: int = Field(default=77, ge=3, description="tokens of a caption, start and end included")
    vocabulary: int = Field(default=49_406, ge=257, description="byte pairs to learn, besides start and end")


def read_captions(root: Path) -> dict[Path, list[str]]:
    """The captions of each image, in the order of the file; InputFileError for a table that does not fit."""
    path = root / METADATA
    captions: dict[Path, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if not {"file_name", "text"} <= set(table.fieldnames or ()):
                raise InputFileError(
                    "a table of captions lacks a column",
                    got=f"{path} with {', '.join(table.fieldnames or ()) or 'no header'}",
                    expected="file_name and text",
                )
            for row in table:
                if row["text"] and row["text"].strip():
                    captions.setdefault(root / (row["file_name"] or ""), []).append(row["text"].strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputFileError("cannot read a table of captions", got=f"{path} ({error})") from None
    if not captions:
        raise InputFileError("a table of captions is empty", got=f"{path}", expected="rows of file_name and text")
    for image in captions:
        if not image.is_file():
            raise InputFileError("a captioned image is missing", got=f"{image}", expected=f"a file named in {path}")
    return captions


@dataclass(frozen=True, eq=False)
class CaptionedSplit(Split):
    """Pictures [B, C, S, S] in 0 to 1 and tokens [B, T]; the target of item i of a batch is i."""

    pixels: torch.Tensor  # [M, C, S, S] uint8
    tokens: torch.Tensor  # [N, T]
    images: torch.Tensor  # [N] which picture a caption belongs to

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def batch(self, indices: Indices) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        rows = torch.from_numpy(indices).to(self.tokens.device)
        pictures = self.pixels[self.images[rows]].float().div_(255)
        return (pictures, self.tokens[rows]), torch.arange(len(rows), device=rows.device)

    def take(self, indices: Indices) -> CaptionedSplit:
        rows = torch.from_numpy(indices).to(self.tokens.device)
        return replace(self, tokens=self.tokens[rows], images=self.images[rows])

    def to(self, device: torch.device | str) -> CaptionedSplit:
        return CaptionedSplit(self.pixels.to(device), self.tokens.to(device), self.images.to(device))


def framed(texts: Sequence[str], encoding: Encoding, context: int) -> torch.Tensor:
    """Start, pieces, end and padding: [texts, context]."""
    start, end = encoding.vocabulary, encoding.vocabulary + 1
    rows = torch.zeros(len(texts), context, dtype=torch.int64)
    for row, text in zip(rows, texts, strict=True):
        pieces = encoding.encode(text.lower())[: context - 2]
        row[: len(pieces) + 2] = torch.tensor([start, *pieces.tolist(), end])
    return rows


@dataclass(frozen=True)
class BytePairCaptions(CaptionTokens):
    """Captions in byte pairs: any text is one."""

    encoding: Encoding
    context: int

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        return framed(texts, self.encoding, self.context)

    def texts(self, tokens: torch.Tensor) -> list[str]:
        """Without start, end and what follows it; cut captions stay cut."""
        ends = tokens.argmax(dim=1).tolist()
        rows = [row[1:end].int().numpy() for row, end in zip(tokens.cpu(), ends, strict=True)]
        return [self.encoding.decode(row) for row in rows]


def caption_dataset(
    root: Path,
    captions: dict[Path, list[str]],
    digest: str,
    settings: CaptionSettings,
    split_seed: int,
    task: str = "image-text",
) -> Dataset:
    """Images with their captions, split by image; to tell which belong together, or to sample images by caption."""
    files = tuple(captions)
    pixels = decoded(files, digest, settings.size, settings.grayscale)
    groups = equal_groups([image.tobytes() for image in pixels])
    parts = split_by_class(np.zeros(len(files), dtype=np.int64), groups, settings, split_seed)
    texts = list(captions.values())
    encoding = byte_pairs("\n".join(text.lower() for i in parts.train for text in texts[i]), settings.vocabulary)

    def split(images: Indices, *, every: bool) -> CaptionedSplit:
        said = [(image, text) for image in images.tolist() for text in texts[image][: None if every else 1]]
        return CaptionedSplit(
            torch.from_numpy(pixels),
            framed([text for _, text in said], encoding, settings.context),
            torch.tensor([image for image, _ in said]),
        )

    train, validation, test = (
        split(parts.train, every=True), split(parts.validation, every=False), split(parts.test, every=False),
    )  # fmt: skip
    return Dataset(
        name=f"folder:{root.name}",
        task=task,
        input_shape=(*pixels.shape[1:], settings.context),
        num_outputs=encoding.vocabulary + 2,
        train=train,
        validation=validation,
        test=test,
        provenance=Provenance(
            name=f"folder:{root.name}",
            source=f"{root}",
            licence="unknown",
            num_examples=len(train) + len(validation) + len(test),
            sha256=digest,
            version="-",
            notes=f"{len(files)} images, {sum(map(len, texts))} captions in lower case; {encoding.notes}",
        ),
        num_train_whole=len(train),
        captions=BytePairCaptions(encoding, settings.context),
    )
