"""The cheapest chain of tiles: for hierarchies of any depth, by dynamic programming over the lattice of divisors.

A nest whose tiles divide is a walk from the tile of one step to the whole layer that multiplies one dimension by a
prime at a time. Every memory below the outermost holds, of every operand that it takes, the tile at one point of
that walk; what crosses its border depends on that tile alone (a loop that is irrelevant to an operand, directly
outside its tile, belongs to the tile: it moves nothing). So energy is a sum of one term a border, each a table over
the lattice, and the best walk is a shortest path through (tile, borders passed), which is found exactly: all orders
of loops and, where memories are shared, tiles of different operands at different loops (uneven mappings).

Operands that share a memory must fit it together. A path is first sought with each of them allowed the whole
capacity; where they overflow it together, the excess is split: one of n operands must give up an n-th of it
(branch and bound, ``MOST_BRANCHES`` at most, after which the answer carries a bound).

>>> lattice = Lattice({"M": 4, "C": 3})
>>> lattice.shape, lattice.extent("M").ravel().tolist()
((3, 2), [1, 2, 4])
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[int, ...]
MOST_BRANCHES = 200


def prime_factors(number: int) -> list[tuple[int, int]]:
    """(prime, exponent), smallest first.

    >>> prime_factors(56), prime_factors(1)
    ([(2, 3), (7, 1)], [])
    """
    found, divisor = [], 2
    while divisor * divisor <= number:
        exponent = 0
        while number % divisor == 0:
            number, exponent = number // divisor, exponent + 1
        if exponent:
            found.append((divisor, exponent))
        divisor += 1
    return [*found, (number, 1)] if number > 1 else found


class Lattice:
    """All tiles whose steps divide a layer's steps: one axis for every prime of every dimension."""

    def __init__(self, steps: Mapping[str, int]) -> None:
        self.steps = dict(steps)
        self.axes = [(dim, prime, top) for dim, number in steps.items() for prime, top in prime_factors(number)]
        self.shape: Point = tuple(top + 1 for _, _, top in self.axes)

    @property
    def size(self) -> int:
        """Tiles in all."""
        return prod(self.shape)

    def extent(self, dim: str) -> NDArray[np.int64]:
        """Steps along a dimension inside every tile, in a shape that broadcasts over the lattice."""
        found: NDArray[np.int64] = np.ones((1,) * len(self.shape), dtype=np.int64)
        for number, (owner, prime, top) in enumerate(self.axes):
            if owner == dim:
                shape = [1] * len(self.shape)
                shape[number] = top + 1
                found = found * (prime ** np.arange(top + 1, dtype=np.int64)).reshape(shape)
        return found

    def tile(self, point: Point) -> dict[str, int]:
        """The steps of one tile by dimension."""
        tile = dict.fromkeys(self.steps, 1)
        for (dim, prime, _), exponent in zip(self.axes, point, strict=True):
            tile[dim] *= prime**exponent
        return tile


@dataclass(frozen=True)
class Border:
    """What it costs a memory to hold the tile at every point of the lattice, and how much of it that takes."""

    memory: str  # borders of one name share a capacity
    cost: Floats  # infinite where the tile may not be
    held: NDArray[Any]
    stage: int = 0  # borders of a higher stage are chosen before those of a lower one (the two sides of an array)
    free: frozenset[str] = frozenset()  # dimensions that a chosen tile of a higher stage may still grow along


@dataclass(frozen=True)
class Chain:
    """The best tiles: of every operand, from its innermost border outwards, and every corner of the walk."""

    cost: float
    bound: float
    points: dict[str, tuple[Point, ...]]
    corners: tuple[Point, ...]
    branches: int

    @property
    def proven(self) -> bool:
        """Whether nothing of the space costs less."""
        return self.bound >= self.cost * (1 - 1e-9)


@dataclass(order=True)
class _Branch:
    bound: float
    number: int
    limits: dict[tuple[str, int], float] = field(compare=False)
    points: dict[str, tuple[Point, ...]] = field(compare=False)
    corners: tuple[Point, ...] = field(compare=False)


def cheapest_chain(
    lattice: Lattice,
    borders: Mapping[str, Sequence[Border]],
    capacities: Mapping[str, float],
    *,
    below: float = float("inf"),
    most_branches: int = MOST_BRANCHES,
) -> Chain | None:
    """The chain of least cost, or None where none fits or none costs less than ``below``."""
    counter = itertools.count()
    root = {(name, n): capacities[b.memory] for name, some in borders.items() for n, b in enumerate(some)}
    waiting: list[_Branch] = []
    best: Chain | None = None

    def add(limits: dict[tuple[str, int], float]) -> None:
        found = _shortest(lattice, borders, limits)
        if found is not None and found[0] < below:
            heapq.heappush(waiting, _Branch(found[0], next(counter), limits, *found[1:]))

    add(root)
    branches = 0
    while waiting:
        branch = heapq.heappop(waiting)
        over = _overflow(borders, capacities, branch.points)
        if over is None:
            best = Chain(branch.bound, branch.bound, branch.points, branch.corners, branches)
            break
        branches += 1
        if branches > most_branches:
            return _given_up(lattice, borders, capacities, branch, branches)
        sharers, sizes, excess = over
        for place, size in zip(sharers, sizes, strict=True):
            limit = size - excess / len(sharers)
            if limit < branch.limits[place]:
                add(branch.limits | {place: limit})
    return best


def _overflow(
    borders: Mapping[str, Sequence[Border]], capacities: Mapping[str, float], points: dict[str, tuple[Point, ...]]
) -> tuple[list[tuple[str, int]], list[float], float] | None:
    """The fullest shared memory: which borders share it, what they take, and how much too much that is."""
    taken: dict[str, list[tuple[tuple[str, int], float]]] = {}
    for name, some in borders.items():
        for n, (border, point) in enumerate(zip(some, points[name], strict=True)):
            held = np.broadcast_to(border.held, border.cost.shape)
            taken.setdefault(border.memory, []).append(((name, n), float(held[point])))
    worst, share = None, 1.0
    for memory, parts in taken.items():
        total = sum(size for _, size in parts)
        if total > capacities[memory] and total / capacities[memory] > share:
            share = total / capacities[memory]
            worst = ([place for place, _ in parts], [size for _, size in parts], total - capacities[memory])
    return worst


def _given_up(
    lattice: Lattice,
    borders: Mapping[str, Sequence[Border]],
    capacities: Mapping[str, float],
    branch: _Branch,
    branches: int,
) -> Chain | None:
    """A chain that fits for certain (every sharer an equal part), with the bound of what was left."""
    sharers: dict[str, int] = {}
    for some in borders.values():
        for border in some:
            sharers[border.memory] = sharers.get(border.memory, 0) + 1
    limits = {
        (name, n): capacities[border.memory] / sharers[border.memory]
        for name, some in borders.items()
        for n, border in enumerate(some)
    }
    found = _shortest(lattice, borders, limits)
    return None if found is None else Chain(found[0], branch.bound, *found[1:], branches)


@dataclass(frozen=True)
class _Event:
    """What happens to an operand along a walk: a tile is chosen, and its border closes, which costs."""

    border: int
    closes: bool


def _events(some: Sequence[Border]) -> list[_Event]:
    """Borders above a lower stage are chosen first and may then take in what is free to them before they close."""
    found = []
    for number, border in enumerate(some):
        if border.stage:
            found.append(_Event(number, closes=False))
        found.append(_Event(number, closes=True))
    return found


def _shortest(
    lattice: Lattice, borders: Mapping[str, Sequence[Border]], limits: Mapping[tuple[str, int], float]
) -> tuple[float, dict[str, tuple[Point, ...]], tuple[Point, ...]] | None:
    """Least cost, its tiles and corners with every border limited by itself."""
    names = list(borders)
    events = [_events(borders[name]) for name in names]
    costs = {
        (place, n): np.where(border.held <= limits[name, n], border.cost, np.inf)
        for place, name in enumerate(names)
        for n, border in enumerate(borders[name])
    }
    reached: dict[Point, Floats] = {}
    happened: dict[Point, Floats] = {}
    for state in itertools.product(*(range(len(some) + 1) for some in events)):
        if not _in_stages(borders, names, events, state):
            continue
        if not any(state):
            reached[state] = np.zeros(lattice.shape)
            continue
        here: Floats = np.full(lattice.shape, np.inf)
        for place, some in enumerate(events):
            before = _without(state, place)
            if before in reached:
                event = some[state[place] - 1]
                came = reached[before] + costs[place, event.border] if event.closes else reached[before]
                np.minimum(here, came, out=here)
        happened[state] = here
        best = here
        for axis in _open_axes(lattice, borders, names, events, state):
            best = np.minimum.accumulate(best, axis=axis)
        reached[state] = best
    full = tuple(len(some) for some in events)
    top = tuple(length - 1 for length in lattice.shape)
    least = float(reached[full][top])
    if not np.isfinite(least):
        return None
    walk = _Walk(lattice, borders, names, events, costs, reached, happened)
    return least, *walk.back(full, top)


def _in_stages(
    borders: Mapping[str, Sequence[Border]], names: list[str], events: list[list[_Event]], state: Point
) -> bool:
    """Whether no border is closed while the tile of one of a higher stage is not chosen."""
    done, open_ = [], []
    for name, some, number in zip(names, events, state, strict=True):
        stages = [borders[name][event.border].stage for event in some]
        done += stages[:number]
        chosen = {event.border for event in some[:number]}
        open_ += [border.stage for n, border in enumerate(borders[name]) if n not in chosen]
    return not done or not open_ or min(done) >= max(open_)


def _open_axes(
    lattice: Lattice,
    borders: Mapping[str, Sequence[Border]],
    names: list[str],
    events: list[list[_Event]],
    state: Point,
) -> list[int]:
    """Axes that a walk may go on along: those free to every border that is chosen and not closed."""
    pending = [
        borders[name][some[number - 1].border]
        for name, some, number in zip(names, events, state, strict=True)
        if number and not some[number - 1].closes
    ]
    return [n for n, (dim, _, _) in enumerate(lattice.axes) if all(dim in border.free for border in pending)]


def _without(state: Point, place: int) -> Point:
    return (*state[:place], state[place] - 1, *state[place + 1 :])


@dataclass(frozen=True)
class _Walk:
    lattice: Lattice
    borders: Mapping[str, Sequence[Border]]
    names: list[str]
    events: list[list[_Event]]
    costs: Mapping[tuple[int, int], Floats]
    reached: Mapping[Point, Floats]
    happened: Mapping[Point, Floats]

    def back(self, state: Point, point: Point) -> tuple[dict[str, tuple[Point, ...]], tuple[Point, ...]]:
        """The tiles at which borders were chosen, of every operand from its innermost border outwards; corners."""
        corners = [(0,) * len(point), point]
        found: dict[str, dict[int, Point]] = {name: {} for name in self.names}
        while any(state):
            point = self._where(state, point)
            _, place, before = min(self._options(state, point))
            event = self.events[place][state[place] - 1]
            corners.append(point)
            found[self.names[place]][event.border] = (
                point  # a tile that is chosen earlier overwrites where it closed
            )
            state = before
        points = {name: tuple(tiles[n] for n in sorted(tiles)) for name, tiles in found.items()}
        return points, tuple(sorted(set(corners), key=sum))

    def _where(self, state: Point, point: Point) -> Point:
        axes = _open_axes(self.lattice, self.borders, self.names, self.events, state)
        inside = tuple(slice(0 if n in axes else place, place + 1) for n, place in enumerate(point))
        part = self.happened[state][inside]
        least = np.unravel_index(int(np.argmin(part)), part.shape)
        return tuple(int(n) + (cut.start or 0) for n, cut in zip(least, inside, strict=True))

    def _options(self, state: Point, point: Point) -> list[tuple[float, int, Point]]:
        options = []
        for place, some in enumerate(self.events):
            before = _without(state, place)
            if before in self.reached:
                event = some[state[place] - 1]
                cost = 0.0
                if event.closes:
                    shape = self.happened[state].shape
                    cost = float(np.broadcast_to(self.costs[place, event.border], shape)[point])
                options.append((float(self.reached[before][point]) + cost, place, before))
        return options
