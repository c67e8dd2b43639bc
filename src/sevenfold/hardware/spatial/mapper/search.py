"""Best first: inner choices in the order of a lower bound, all buffer tiles of each, until the bound passes the
best.

The bound of a spread and register tile: the innermost loop that runs at all is irrelevant to one operand only, so
two operands cross the array for every pass of their irrelevant loops and the third at least once; inputs slide in
one direction at most; DRAM moves at least what its best buffer tile moves. The verdict is ``optimal`` where every
choice left has a bound above the best: no mapping of the space (see ``space``) costs less by the closed forms. The
costs that are returned are exact ones, of ``cost.evaluate``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sevenfold.errors import UsageError, unknown_name
from sevenfold.hardware.spatial.architecture import SpatialChip
from sevenfold.hardware.spatial.cost import MappingCost, evaluate
from sevenfold.hardware.spatial.layer import OPERANDS, Layer, Operand
from sevenfold.hardware.spatial.mapper.bounds import inner_bounds, pair_bounds
from sevenfold.hardware.spatial.mapper.closed_form import (
    Floats,
    Tilings,
    array_border,
    buffer_loads,
    costs,
    counts_of,
)
from sevenfold.hardware.spatial.mapper.goals import GOALS, Goal, score_of
from sevenfold.hardware.spatial.mapper.levels import find_in_levels
from sevenfold.hardware.spatial.mapper.space import (
    SEARCHED,
    Inner,
    Inners,
    Ints,
    Plan,
    buffer_tiles,
    has_plan,
    inners,
    plan_of,
    to_mapping,
)
from sevenfold.hardware.spatial.mapping import Mapping

MOST_AT_ONCE = 50_000
MOST_INNER = 4000  # inner choices that are opened, at most, before the search says what it has


@dataclass(frozen=True)
class FoundMapping:
    """A layer's mapping and exact cost; ``score`` and ``bound`` are of the closed forms, in the goal's unit."""

    layer: str
    chip: str
    goal: Goal
    mapping: Mapping
    cost: MappingCost
    score: float
    bound: float
    verdict: str  # "optimal", or "best of N, bound B"
    evaluated: int  # mappings whose cost was computed
    considered: int  # inner choices of the space

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-like data."""
        return {
            **{key: value for key, value in self.__dict__.items() if key not in ("mapping", "cost")},
            "mapping": self.mapping.to_dict(),
            "cost": self.cost.to_dict(),
        }


@dataclass
class _Best:
    score: float = float("inf")
    inner: Inner | None = None
    tile: dict[str, int] | None = None
    orders: tuple[Operand, Operand] = ("W", "W")


def find_mapping(
    layer: Layer,
    chip: SpatialChip,
    goal: Goal = "energy",
    *,
    restricted: bool = True,
    most_inner: int = MOST_INNER,
    uneven: bool = False,
) -> FoundMapping:
    """The best mapping of a layer under the chip's dataflow (``restricted``), or free of what it prescribes.

    Chips of several arrays, or of several buffers or registers for an operand, are searched by ``levels``; with
    ``uneven`` every chip is. Raises UsageError for a goal that there is not, or a layer that nothing fits.
    """
    if goal not in GOALS:
        raise unknown_name("goal of the mapper", goal, GOALS)
    if uneven or not has_plan(chip):
        return _in_levels(layer, chip, goal, restricted)
    plan = plan_of(chip)
    nameless = replace(layer, name="layer")
    choices = inners(nameless, plan, restricted=restricted)
    tiles = buffer_tiles(nameless, plan)
    if not len(choices) or not len(tiles["N"]):
        what = "registers" if not len(choices) else "buffers"
        raise UsageError(
            f"no mapping of {layer.name} fits {chip.name}",
            got=f"the dataflow's smallest tile beyond its {what}",
            hint="restricted=False, or larger memories",
        )
    best, bound, evaluated = _search(nameless, plan, choices, tiles, goal, most_inner)
    if best.inner is None or best.tile is None:
        raise UsageError(f"no mapping of {layer.name} fits {chip.name}", got="array tiles beyond its buffers")
    mapping = to_mapping(nameless, plan, best.inner, best.tile, best.orders)
    cost = evaluate(mapping.on(layer, chip))
    done = bound >= best.score * (1 - 1e-9)
    return FoundMapping(
        layer=layer.name,
        chip=chip.name,
        goal=goal,
        mapping=mapping,
        cost=cost,
        score=best.score,
        bound=min(bound, best.score),
        verdict="optimal" if done else f"best of {evaluated}, bound {bound:.6g}",
        evaluated=evaluated,
        considered=len(choices),
    )


def _in_levels(layer: Layer, chip: SpatialChip, goal: Goal, restricted: bool) -> FoundMapping:
    found = find_in_levels(replace(layer, name="layer"), chip, goal, restricted=restricted)
    score = float(score_of(goal, found.cost.energy, found.cost.cycles, chip))
    done = found.bound >= score * (1 - 1e-9)
    return FoundMapping(
        layer=layer.name,
        chip=chip.name,
        goal=goal,
        mapping=found.mapping,
        cost=replace(found.cost, layer=layer.name),
        score=score,
        bound=min(found.bound, score),
        verdict="optimal" if done else f"best of {found.evaluated}, bound {found.bound:.6g}",
        evaluated=found.evaluated,
        considered=found.considered,
    )


def _search(
    layer: Layer, plan: Plan, choices: Inners, tiles: dict[str, Ints], goal: Goal, most_inner: int
) -> tuple[_Best, float, int]:
    loads = {order: buffer_loads(layer, tiles, order) for order in OPERANDS}
    least = np.minimum.reduce([_dram_energy(plan, layer, loads[order]) for order in OPERANDS])
    t2, t3 = choices.t2, choices.t3
    inner = inner_bounds(layer, plan, t2, t3)
    bounds = score_of(goal, inner.energy + float(least.min()), inner.cycles, plan.chip)
    ranked = np.argsort(bounds, kind="stable")
    best, evaluated, opened, size = _Best(), 0, 0, 8
    while opened < len(ranked):
        next_bound = float(bounds[ranked[opened]])
        if next_bound >= best.score or opened >= most_inner:
            return best, next_bound, evaluated
        some = ranked[opened : opened + size]
        opened, size = opened + size, min(2 * size, 64)
        energy = pair_bounds(layer, inner, some, t2, tiles, least)
        scores = score_of(goal, energy, inner.cycles[some][:, None], plan.chip)
        rows, columns = np.nonzero(scores < best.score)
        for start in range(0, len(rows), MOST_AT_ONCE):
            part = slice(start, start + MOST_AT_ONCE)
            pairs = (some[rows[part]], columns[part])
            evaluated += 18 * len(pairs[0])
            best = _improved(best, layer, plan, choices, tiles, pairs, goal)
    return best, best.score, evaluated


def _improved(
    best: _Best,
    layer: Layer,
    plan: Plan,
    choices: Inners,
    tiles: dict[str, Ints],
    pairs: tuple[Ints, Ints],
    goal: Goal,
) -> _Best:
    """The best so far and all (inner choice, buffer tile) pairs under every pair of orders."""
    inner = np.concatenate([pairs[0], pairs[0]])
    t2 = {dim: choices.t2[dim][inner] for dim in SEARCHED}
    t1 = {}
    for dim in SEARCHED:
        largest, mine = tiles[dim][pairs[1]], choices.t2[dim][pairs[0]]
        # The tile as it is, and cut down to whole array tiles.
        whole = np.where(largest == getattr(layer, dim), largest, largest // mine * mine)
        t1[dim] = np.concatenate([largest, whole])
    tilings = Tilings(t1, t2, {dim: choices.t3[dim][inner] for dim in SEARCHED})
    counts = counts_of(layer, tilings)
    for first in OPERANDS:
        loads = buffer_loads(layer, t1, first)
        for second in OPERANDS:
            orders = (first, second)
            borders = {operand: array_border(layer, plan, tilings, counts, orders, operand) for operand in OPERANDS}
            found = costs(layer, plan, tilings, orders, loads, counts, borders)
            scores = score_of(goal, found.energy, found.cycles, plan.chip)
            place = int(np.argmin(scores))
            if scores[place] < best.score:
                tile = {dim: int(values[place]) for dim, values in t1.items()}
                best = _Best(float(scores[place]), choices[int(inner[place])], tile, orders)
    return best


def _dram_energy(plan: Plan, layer: Layer, loads: dict[Operand, Ints]) -> Floats:
    """Energy of moving between DRAM and buffers, by buffer tile."""
    energy: Floats = np.zeros(len(loads["W"]))
    for operand in OPERANDS:
        buffer = plan.buffers[operand]
        if buffer is None:
            continue
        words = loads[operand].astype(float)
        if operand == "O":
            back = words - (0 if plan.dram.reads_first_sums else layer.words("O"))
            energy += words * (plan.dram.write_energy + buffer.read_energy)
            energy += back * (plan.dram.read_energy + buffer.write_energy)
        else:
            energy += words * (plan.dram.read_energy + buffer.write_energy)
    return energy
