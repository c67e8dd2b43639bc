"""ZigZag's rules of cost (3.9.1) restated as terms of the lattice: one table for every border of a memory.

Its memory accesses are those of periods: a unit of a memory is filled with a tile, as many times as the tile is
left; a tile's bits are rounded up to the least width of the port, and counted in its full widths. Inputs do not
slide: every tile is loaded whole. Partial sums are 16 bits and are read as often as they are written; final outputs
are 8 bits. An operand stays at the multipliers while the innermost loops are irrelevant to it. Spreads that do not
divide a dimension are fractions of elements. `restated` costs a mapping of its own by these tables; that this
equals what its cost model says is checked on every mapping that it finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd, prod
from typing import Any

import numpy as np

from sevenfold.hardware.spatial.mapper.lattice import Border, Chain, Lattice

RELEVANT = {"W": ("K", "C", "FY", "FX"), "I": ("B", "C", "OY", "OX", "FY", "FX"), "O": ("B", "K", "OY", "OX")}
PSUM_BITS, BITS = 16, 8


@dataclass(frozen=True)
class Problem:
    """A layer on an architecture with a spread: the lattice, the tables, and what no mapping changes."""

    lattice: Lattice
    borders: dict[str, list[Border]]
    capacities: dict[str, float]
    constant: float


def steps_of(loops: dict[str, int], spread: dict[str, dict[str, int]]) -> dict[str, int]:
    """Steps in time of every dimension beside a spread (side -> dimension -> elements)."""
    across: dict[str, int] = {}
    for dims in spread.values():
        for dim, number in dims.items():
            across[dim] = across.get(dim, 1) * number
    return {dim: ceil(bound / across.get(dim, 1)) for dim, bound in loops.items()}


def problems(
    loops: dict[str, int], stride: int, chip: dict[str, Any], spread: dict[str, dict[str, int]]
) -> list[Problem]:
    """A layer's problem with partial sums everywhere, and those with final outputs from a memory on.

    ZigZag lets a memory hold outputs at 8 bits where all that is added to them is added inside it.
    """
    outermost = len(chip["memories"]["O"]) - 1
    found = [problem(loops, stride, chip, spread, outermost)]
    for level in range(1, outermost):
        other = problem(loops, stride, chip, spread, level)
        if all(np.isfinite(border.cost).any() for border in other.borders["O"]):
            found.append(other)
    return found


def problem(
    loops: dict[str, int], stride: int, chip: dict[str, Any], spread: dict[str, dict[str, int]], final: int
) -> Problem:
    """All tables of a layer. ``spread`` has one dimension a side; outputs are final from memory ``final`` on."""
    steps = steps_of(loops, spread)
    lattice = Lattice({dim: number for dim, number in steps.items() if number > 1})
    space = _Space(loops, stride, lattice, spread, steps)
    borders: dict[str, list[Border]] = {}
    constant = chip["mac"] * prod(loops.values())
    capacities: dict[str, float] = {}
    for operand, memories in chip["memories"].items():
        view = _View(space, operand, memories)
        if operand == "O":
            constant += view.multipliers_sums()
            borders[operand] = []
        else:
            borders[operand] = [view.latch()]
            capacities[f"latch {operand}"] = 1
        for level, memory in enumerate(memories[:-1]):
            borders[operand].append(view.border(level, final))
            capacities[memory["name"]] = memory["bits"]
    return Problem(lattice, borders, capacities, constant)


def restated(problem: Problem, temporal: dict[str, list[list[tuple[str, int]]]]) -> float:
    """Energy of one of ZigZag's temporal mappings by these tables."""
    total = problem.constant
    for operand, some in problem.borders.items():
        levels = temporal[operand]
        tile = dict.fromkeys(problem.lattice.steps, 1)
        start = 0
        if operand != "O":
            for dim, size in levels[0]:
                if dim in RELEVANT[operand]:
                    break
                tile[dim] *= size
            total += some[0].cost[_point(problem.lattice, tile)]
            start = 1
        tile = dict.fromkeys(problem.lattice.steps, 1)
        for border, loops in zip(some[start:], levels, strict=False):
            for dim, size in loops:
                if size > 1:
                    tile[dim] *= size
            total += border.cost[_point(problem.lattice, tile)]
    return float(total)


def temporal(problem: Problem, chain: Chain, memories: dict[str, Any]) -> dict[str, list[list[tuple[str, int]]]]:
    """A chain as a temporal mapping of ZigZag: loops of every operand's memories, innermost first."""
    ends = {operand: some[0 if operand == "O" else 1 :] for operand, some in chain.points.items()}
    found = loops_of(problem.lattice, chain, ends)
    assert all(len(found[operand]) == len(memories[operand]) for operand in found)
    return found


def loops_of(
    lattice: Lattice, chain: Chain, ends: dict[str, tuple[tuple[int, ...], ...]]
) -> dict[str, list[list[tuple[str, int]]]]:
    """The walk's loops, cut at every operand's tiles."""
    loops: list[tuple[tuple[int, ...], list[tuple[str, int]]]] = []
    inside = (0,) * len(lattice.shape)
    for corner in (*chain.corners, tuple(length - 1 for length in lattice.shape)):
        if corner != inside:
            grown = [
                (dim, prime ** (now - before))
                for (dim, prime, _), before, now in zip(lattice.axes, inside, corner, strict=True)
                if now > before
            ]
            loops.append((corner, sorted(grown)))
            inside = corner
    found: dict[str, list[list[tuple[str, int]]]] = {}
    for operand, some in ends.items():
        levels: list[list[tuple[str, int]]] = []
        at = 0
        for end in some:
            level: list[tuple[str, int]] = []
            while at < len(loops) and all(a <= b for a, b in zip(loops[at][0], end, strict=True)):
                level += loops[at][1]
                at += 1
            levels.append(level)
        levels.append([loop for _, rest in loops[at:] for loop in rest])
        found[operand] = levels
    return found


def _point(lattice: Lattice, tile: dict[str, int]) -> tuple[int, ...]:
    point = []
    for dim, prime, _ in lattice.axes:
        exponent, left = 0, tile[dim]
        while left % prime == 0:
            left, exponent = left // prime, exponent + 1
        point.append(exponent)
    return tuple(point)


@dataclass(frozen=True)
class _Space:
    loops: dict[str, int]
    stride: int
    lattice: Lattice
    spread: dict[str, dict[str, int]]
    steps: dict[str, int]

    def extent(self, dim: str) -> Any:
        if dim in self.lattice.steps:
            return self.lattice.extent(dim)
        return np.ones((1,) * len(self.lattice.shape), dtype=np.int64)

    def unrolled(self, dim: str) -> float:
        """Elements along a dimension: a fraction where its bound does not divide."""
        return self.loops[dim] / self.steps[dim]

    @property
    def cycles(self) -> Any:
        found: Any = np.ones(self.lattice.shape, dtype=np.int64)
        for dim in self.lattice.steps:
            found = found * self.lattice.extent(dim)
        return found


class _View:
    """One operand's memories: level 0 is the innermost, the last one the outermost."""

    def __init__(self, space: _Space, operand: str, memories: list[dict[str, Any]]) -> None:
        self.space, self.operand, self.memories = space, operand, memories
        self.cycles = space.cycles
        self.total = prod(space.lattice.steps.values())
        left = dict(space.spread)
        self.inside: list[list[str]] = []  # dimensions spread below memory 0, between 0 and 1, ...
        for memory in memories:
            here = [side for side in memory["serves"] if side in left]
            self.inside.append([dim for side in here for dim in left.pop(side)])
        self.inside.append([dim for dims in left.values() for dim in dims])
        self.factor = [prod(space.unrolled(dim) for dim in dims) for dims in self.inside]
        self.unique = [
            prod(space.unrolled(dim) for dims in self.inside[level:] for dim in dims if dim in RELEVANT[operand])
            for level in range(len(self.inside))
        ]
        self.units = [round(round(prod(self.factor[level:]), 3)) for level in range(len(self.inside))]

    def boost(self, level: int) -> int:
        """Different tiles that a unit of memory ``level`` sends inwards at once."""
        return round(self.unique[level] / self.unique[level + 1])

    def words(self, level: int) -> Any:
        """Elements of a unit of memory ``level`` that holds the lattice's tile."""
        spread = {dim for dims in self.inside[: level + 1] for dim in dims}

        def extent(dim: str) -> Any:
            return self.space.extent(dim) * (self.space.unrolled(dim) if dim in spread else 1)

        if self.operand != "I":
            found = prod(extent(dim) for dim in RELEVANT[self.operand])
        else:
            found = extent("B") * extent("C")
            for o, f in (("OY", "FY"), ("OX", "FX")):
                rows = np.vectorize(self._positions, otypes=[np.int64])
                all_rows = self._positions(self.space.loops[o], self.space.loops[f])
                found = found * np.minimum(rows(extent(o), extent(f)), all_rows)
        return np.round(found).astype(np.int64)

    def _positions(self, outputs: float, taps: float) -> int:
        a, b = int(outputs), int(taps)
        s = self.space.stride
        return a * b - max(0, b - s // gcd(s, 1)) * (a - 1)

    def latch(self) -> Border:
        """The multipliers' inputs, read anew unless the loop is irrelevant: a tile of one element."""
        allowed = np.ones(self.space.lattice.shape, dtype=bool)
        for dim in self.space.lattice.steps:
            if dim in RELEVANT[self.operand]:
                allowed = allowed & (self.space.lattice.extent(dim) == 1)
        count = self._accesses(0, "reads_inwards", self.boost(0), BITS, self.total // self.cycles, self.units[1])
        cost = np.where(allowed, count * self.memories[0]["read"], np.inf)
        return Border(f"latch {self.operand}", cost, np.ones_like(cost))

    def multipliers_sums(self) -> float:
        """Reading and writing sums in the innermost memory, every cycle."""
        again = self._reduced_outside(0)
        again = bool(again.reshape(-1)[0])
        bits = PSUM_BITS if again else BITS
        memory, units = self.memories[0], self.units[1]
        written = self._accesses(0, "writes_from_inside", self.boost(0), bits, self.total, units)
        read = self._accesses(0, "reads_inwards", self.boost(0), bits, self.total, units) if again else 0
        return float(written * memory["write"] + read * memory["read"])

    def _reduced_outside(self, level: int) -> Any:
        """Whether sums that enter memory ``level`` from inside are added to later (there, or further out)."""
        reduced = ("C", "FY", "FX")
        outside: Any = False
        for dims in self.inside[level + 1 :]:
            outside = outside or any(dim in reduced and self.space.unrolled(dim) > 1 for dim in dims)
        if level == 0:
            return np.asarray(outside or any(self.space.steps[dim] > 1 for dim in reduced))
        for dim in reduced:
            if dim in self.space.lattice.steps:
                outside = outside | (self.space.lattice.extent(dim) < self.space.steps[dim])
        return np.asarray(outside)

    def border(self, level: int, final: int) -> Border:
        """Between memory ``level``, whose tile this is, and the next one out."""
        inner, outer = self.memories[level], self.memories[level + 1]
        words = self.words(level)
        times = self.total // self.cycles
        inner_units, outer_units = self.units[level + 1], self.units[level + 2]
        boosted = words * self.boost(level + 1)
        if self.operand != "O":
            filled = self._accesses(level, "writes_from_outside", words, BITS, times, inner_units)
            read = self._accesses(level + 1, "reads_inwards", boosted, BITS, times, outer_units)
            cost = filled * inner["write"] + read * outer["read"]
            return Border(inner["name"], np.broadcast_to(cost, self.cycles.shape), words * BITS)
        again = self._reduced_outside(level + 1)
        bits = np.where(again, PSUM_BITS, BITS)
        left = self._accesses(level, "reads_outwards", words, bits, times, inner_units)
        entered = self._accesses(level + 1, "writes_from_inside", boosted, bits, times, outer_units)
        returned = self._accesses(level + 1, "reads_inwards", boosted, bits, times, outer_units)
        back = self._accesses(level, "writes_from_outside", words, bits, times, inner_units)
        cost = left * inner["read"] + entered * outer["write"]
        cost = cost + np.where(again, returned * outer["read"] + back * inner["write"], 0)
        if level == final - 1 and final < len(self.memories) - 1:  # everything is added by here
            cost = np.where(again, np.inf, cost)
        held = words * (BITS if level >= final else PSUM_BITS)
        return Border(inner["name"], np.broadcast_to(cost, self.cycles.shape), held)

    def _accesses(self, level: int, direction: str, words: Any, bits: Any, times: Any, units: int) -> Any:
        least, full = self.memories[level]["widths"][direction]
        if least is None:
            return 0
        periods = np.ceil(words * bits / least) * (least / full)
        return np.floor(periods * times * units)
