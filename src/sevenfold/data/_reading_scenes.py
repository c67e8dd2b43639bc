"""Reads a picture: which two things it shows and where they lie, and whether that is what a caption says.

Every thing of the catalogue is laid at every place, and the two that leave least of the picture unexplained are
what it shows:

    |x - t|^2 = |x|^2 - gain(t),   gain(t) = 2 x . t - |t|^2        one thing t alone on black
    |x - t - u|^2 = |x|^2 - gain(t) - gain(u)                       two that do not overlap

First the thing of the largest gain, then the best beside it. Nothing is learnt, so that it neither favours the
pictures of a model nor can be trained against. A picture of which too much is left over, or in which one of the two
is hardly there, is not legible, and no caption fits it.
Legend: N pictures, K templates (a thing at a place).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from sevenfold.data._dataset import CaptionChecker
from sevenfold.data._scenes import RELATIONS, SIDE, SIDES, THINGS, Placed, Scene, Thing, rendered, scene_of

__all__ = ["LEGIBLE", "THERE", "Reading", "SceneChecker", "read_scenes"]

#: A picture is legible where what the two things leave over is at most this share of their own energy.
LEGIBLE = 0.4
#: and each thing alone explains at least this share of its energy (all of it where it is drawn in full).
THERE = 0.5
_TOGETHER = 256  # pictures read at once


@dataclass(frozen=True)
class Reading:
    """What a picture shows: two things with the pixel of their upper left corner, and what they leave over."""

    placed: tuple[Placed, Placed]
    left_over: float  # of the picture, as a share of the energy of the two things
    faintest: float  # the smaller gain of the two as a share of its thing's energy: 1 where it is drawn in full

    @property
    def legible(self) -> bool:
        return self.left_over <= LEGIBLE and self.faintest >= THERE

    def relation(self, of: int) -> str:
        """Where thing ``of`` (0 or 1) lies seen from the other: by the longer way between their middles."""
        (y, x), (other_y, other_x) = (_middle(self.placed[index]) for index in (of, 1 - of))
        if abs(x - other_x) > abs(y - other_y):
            return "left of" if x < other_x else "right of"
        return "above" if y < other_y else "below"


def read_scenes(pictures: Tensor) -> list[Reading]:
    """The best reading of each picture [N, 3, 16, 16] with values in 0 to 1.

    >>> from sevenfold.data._scenes import Placed, Thing, rendered
    >>> things = Placed(Thing("large", "red", "cross"), 1, 2), Placed(Thing("small", "blue", "circle"), 9, 10)
    >>> reading = read_scenes(torch.from_numpy(rendered(things))[None] / 255)[0]
    >>> set(reading.placed) == set(things), reading.left_over
    (True, 0.0)
    """
    return [reading for part in torch.split(pictures.detach().cpu().float(), _TOGETHER) for reading in _read(part)]


class SceneChecker(CaptionChecker):
    """Holds pictures to captions of two shapes."""

    def fits(self, images: Tensor, tokens: Tensor) -> Tensor:
        return self.parts_right(images, tokens) == 1

    def parts_right(self, images: Tensor, tokens: Tensor) -> Tensor:
        """[N] shares of seven: two sizes, two colours, two shapes, and the relation; 0 where it is illegible."""
        shares = [
            _share(reading, scene_of(row))
            for reading, row in zip(read_scenes(images), tokens.tolist(), strict=True)
        ]
        return torch.tensor(shares, dtype=torch.float64)


def _share(reading: Reading, scene: Scene) -> float:
    """The best of both ways to say which thing is the first."""
    if not reading.legible:
        return 0.0
    return max(_right(reading, scene, first) for first in (0, 1)) / 7


def _right(reading: Reading, scene: Scene, first: int) -> int:
    pairs = ((reading.placed[first].thing, scene.first), (reading.placed[1 - first].thing, scene.second))
    words = sum(read == said for got, wanted in pairs for read, said in zip(got, wanted, strict=True))
    assert scene.relation in RELATIONS
    return words + (reading.relation(first) == scene.relation)


def _middle(placed: Placed) -> tuple[float, float]:
    half = SIDES[placed.thing.size] / 2
    return placed.top + half, placed.left + half


@dataclass(frozen=True)
class _Templates:
    placed: Sequence[Placed]
    flat: Tensor  # [K, 768]
    energy: Tensor  # [K]
    boxes: Tensor  # [K, 4] top, left, bottom, right


@lru_cache(maxsize=1)
def _templates() -> _Templates:
    placed = [
        Placed(thing, top, left)
        for thing in THINGS
        for top in range(SIDE - SIDES[thing.size] + 1)
        for left in range(SIDE - SIDES[thing.size] + 1)
    ]
    flat = torch.from_numpy(np.stack([rendered([one]) for one in placed])).flatten(1).float() / 255
    boxes = [(one.top, one.left, one.top + _side(one.thing), one.left + _side(one.thing)) for one in placed]
    return _Templates(placed, flat, flat.square().sum(dim=1), torch.tensor(boxes))


def _side(thing: Thing) -> int:
    return SIDES[thing.size]


def _read(pictures: Tensor) -> list[Reading]:
    templates = _templates()
    flat = pictures.flatten(1)
    gains = 2 * flat @ templates.flat.T - templates.energy  # [N, K]
    first = gains.argmax(dim=1)
    top, left, bottom, right = templates.boxes.T
    chosen = templates.boxes[first]
    apart = (
        (top >= chosen[:, 2:3]) | (bottom <= chosen[:, 0:1]) | (left >= chosen[:, 3:4]) | (right <= chosen[:, 1:2])
    )
    second = gains.masked_fill(~apart, -torch.inf).argmax(dim=1)
    both = torch.stack([first, second], dim=1)
    explained, energy = gains.gather(1, both), templates.energy[both]  # [N, 2]
    left_over = ((flat.square().sum(dim=1) - explained.sum(dim=1)) / energy.sum(dim=1)).clamp(min=0)
    faintest = (explained / energy).amin(dim=1)
    return [
        Reading((templates.placed[one], templates.placed[other]), *shares)
        for (one, other), *shares in zip(both.tolist(), left_over.tolist(), faintest.tolist(), strict=True)
    ]
