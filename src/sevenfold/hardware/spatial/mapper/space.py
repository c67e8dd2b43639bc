"""The space of mappings that the mapper searches, for chips of DRAM, buffers, one array and registers.

A mapping is: DRAM loops down to the tile T1 that the buffers hold; buffer loops down to the tile T2 of the array; a
spread over rows and columns down to the tile T3 of an element's registers; loops inside. Every dimension but G
(which DRAM runs through first) has the tile sizes that give different numbers of tiles, thinned to ``MOST_TILES``.
Each of the two blocks of loops keeps one operand in place: every dimension is irrelevant to exactly one operand, so
the order inside a block matters only by which operand's loops come innermost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.layer import OPERANDS, REDUCED, RELEVANT, Layer, Operand
from sevenfold.hardware.spatial.mapping import Loop, Mapping

Ints = NDArray[np.int64]
Spread = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]  # rows, columns
SEARCHED: tuple[str, ...] = ("N", "M", "C", "P", "Q", "R", "S")
MOST_TILES = 24
# Loops of a block from the outermost inwards, by the operand that stays in place while the last ones run.
ORDERS: dict[Operand, tuple[str, ...]] = {
    "W": ("M", "C", "R", "S", "N", "P", "Q"),
    "I": ("N", "P", "Q", "R", "S", "C", "M"),
    "O": ("M", "N", "P", "Q", "R", "S", "C"),
}


@dataclass(frozen=True)
class Plan:
    """A chip as the mapper sees it: for every operand its buffer and its register, where it has one."""

    chip: SpatialChip
    dram: Memory
    array: Array
    buffers: dict[Operand, Memory | None]
    registers: dict[Operand, Memory | None]
    buffer_node: Memory  # whose loops the second block is

    @property
    def registered(self) -> tuple[Operand, ...]:
        """Operands that an element keeps."""
        return tuple(operand for operand in OPERANDS if self.registers[operand] is not None)


@dataclass(frozen=True)
class Inner:
    """A spread over the array and a register tile: (dimension, elements) outermost first, and tiles by
    dimension."""

    rows: tuple[tuple[str, int], ...]
    columns: tuple[tuple[str, int], ...]
    array_tile: dict[str, int]
    register_tile: dict[str, int]


def has_plan(chip: SpatialChip) -> bool:
    """Whether a chip has one array, and at most one buffer and one register for every operand."""
    try:
        plan_of(chip)
    except UsageError:
        return False
    return True


def plan_of(chip: SpatialChip) -> Plan:
    """The chip's plan; raises UsageError for a deeper tree (see ``levels``)."""
    array_places = [n for n, level in enumerate(chip.levels) if isinstance(level, Array)]
    dram = chip.levels[0]
    if len(array_places) != 1 or not isinstance(dram, Memory):
        raise UsageError(
            f"this space is of chips with one array; {chip.name} has {len(array_places)}",
            hint="find_in_levels",
        )
    place = array_places[0]
    array = chip.levels[place]
    assert isinstance(array, Array)
    buffers: dict[Operand, Memory | None] = dict.fromkeys(OPERANDS)
    registers: dict[Operand, Memory | None] = dict.fromkeys(OPERANDS)
    for n, level in enumerate(chip.levels):
        if n == 0 or not isinstance(level, Memory):
            continue
        side = buffers if n < place else registers
        for operand in level.holds:
            if side[operand] is not None:
                raise UsageError(
                    f"this space is of one buffer and one register for an operand; {chip.name} has more",
                    got=f"{operand} in {side[operand].name} and {level.name}",  # type: ignore[union-attr]
                    hint="find_in_levels",
                )
            side[operand] = level
    before = [level for level in chip.levels[:place] if isinstance(level, Memory)]
    return Plan(chip, dram, array, buffers, registers, before[-1])


@lru_cache(maxsize=4096)
def tile_sizes(bound: int, most: int = MOST_TILES) -> tuple[int, ...]:
    """The smallest tile for every number of tiles, thinned evenly on the logarithm to at most so many.

    >>> tile_sizes(13), len(tile_sizes(4096))
    ((1, 2, 3, 4, 5, 7, 13), 24)
    """
    sizes = sorted({-(-bound // count) for count in range(1, bound + 1)}) if bound <= 4096 else []
    if not sizes:
        counts = np.unique(np.round(np.geomspace(1, bound, 4 * most)).astype(int))
        sizes = sorted({-(-bound // int(count)) for count in counts})
    if len(sizes) <= most:
        return tuple(sizes)
    # Powers of two times the bound's divisors are what people use; keep divisors first, then spread the rest.
    divisors = [size for size in sizes if bound % size == 0]
    if len(divisors) < most:
        others = [size for size in sizes if bound % size]
        picked = np.unique(np.round(np.linspace(0, len(others) - 1, most - len(divisors))).astype(int))
        divisors += [others[int(n)] for n in picked]
        return tuple(sorted(divisors))
    picked = np.unique(np.round(np.linspace(0, len(divisors) - 1, most)).astype(int))
    return tuple(divisors[int(n)] for n in picked)


def spreads(layer: Layer, array: Array, *, restricted: bool) -> list[Spread]:
    """Ways to fill (rows, columns) that cannot grow: no dimension could take more elements beside the others."""
    found: list[Spread] = []
    for rows in _side(layer, array, array.rows, array.row_dims, {}, restricted):
        taken = dict(rows)
        for columns in _side(layer, array, array.columns, array.column_dims, taken, restricted):
            if restricted and any(
                taken.get(dim, 1) * dict(columns).get(dim, 1) < getattr(layer, dim) for dim in array.whole
            ):
                continue
            found.append((rows, columns))
    if not found:
        raise UsageError(
            f"{layer.name} does not fit {array.name}",
            got=", ".join(f"{dim} = {getattr(layer, dim)}" for dim in array.whole),
            expected=f"{' and '.join(array.whole)} whole on {array.rows} x {array.columns}",
        )
    return found


def _side(
    layer: Layer, array: Array, size: int, allowed: tuple[str, ...], taken: dict[str, int], restricted: bool
) -> Iterator[tuple[tuple[str, int], ...]]:
    dims = [
        dim
        for dim in allowed
        if dim in SEARCHED and getattr(layer, dim) > 1 and (array.accumulates or dim not in REDUCED)
    ]
    bounds = {dim: -(-getattr(layer, dim) // taken.get(dim, 1)) for dim in dims}
    options = []
    for dim in dims:
        if restricted and dim in array.whole:
            options.append([1, bounds[dim]] if bounds[dim] <= size else [1])
        else:
            most = min(bounds[dim], size)
            options.append(sorted({-(-bounds[dim] // -(-bounds[dim] // u)) for u in range(1, most + 1)}))
    for numbers in _products(options, size):
        used = prod(numbers)
        grown = any(
            used // number * larger <= size
            for number, option in zip(numbers, options, strict=True)
            for larger in option
            if larger > number
        )
        if not grown:
            yield tuple((dim, number) for dim, number in zip(dims, numbers, strict=True) if number > 1)


def _products(options: list[list[int]], most: int) -> Iterator[tuple[int, ...]]:
    if not options:
        yield ()
        return
    for number in options[0]:
        if number <= most:
            for rest in _products(options[1:], most // number):
                yield (number, *rest)


@dataclass(frozen=True)
class Inners:
    """Every spread with every register tile that fits: sizes by dimension, and which spread each has."""

    t2: dict[str, Ints]
    t3: dict[str, Ints]
    spread: Ints
    spreads: list[Spread]

    def __len__(self) -> int:
        return len(self.spread)

    def __getitem__(self, number: int) -> Inner:
        rows, columns = self.spreads[int(self.spread[number])]
        return Inner(
            rows,
            columns,
            {dim: int(self.t2[dim][number]) for dim in SEARCHED},
            {dim: int(self.t3[dim][number]) for dim in SEARCHED},
        )


def inners(layer: Layer, plan: Plan, *, restricted: bool) -> Inners:
    """Every spread with every register tile that fits. Where an operation lies does not matter, only how often."""
    ways: dict[tuple[int, ...], Spread] = {}
    for rows, columns in spreads(layer, plan.array, restricted=restricted):
        across = tuple(dict(rows).get(dim, 1) * dict(columns).get(dim, 1) for dim in SEARCHED)
        ways.setdefault(across, (rows, columns))
    tables, owners = [], []
    for number, across in enumerate(ways):
        tiles = _register_tiles(layer, plan, dict(zip(SEARCHED, across, strict=True)), restricted)
        tables.append(tiles)
        owners.append(np.full(len(tiles), number))
    table = np.concatenate(tables) if tables else np.zeros((0, len(SEARCHED)), dtype=np.int64)
    owner = np.concatenate(owners) if owners else np.zeros(0, dtype=np.int64)
    bounds = np.array([getattr(layer, dim) for dim in SEARCHED])
    spread = np.array(list(ways), dtype=np.int64).reshape(-1, len(SEARCHED))
    array_tiles = np.minimum(table * spread[owner], bounds)
    return Inners(
        {dim: array_tiles[:, n] for n, dim in enumerate(SEARCHED)},
        {dim: table[:, n] for n, dim in enumerate(SEARCHED)},
        owner,
        list(ways.values()),
    )


def _register_tiles(layer: Layer, plan: Plan, across: dict[str, int], restricted: bool) -> Ints:
    """Register tiles beside a spread, one row a tile: grown a dimension at a time, what overflows is dropped."""
    missing = [operand for operand in OPERANDS if plan.registers[operand] is None]
    prescriptions: dict[str, str] = dict(plan.chip.register_tiles.items()) if restricted else {}
    memories = {memory.name: memory for memory in plan.registers.values() if memory is not None}
    table = np.ones((1, len(SEARCHED)), dtype=np.int64)
    for n, dim in enumerate(SEARCHED):
        left = -(-getattr(layer, dim) // across[dim])
        prescribed = prescriptions.get(dim)
        kept = [operand for operand in plan.registered if dim in RELEVANT[operand]]
        if prescribed == "one" or not kept or any(dim in RELEVANT[operand] for operand in missing):
            continue
        options = (left,) if prescribed == "whole" else (1, left) if dim in ("R", "S") else tile_sizes(left)
        most = max((memory.capacity_words or left for memory in memories.values()), default=1)
        sizes = np.unique([size for size in options if size <= most or prescribed == "whole"])
        table = np.repeat(table, len(sizes), axis=0)
        table[:, n] = np.tile(sizes, len(table) // max(1, len(sizes)))
        tiles = {name: table[:, place] for place, name in enumerate(SEARCHED)}
        fits = np.ones(len(table), dtype=bool)
        for memory in memories.values():
            if memory.capacity_words is not None:
                needed = sum(tile_words(layer, operand, tiles) for operand in memory.holds)
                fits &= needed * (2 if memory.buffering == "double" else 1) <= memory.capacity_words
        table = table[fits]
    return table


def buffer_tiles(layer: Layer, plan: Plan) -> dict[str, Ints]:
    """Every T1 that the buffers hold, one array a dimension; R and S stay whole where a buffer holds inputs or
    weights."""
    sizes = {dim: tile_sizes(getattr(layer, dim)) for dim in SEARCHED}
    sizes["Q"] = tile_sizes(layer.Q, 8)
    sizes["P"] = tile_sizes(layer.P, 12)
    for dim in ("R", "S"):
        sizes[dim] = (getattr(layer, dim),)
    places = np.stack([axis.reshape(-1) for axis in np.indices([len(sizes[dim]) for dim in SEARCHED])])
    tiles = {dim: np.array(sizes[dim], dtype=np.int64)[places[n]] for n, dim in enumerate(SEARCHED)}
    keep = _fits(layer, plan, tiles)
    shape = tuple(len(sizes[dim]) for dim in SEARCHED)
    fits = keep.reshape(shape)
    # Larger tiles are never walked through more often: keep those of which no dimension can take its next size.
    largest = fits.copy()
    for axis in range(len(SEARCHED)):
        grown = np.zeros_like(fits)
        here = [slice(None)] * len(SEARCHED)
        there = list(here)
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        grown[tuple(here)] = fits[tuple(there)]
        largest &= ~grown
    chosen = largest.reshape(-1)
    return {dim: values[chosen] for dim, values in tiles.items()}


def _fits(layer: Layer, plan: Plan, tiles: dict[str, Ints]) -> NDArray[np.bool_]:
    keep = np.ones(len(tiles["N"]), dtype=bool)
    for memory in {id(m): m for m in plan.buffers.values() if m is not None}.values():
        if memory.capacity_words is not None:
            needed = sum(tile_words(layer, operand, tiles) for operand in memory.holds)
            keep &= needed * (2 if memory.buffering == "double" else 1) <= memory.capacity_words
    return keep


def tile_words(layer: Layer, operand: Operand, tiles: dict[str, Ints]) -> Any:
    """Words of an operand in many tiles at once (of one group)."""
    if operand == "W":
        return tiles["M"] * tiles["C"] * tiles["R"] * tiles["S"]
    if operand == "O":
        return tiles["N"] * tiles["M"] * tiles["P"] * tiles["Q"]
    rows = touched_many(tiles["P"], tiles["R"], layer.stride_h, layer.dilation_h)
    columns = touched_many(tiles["Q"], tiles["S"], layer.stride_w, layer.dilation_w)
    return tiles["N"] * tiles["C"] * rows * columns


def touched_many(positions: Ints, taps: Ints, stride: int, dilation: int) -> Ints:
    """``layer.touched`` of many pairs."""
    from sevenfold.hardware.spatial.layer import touched

    base = int(taps.max()) + 1
    keys, where = np.unique(positions * base + taps, return_inverse=True)
    values: Ints = np.array([touched(key // base, key % base, stride, dilation) for key in keys.tolist()])
    found: Ints = values[where.reshape(-1)]
    return found


def to_mapping(
    layer: Layer, plan: Plan, inner: Inner, buffer_tile: dict[str, int], orders: tuple[Operand, Operand]
) -> Mapping:
    """The loops of a choice."""
    loops: list[Loop] = []
    ranges = layer.bounds

    def cut(level: str, dim: str, tile: int, axis: str = "time") -> None:
        if tile < ranges[dim]:
            loops.append(Loop(level, dim, tile, axis))  # type: ignore[arg-type]
            ranges[dim] = tile

    cut(plan.dram.name, "G", 1)
    for dim in ORDERS[orders[0]]:
        cut(plan.dram.name, dim, buffer_tile[dim])
    for dim in ORDERS[orders[1]]:
        cut(plan.buffer_node.name, dim, inner.array_tile[dim])
    elements = {dim: -(-inner.array_tile[dim] // inner.register_tile[dim]) for dim in SEARCHED}
    for axis, side in (("rows", inner.rows), ("columns", inner.columns)):
        for dim, number in side:
            elements[dim] = -(-elements[dim] // number)
            cut(plan.array.name, dim, inner.register_tile[dim] * elements[dim], axis)
    last = plan.chip.memories[-1].name
    if plan.registered:
        for dim in ("Q", "P", "N", "R", "S", "C", "M"):
            cut(last, dim, 1)
    return Mapping(tuple(loops))
