"""Mappings on chips of any depth: several shared buffers, memories of single operands, several arrays.

Every spread of the arrays has its tables (``tables``); the best chain of tiles (``lattice``) becomes a nest, uneven
where memories hold tiles of different operands at different loops, and is costed exactly. Spreads are opened in the
order of what they cost at least. *Optimal*: no order, no tiling by divisors of the steps and no spread of the space
costs less by the exact rules. Sliding inputs are bounded, not searched: where a window may slide between tiles, the
verdict is usually *best of N, bound B*.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.architecture import Array, SpatialChip
from sevenfold.hardware.spatial.cost import MappingCost, evaluate
from sevenfold.hardware.spatial.layer import OPERANDS, Layer, Operand
from sevenfold.hardware.spatial.mapper.goals import Goal, score_of
from sevenfold.hardware.spatial.mapper.lattice import Chain, Lattice, Point, cheapest_chain
from sevenfold.hardware.spatial.mapper.space import SEARCHED, Spread, spreads
from sevenfold.hardware.spatial.mapper.tables import Tables, spread_elements, tables
from sevenfold.hardware.spatial.mapping import Loop, Mapping

MOST_OPENED = 48  # spreads that are searched, at most, before the search says what it has
MOST_SPREADS = 400  # spreads whose tables are made, those with the fewest steps first
MOST_POINTS = 40_000_000  # tiles x states of one search


@dataclass(frozen=True)
class Found:
    """The best mapping with its exact cost, a bound of its score, and how much was looked at."""

    mapping: Mapping
    cost: MappingCost
    bound: float
    evaluated: int
    considered: int


def find_in_levels(layer: Layer, chip: SpatialChip, goal: Goal = "energy", *, restricted: bool = True) -> Found:
    """The best mapping; raises UsageError where nothing fits or the space is too large.

    Of every spread the mapping of least energy is found; goals with time in them choose among spreads.
    """
    ways = list(all_spreads(layer, chip, restricted=restricted))
    ways.sort(key=lambda way: _steps(layer, way))
    made = [(tables(layer, chip, way, restricted=restricted), way) for way in ways[:MOST_SPREADS]]
    cycles = [layer.G * _steps(layer, way) + chip.pipeline_stages - 1 for _, way in made]
    ranked = sorted((float(score_of(goal, made[n][0].floor, cycles[n], chip)), n) for n in range(len(made)))
    best: tuple[Mapping, MappingCost] | None = None
    bound = least = float("inf")
    if len(ways) > MOST_SPREADS:
        fewest = layer.G * _steps(layer, ways[MOST_SPREADS])
        bound = float(score_of(goal, _least_of_all(layer, chip), fewest, chip))
    evaluated = 0
    for opened, (floor, number) in enumerate(ranked):
        if floor >= least * (1 - 1e-12) or opened >= MOST_OPENED:
            bound = min(bound, floor)
            break
        table, way = made[number]
        low, some = _opened(layer, chip, table, way, least if goal == "energy" else float("inf"))
        bound = min(bound, float(score_of(goal, low, cycles[number], chip)))
        for mapping in some:
            cost = evaluate(mapping.on(layer, chip))
            evaluated += 1
            score = float(score_of(goal, cost.energy, cost.cycles, chip))
            if score < least:
                best, least = (mapping, cost), score
    if best is None:
        raise UsageError(
            f"no mapping of {layer.name} fits {chip.name}",
            got="its smallest tiles beyond the memories",
            hint="restricted=False, or larger memories",
        )
    return Found(*best, min(bound, least), evaluated, len(ways))


def all_spreads(layer: Layer, chip: SpatialChip, *, restricted: bool) -> Any:
    """Every combination of the arrays' spreads that cannot grow, each set of elements once."""
    ways: list[tuple[tuple[Spread, ...], Layer]] = [((), layer)]
    for array in chip.arrays:
        grown: dict[Any, tuple[tuple[Spread, ...], Layer]] = {}
        for way, left in ways:
            for spread in spreads(left, array, restricted=restricted):
                across = {dim: dict(spread[0]).get(dim, 1) * dict(spread[1]).get(dim, 1) for dim in SEARCHED}
                smaller = {dim: -(-getattr(left, dim) // across[dim]) for dim in SEARCHED}
                key = (
                    *((tuple(sorted(rows)), tuple(sorted(columns))) for rows, columns in way),
                    tuple(across.items()),
                )
                grown.setdefault(key, ((*way, spread), replace(left, **smaller)))
        ways = list(grown.values())
    return [way for way, _ in ways]


def _steps(layer: Layer, way: tuple[Spread, ...]) -> int:
    elements = spread_elements(layer, way)
    return prod(-(-getattr(layer, dim) // prod(each[dim] for each in elements)) for dim in SEARCHED)


def _least_of_all(layer: Layer, chip: SpatialChip) -> float:
    """Energy that every mapping needs: multiplying, and every word through every memory once."""
    total = layer.macs * chip.mac_energy
    for operand in OPERANDS:
        memories = [memory for memory in chip.memories if operand in memory.holds]
        for outer, inner in itertools.pairwise(memories):
            if operand == "O":
                total += layer.words("O") * (outer.write_energy + inner.read_energy)
            else:
                total += layer.words(operand) * (outer.read_energy + inner.write_energy)
    return float(total)


def _opened(
    layer: Layer, chip: SpatialChip, table: Tables, way: tuple[Spread, ...], least: float
) -> tuple[float, list[Mapping]]:
    """A bound of all mappings with this spread, and its best ones by whole tiles."""
    states = prod(len(some) + 1 for some in table.upper.values())
    if table.lattice.size * states > MOST_POINTS:
        raise UsageError(
            f"{layer.name} on {chip.name} has too many tilings",
            got=f"{table.lattice.size} tiles with {states} states each",
            expected=f"at most {MOST_POINTS}",
            hint="a smaller batch, or fewer memories",
        )
    bound = cheapest_chain(table.lattice, table.lower, table.capacities, below=least - table.constant_lower)
    if bound is None:  # nothing fits, or nothing of this spread can be better
        return least, []
    chain = cheapest_chain(table.lattice, table.upper, table.capacities)
    found = []
    for each in [bound] if chain is None else [chain, bound]:
        for innermost in ("Q", "P"):
            found.append(to_nest(layer, chip, table.lattice, each, way, innermost))
    return bound.bound + table.constant_lower, list(dict.fromkeys(found))


def to_nest(
    layer: Layer,
    chip: SpatialChip,
    lattice: Lattice,
    chain: Chain,
    way: tuple[Spread, ...],
    innermost: str,
) -> Mapping:
    """A chain of tiles as loops; between two tiles the ``innermost`` dimension comes last, so that it slides."""
    elements = spread_elements(layer, way)
    places = [n for n, level in enumerate(chip.levels) if isinstance(level, Array)]
    ranges = {dim: getattr(layer, dim) for dim in SEARCHED}
    loops: list[Loop] = [Loop(chip.levels[0].name, "G", 1)] if layer.G > 1 else []
    left = list(zip(places, way, elements, strict=True))

    def cut(level: str, dim: str, tile: int, axis: str, runs_at: tuple[tuple[Operand, str], ...] = ()) -> None:
        if tile < ranges[dim]:
            loops.append(Loop(level, dim, tile, axis, runs_at))  # type: ignore[arg-type]
            ranges[dim] = tile

    def unroll(steps: dict[str, int]) -> None:
        place, (rows, columns), each = left.pop(0)
        inner = {dim: steps.get(dim, 1) * prod(more[dim] for _, _, more in left) for dim in SEARCHED}
        rest = dict(each)
        for axis, side in (("rows", rows), ("columns", columns)):
            for dim, number in side:
                rest[dim] = -(-rest[dim] // number)
                cut(chip.levels[place].name, dim, inner[dim] * rest[dim], axis)

    outer = lattice.tile(tuple(length - 1 for length in lattice.shape))
    for corner in reversed(chain.corners):
        at = {operand: _place(chip, operand, chain.points[operand], corner) for operand in OPERANDS}
        base = max(at.values())
        while left and left[0][0] < base:
            unroll(outer)
        tile = lattice.tile(corner)
        moved = tuple((operand, chip.levels[node].name) for operand, node in at.items() if node != base)
        for dim in sorted(SEARCHED, key=lambda dim: dim == innermost):
            across = prod(each[dim] for _, _, each in left)
            cut(chip.levels[base].name, dim, min(tile.get(dim, 1) * across, ranges[dim]), "time", moved)
        outer = tile
    while left:
        unroll(outer)
    return Mapping(tuple(loops))


def _place(chip: SpatialChip, operand: Operand, tiles: tuple[Point, ...], corner: Point) -> int:
    """The memory of an operand that runs the loops directly outside a tile."""
    chain = chip.chain(operand)  # tiles are innermost first: tiles[n] lies in chain[-1 - n]
    inside = sum(all(a <= b for a, b in zip(tile, corner, strict=True)) for tile in tiles)
    return chain[len(tiles) - inside]
