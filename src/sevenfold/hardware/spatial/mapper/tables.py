"""What every border costs over the lattice of tiles, by the rules of ``cost``: the terms of ``lattice``.

A tile is loaded whole and as often as it is left, which is exact but for inputs whose window slides: these have two
tables, the whole tiles' (what a mapping surely costs at most) and one that no sliding is below (for the bound).
Extents: T steps of a tile, B elements of the arrays below its memory, S of those between the memory and the next
one outwards, A of those further out; bounds of a layer D = steps x all elements, rounded up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.layer import OPERANDS, RELEVANT, Layer, Operand, touched
from sevenfold.hardware.spatial.mapper.lattice import Border, Lattice
from sevenfold.hardware.spatial.mapper.space import SEARCHED, Spread

Elements = dict[str, int]


@dataclass(frozen=True)
class Tables:
    """All terms of one layer under one spread: for the mapping, and for the bound."""

    lattice: Lattice
    upper: dict[str, list[Border]]
    lower: dict[str, list[Border]]
    capacities: dict[str, float]
    constant: float
    constant_lower: float

    @property
    def floor(self) -> float:
        """No mapping costs less: every border at its cheapest tile that fits alone."""
        return self.constant_lower + sum(
            float(np.where(border.held <= self.capacities[border.memory], border.cost, np.inf).min())
            for some in self.lower.values()
            for border in some
        )


def tables(layer: Layer, chip: SpatialChip, ways: tuple[Spread, ...], *, restricted: bool) -> Tables:
    """The tables of a layer under a spread of every array, for one group times their number."""
    elements = spread_elements(layer, ways)
    steps = {dim: _up(getattr(layer, dim), prod(each[dim] for each in elements)) for dim in SEARCHED}
    lattice = Lattice({dim: number for dim, number in steps.items() if number > 1})
    view = _View(layer, chip, lattice, elements, steps, restricted)
    cycles = layer.G * prod(steps.values())
    constant = layer.macs * chip.mac_energy + chip.static_w * cycles / chip.clock_hz
    found = Tables(lattice, {}, {}, {}, constant, constant)
    upper, lower, high, low = found.upper, found.lower, constant, constant
    for operand in OPERANDS:
        chain = chip.chain(operand)
        upper[operand], lower[operand] = [], []
        for parent, child in zip(chain[-2::-1], chain[:0:-1], strict=True):  # innermost first
            most, least = view.border(operand, parent, child)
            upper[operand].append(most)
            lower[operand].append(least)
            memory = chip.levels[child]
            assert isinstance(memory, Memory)
            limit = float("inf") if memory.capacity_words is None else float(memory.capacity_words)
            found.capacities[memory.name] = limit / (2 if memory.buffering == "double" else 1)
        more, fewer = view.multipliers(operand, chain[-1])
        high, low = high + more, low + fewer
    return Tables(lattice, upper, lower, found.capacities, high, low)


def spread_elements(layer: Layer, ways: tuple[Spread, ...]) -> list[Elements]:
    """Elements of every array along every dimension, no more than the steps in time need; outermost array first."""
    found = [
        {dim: dict(rows).get(dim, 1) * dict(columns).get(dim, 1) for dim in SEARCHED} for rows, columns in ways
    ]
    for dim in SEARCHED:
        bound = getattr(layer, dim)
        needed = _up(bound, _up(bound, prod(each[dim] for each in found)))
        for each in reversed(found):
            each[dim] = min(each[dim], needed)
            needed = _up(needed, each[dim])
    return found


def _up(number: int, size: int) -> int:
    return -(-number // size)


@dataclass(frozen=True)
class _View:
    layer: Layer
    chip: SpatialChip
    lattice: Lattice
    elements: list[Elements]
    steps: dict[str, int]
    restricted: bool

    def _across(self, first: int, last: int, operand: Operand | None = None) -> Elements:
        """Elements of the arrays between two places; of those that read once for all, where an operand is given."""
        places = [n for n, level in enumerate(self.chip.levels) if isinstance(level, Array)]
        found = dict.fromkeys(SEARCHED, 1)
        for place, each in zip(places, self.elements, strict=True):
            array = self.chip.levels[place]
            assert isinstance(array, Array)
            shares = operand in (None, "O") or operand in array.multicast
            if first < place < last and shares:
                found = {dim: found[dim] * each[dim] for dim in SEARCHED}
        return found

    def _tile(self, dim: str, below: Elements) -> Any:
        """Extent of a tile, all elements below it together."""
        inside: Any = (
            self.lattice.extent(dim) if dim in self.lattice.steps else np.ones((1,) * len(self.lattice.shape))
        )
        return np.minimum(inside * below[dim], getattr(self.layer, dim)).astype(np.int64)

    def border(self, operand: Operand, parent: int, child: int) -> tuple[Border, Border]:
        """Of the tile in the memory at ``child``, filled from ``parent``."""
        layer = self.layer
        below = self._across(child, len(self.chip.levels))
        between = self._across(parent, child, operand)
        above = self._across(-1, parent)
        tile = {dim: self._tile(dim, below) for dim in SEARCHED}
        wide = {dim: np.minimum(tile[dim] * between[dim], getattr(layer, dim)) for dim in SEARCHED}
        sent = self._loads(operand, wide)
        needed = self._loads(operand, tile)
        least_sent, least_needed = sent, needed
        if operand == "I":
            least_sent = np.minimum(sent, self._slid(wide))
            least_needed = np.maximum(least_sent, layer.words("I") * self._times("I", tile))
        memory = self.chip.levels[child]
        assert isinstance(memory, Memory)
        held = self._held(operand, tile)
        allowed = self._allowed(operand, child)
        stage = sum(isinstance(level, Array) for level in self.chip.levels[:child])

        def made(sent: Any, needed: Any) -> Border:
            energy = self._energy(operand, parent, child, sent, needed, above)
            cost = np.where(allowed, np.broadcast_to(energy, self.lattice.shape), np.inf)
            return Border(memory.name, cost, held, stage, frozenset(SEARCHED) - RELEVANT[operand])

        return made(sent, needed), made(least_sent, least_needed)

    def _allowed(self, operand: Operand, child: int) -> Any:
        """What the dataflow prescribes of the tiles of registers."""
        allowed = np.ones((1,) * len(self.lattice.shape), dtype=bool)
        inner = all(not isinstance(level, Array) for level in self.chip.levels[child:])
        if not self.restricted or not inner:
            return allowed
        for dim, wanted in self.chip.register_tiles.items():
            if dim in RELEVANT[operand] and dim in self.lattice.steps:
                extent = self.lattice.extent(dim)
                allowed = allowed & (extent == (1 if wanted == "one" else self.steps[dim]))
        return allowed

    def _times(self, operand: Operand, tile: dict[str, Any]) -> Any:
        found: Any = 1.0
        for dim in SEARCHED:
            if dim not in RELEVANT[operand]:
                found = found * -(-getattr(self.layer, dim) // tile[dim])
        return found

    def _loads(self, operand: Operand, tile: dict[str, Any]) -> Any:
        """Words of all tiles, each as often as it is left."""
        if operand != "I":
            return self.layer.words(operand) * self._times(operand, tile)
        sides = self._whole_windows(tile)
        return self._plain_words * sides[0] * sides[1] * self._times("I", tile)

    def _slid(self, tile: dict[str, Any]) -> Any:
        """Input words where a window slides in one direction as far as it can: none are fewer."""
        whole = self._whole_windows(tile)
        least = [
            float(touched(getattr(self.layer, p), getattr(self.layer, r), stride, dilation))
            for p, r, stride, dilation in windows(self.layer)
        ]
        side = np.minimum(whole[0] * least[1], least[0] * whole[1])
        return self._plain_words * side * self._times("I", tile)

    @property
    def _plain_words(self) -> float:
        """Of the dimensions of the inputs that no window runs along."""
        return float(self.layer.G * self.layer.N * self.layer.C)

    def _whole_windows(self, tile: dict[str, Any]) -> list[Any]:
        found = []
        for p, r, stride, dilation in windows(self.layer):
            side = partial(tiled, getattr(self.layer, p), getattr(self.layer, r), stride, dilation)
            found.append(pairwise(side, tile[p], tile[r]))
        return found

    def _held(self, operand: Operand, tile: dict[str, Any]) -> Any:
        if operand == "I":
            sides = [
                pairwise(partial(touched, stride=stride, dilation=dilation), tile[p], tile[r])
                for p, r, stride, dilation in windows(self.layer)
            ]
            return tile["N"] * tile["C"] * sides[0] * sides[1]
        found: Any = 1
        for dim in SEARCHED:
            if dim in RELEVANT[operand]:
                found = found * tile[dim]
        return found

    def _hop(self, parent: int, child: int) -> float:
        crossed = [level for level in self.chip.levels[parent:child] if isinstance(level, Array)]
        return crossed[-1].transfer_energy if crossed else 0.0

    def _begun(self, memory: Memory, above: Elements) -> float:
        if memory.reads_first_sums:
            return 0.0
        return float(self.layer.words("O") * prod(above[dim] for dim in SEARCHED if dim not in RELEVANT["O"]))

    def _energy(self, operand: Operand, parent: int, child: int, sent: Any, needed: Any, above: Elements) -> Any:
        outer, inner = self.chip.levels[parent], self.chip.levels[child]
        assert isinstance(outer, Memory)
        assert isinstance(inner, Memory)
        hop = self._hop(parent, child)
        if operand != "O":
            return sent * outer.read_energy + needed * (hop + inner.write_energy)
        back = np.maximum(sent - self._begun(outer, above), 0)
        energy = sent * outer.write_energy + back * (outer.read_energy + inner.write_energy)
        return energy + needed * inner.read_energy + (needed - sent) * hop

    def multipliers(self, operand: Operand, memory_at: int) -> tuple[float, float]:
        """Energy between an operand's innermost memory and the multipliers, at most and at least."""
        memory, layer = self.chip.levels[memory_at], self.layer
        assert isinstance(memory, Memory)
        end = len(self.chip.levels)
        above, hop = self._across(-1, memory_at), self._hop(memory_at, end)
        shared, every = self._across(memory_at, end, operand), self._across(memory_at, end)
        sent = float(layer.words(operand)) if operand != "I" else float(layer.G * layer.N * layer.C)
        least = sent
        for dim in SEARCHED:
            if dim not in RELEVANT[operand]:
                times = self.steps[dim] * above[dim] * every[dim] / shared[dim]
                sent, least = sent * times, least * times
        if operand == "I":
            for p, r, stride, dilation in windows(layer):
                bound, taps = getattr(layer, p), getattr(layer, r)
                sent *= bound * taps
                least *= tiled(bound, taps, stride, dilation, shared[p], shared[r])
        sent, least = min(sent, float(layer.macs)), min(least, float(layer.macs))

        def energy(sent: float) -> float:
            if operand != "O":
                return sent * memory.read_energy + layer.macs * hop
            back = max(sent - self._begun(memory, above), 0)
            return sent * memory.write_energy + back * memory.read_energy + (layer.macs - sent) * hop

        return energy(sent), energy(least)


def windows(layer: Layer) -> tuple[tuple[str, str, int, int], ...]:
    """(outputs, taps, stride, dilation) of the two directions."""
    return (("P", "R", layer.stride_h, layer.dilation_h), ("Q", "S", layer.stride_w, layer.dilation_w))


def pairwise(function: Callable[[int, int], float], some: Any, others: Any) -> Any:
    """A function of two broadcasting arrays, computed once for every pair that there is."""
    pairs: Any = np.vectorize(function, otypes=[np.float64])(some, others)
    return pairs


def tiled(bound: int, taps: int, stride: int, dilation: int, tile: int, tap_tile: int) -> float:
    """Input positions of all pairs of a tile of outputs and one of taps, pair by pair.

    >>> tiled(4, 3, 1, 1, 2, 3), tiled(4, 3, 1, 1, 4, 3)
    (8.0, 6.0)
    """
    total = 0
    for size, times in ((tile, bound // tile), (bound % tile, 1)):
        for width, more in ((tap_tile, taps // tap_tile), (taps % tap_tile, 1)):
            if size and width:
                total += times * more * touched(size, width, stride, dilation)
    return float(total)
