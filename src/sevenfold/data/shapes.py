"""``shapes``: pictures of two coloured shapes with captions, made for models that draw what a caption says.

    "a large red circle left of a small blue square"

Two sizes, four colours, three shapes and four relations. Four of the 24 things are held out: a picture of the
training shows small red squares, large red circles and small blue circles, but never a small red circle. Test
captions each have at least one held-out thing; validation has captions of the training with new pictures. A model
that draws the one and fails at the other has learnt its captions by heart.

No picture is in two splits. What a picture shows is read from it by rule (``_reading_scenes``): the data set's
``checker``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import CaptionTokens, Dataset, Provenance, Split
from sevenfold.data._reading_scenes import SceneChecker
from sevenfold.data._scenes import (
    CONTEXT,
    HELD_OUT,
    RELATIONS,
    SIDE,
    THINGS,
    VOCABULARY,
    Scene,
    caption,
    draw_places,
    rendered,
    scene_of,
    tokenize,
)
from sevenfold.spec import Spec

__all__ = ["TEST_SCENES", "TRAINING_SCENES", "CaptionedSplit", "SceneCaptions", "read_shapes"]

Indices = npt.NDArray[np.int64]

_ALL = tuple(Scene(*words) for words in product(THINGS, RELATIONS, THINGS))
TEST_SCENES = tuple(scene for scene in _ALL if scene.first in HELD_OUT or scene.second in HELD_OUT)
TRAINING_SCENES = tuple(scene for scene in _ALL if scene not in set(TEST_SCENES))


class ShapeSettings(Spec):
    """How many pictures are made."""

    pictures: int = Field(default=4, ge=1, le=20, description="training pictures of each of 1,600 captions")
    held_out: int = Field(default=1, ge=1, le=5, description="validation and test pictures of each caption")


@dataclass(frozen=True, eq=False)
class CaptionedSplit(Split):
    """Pictures [B, C, H, W] in 0 to 1 with tokens [B, T].

    The target of an item is its caption's number, or for image-text its place in the batch.
    """

    pictures: torch.Tensor  # [N, C, H, W] uint8
    tokens: torch.Tensor  # [N, T] int64
    numbers: torch.Tensor  # [N] int64: which caption
    contrastive: bool = False

    def __len__(self) -> int:
        return self.numbers.shape[0]

    def batch(self, indices: Indices) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        rows = torch.from_numpy(indices).to(self.numbers.device)
        pictures = self.pictures.index_select(0, rows).float().div_(255)
        places = torch.arange(len(rows), device=rows.device)
        targets = places if self.contrastive else self.numbers.index_select(0, rows)
        return (pictures, self.tokens.index_select(0, rows)), targets

    def take(self, indices: Indices) -> CaptionedSplit:
        rows = torch.from_numpy(indices).to(self.numbers.device)
        return self._each(lambda part: part.index_select(0, rows))

    def to(self, device: torch.device | str) -> CaptionedSplit:
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> CaptionedSplit:
        return CaptionedSplit(change(self.pictures), change(self.tokens), change(self.numbers), self.contrastive)


class SceneCaptions(CaptionTokens):
    """Captions of scenes."""

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        return tokenize(texts)

    def texts(self, tokens: torch.Tensor) -> list[str]:
        return [caption(scene_of(row)) for row in tokens.tolist()]


def read_shapes(settings: ShapeSettings, split_seed: int, task: str) -> Dataset:
    """The data set; the same for the same settings and seed."""
    draw = np.random.Generator(np.random.PCG64(split_seed))
    taken: set[bytes] = set()  # pictures of the splits made so far
    contrastive = task == "image-text"
    # Test captions share no picture with the training, as none of its pictures shows a held-out thing.
    train = _made(TRAINING_SCENES, settings.pictures, draw, taken, contrastive=contrastive)
    validation = _made(TRAINING_SCENES, settings.held_out, draw, taken, contrastive=contrastive)
    test = _made(TEST_SCENES, settings.held_out, draw, taken, contrastive=contrastive)
    content = b"".join(part.pictures.numpy().tobytes() for part in (train, validation, test))
    return Dataset(
        name="shapes",
        task=task,
        input_shape=(3, SIDE, SIDE, CONTEXT),
        num_outputs=VOCABULARY,
        train=train,
        validation=validation,
        test=test,
        provenance=Provenance(
            name="shapes",
            source="drawn by sevenfold.data.shapes",
            licence="none: drawn by this program",
            num_examples=len(train) + len(validation) + len(test),
            sha256=hashlib.sha256(content).hexdigest(),
            version="-",
            notes="two coloured shapes with captions; the test's captions each have one of four things that no "
            "caption of the training has, though every two of its words stand together there",
        ),
        num_train_whole=len(train),
        checker=SceneChecker(),
        captions=SceneCaptions(),
        levels=256,
    )


def _made(
    scenes: tuple[Scene, ...], rounds: int, draw: np.random.Generator, taken: set[bytes], *, contrastive: bool
) -> CaptionedSplit:
    """``rounds`` pictures of each scene, round after round, none of which an earlier split has."""
    own: set[bytes] = set()
    pictures = []
    for scene in scenes * rounds:
        picture = rendered(draw_places(scene, draw))
        while picture.tobytes() in taken:
            picture = rendered(draw_places(scene, draw))
        own.add(picture.tobytes())
        pictures.append(picture)
    taken |= own
    tokens = tokenize([caption(scene) for scene in scenes]).repeat(rounds, 1)
    numbers = torch.arange(len(scenes)).repeat(rounds)
    return CaptionedSplit(torch.from_numpy(np.stack(pictures)), tokens, numbers, contrastive)


DATASETS.add(
    "shapes",
    DatasetEntry(
        name="shapes",
        tasks=("generation", "image-text"),
        summary="two coloured shapes, 16 x 16 pixels, with captions; four things are in the test only",
        settings=ShapeSettings,
        read=read_shapes,
    ),
)
