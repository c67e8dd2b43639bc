"""Scenes of two coloured shapes: what a caption says of them, and the picture that shows it.

    "a large red circle left of a small blue square"

A thing has a size, a colour and a shape; a scene is two things and where the first lies of the second. Pictures are
[3, 16, 16] with values 0 and 1 on black. Seen from the middles of two things, the one lies further to a side than
up or down (or the other way round), so that one of the four relations holds and no other.
Legend: N captions, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from sevenfold.errors import UsageError

__all__ = [
    "CONTEXT", "HELD_OUT", "RELATIONS", "SIDE", "SIDES", "THINGS", "VOCABULARY", "Placed", "Scene", "Thing",
    "caption", "draw_places", "mask", "rendered", "scene_of", "tokenize",
]  # fmt: skip

SIDE = 16
SIDES = {"small": 4, "large": 7}  # pixels a side
COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
SHAPES = ("circle", "square", "cross")
RELATIONS = ("left of", "right of", "above", "below")
_GAP = 1  # pixels at least between two things
_SHIFT = 2  # pixels at most by which a thing lies off the middle line


class Thing(NamedTuple):
    """What is said of one shape."""

    size: str
    colour: str
    shape: str


class Scene(NamedTuple):
    """Two things, and where the first lies of the second."""

    first: Thing
    relation: str
    second: Thing


THINGS = tuple(Thing(*words) for words in product(SIDES, COLOURS, SHAPES))
#: Things of the test alone. Of each, every two of its three words stand together in training, the three never.
HELD_OUT = (
    Thing("small", "red", "circle"),
    Thing("large", "green", "square"),
    Thing("small", "blue", "cross"),
    Thing("large", "yellow", "circle"),
)

#: A relation is one token. Token 0 is padding; start and end are the last two, as in CLIP's own vocabulary.
_WORDS = ("a", *SIDES, *COLOURS, *SHAPES, *RELATIONS)
_TOKENS = {word: token for token, word in enumerate(_WORDS, start=1)}
_START, _END = len(_WORDS) + 1, len(_WORDS) + 2
VOCABULARY = len(_WORDS) + 3
CONTEXT = 11


def caption(scene: Scene) -> str:
    """A scene in words.

    >>> caption(Scene(Thing("large", "red", "circle"), "left of", Thing("small", "blue", "square")))
    'a large red circle left of a small blue square'
    """
    return f"a {' '.join(scene.first)} {scene.relation} a {' '.join(scene.second)}"


def tokenize(texts: Sequence[str]) -> torch.Tensor:
    """Captions to tokens [N, T = 11]: start, words, end. UsageError for what is no caption of a scene.

    >>> tokenize(["a large red circle above a small blue square"]).shape
    torch.Size([1, 11])
    """
    rows = []
    for text in texts:
        words = text.lower().replace("left of", "left-of").replace("right of", "right-of").split()
        words = [word.replace("-", " ") for word in words]
        unknown = [word for word in words if word not in _TOKENS]
        if unknown:
            raise UsageError("a word that no caption has", got=repr(unknown[0]), expected=", ".join(_WORDS))
        row = [_START, *(_TOKENS[word] for word in words), _END]
        if _scene_of_row(row) is None:
            raise UsageError(
                "not the caption of a scene",
                got=repr(text),
                expected="'a SIZE COLOUR SHAPE RELATION a SIZE COLOUR SHAPE'",
            )
        rows.append(row)
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, CONTEXT)


def scene_of(tokens: Sequence[int]) -> Scene:
    """The scene that tokens [T] stand for: the inverse of ``tokenize``; raises UsageError where there is none.

    >>> caption(scene_of(tokenize(["a small red cross below a small red cross"])[0].tolist()))
    'a small red cross below a small red cross'
    """
    scene = _scene_of_row(tokens)
    if scene is None:
        raise UsageError("tokens of no caption", got=list(tokens), expected="what tokenize gives")
    return scene


def _scene_of_row(row: Sequence[int]) -> Scene | None:
    kinds = (("a",), tuple(SIDES), tuple(COLOURS), SHAPES)
    wanted = (*kinds, RELATIONS, *kinds)
    if len(row) != CONTEXT or row[0] != _START or row[-1] != _END:
        return None
    inner = row[1:-1]
    if not all(1 <= token <= len(_WORDS) for token in inner):
        return None
    words = [_WORDS[token - 1] for token in inner]
    if not all(word in allowed for word, allowed in zip(words, wanted, strict=True)):
        return None
    return Scene(Thing(*words[1:4]), words[4], Thing(*words[6:9]))


def mask(thing: Thing) -> npt.NDArray[np.bool_]:
    """The pixels of a thing inside its own square [S, S].

    >>> mask(Thing("small", "red", "circle")).astype(int).tolist()
    [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    """
    side = SIDES[thing.size]
    row, column = np.indices((side, side))
    if thing.shape == "square":
        return np.ones((side, side), dtype=np.bool_)
    if thing.shape == "circle":
        off = (side - 1) / 2
        inside: npt.NDArray[np.bool_] = (row - off) ** 2 + (column - off) ** 2 <= (side / 2) ** 2
        return inside
    thickness = side // 7  # of a cross: one pixel, and three where it is large
    one, other = np.abs(row - column), np.abs(row + column - (side - 1))
    arms: npt.NDArray[np.bool_] = (one <= thickness) | (other <= thickness)
    return arms


@dataclass(frozen=True)
class Placed:
    """A thing and the pixel of its upper left corner."""

    thing: Thing
    top: int
    left: int


def draw_places(scene: Scene, draw: np.random.Generator) -> tuple[Placed, Placed]:
    """Where the two things of a scene lie, drawn evenly over what the relation leaves open."""
    nearer, farther = scene.first, scene.second
    if scene.relation in ("right of", "below"):
        nearer, farther = farther, nearer
    sides = SIDES[nearer.size], SIDES[farther.size]
    spare = SIDE - sum(sides) - _GAP
    start, end = sorted(int(place) for place in draw.integers(0, spare + 1, size=2))
    along = (start, end + sides[0] + _GAP)
    across = [(SIDE - side) // 2 + int(draw.integers(-_SHIFT, _SHIFT + 1)) for side in sides]
    aside = scene.relation in ("left of", "right of")
    both = [
        Placed(thing, across[i], along[i]) if aside else Placed(thing, along[i], across[i])
        for i, thing in enumerate((nearer, farther))
    ]
    return (both[0], both[1]) if nearer is scene.first else (both[1], both[0])


def rendered(placed: Sequence[Placed]) -> npt.NDArray[np.uint8]:
    """The picture [3, 16, 16] of some things, with values 0 and 255."""
    picture = np.zeros((3, SIDE, SIDE), dtype=np.uint8)
    for one in placed:
        pixels = mask(one.thing)
        side = len(pixels)
        place = picture[:, one.top : one.top + side, one.left : one.left + side]
        for channel, strength in enumerate(COLOURS[one.thing.colour]):
            place[channel][pixels] = 255 * strength
    return picture
