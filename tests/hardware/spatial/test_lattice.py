"""The lattice of tiles: its shortest paths against enumeration, and what it finds on chips of any depth."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
from sevenfold.hardware.spatial.cost import evaluate
from sevenfold.hardware.spatial.layer import OPERANDS, Layer
from sevenfold.hardware.spatial.mapper import find_mapping
from sevenfold.hardware.spatial.mapper.lattice import Border, Lattice, Point, cheapest_chain
from sevenfold.hardware.spatial.mapper.levels import all_spreads, find_in_levels
from sevenfold.hardware.spatial.mapper.tables import spread_elements, tables
from sevenfold.hardware.spatial.mapping import Loop, Mapping

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def memory(
    name: str, energy: float, words: int | None, *holds: str, role: str = "buffer", **more: object
) -> Memory:
    settings = {"name": name, "role": role, "capacity_words": words, "holds": holds or ("W", "I", "O")}
    return Memory(**settings, read_energy=energy, write_energy=1.1 * energy, **more)  # type: ignore[arg-type]


def deep_chip(l2: int = 40, glb: int = 20, **array: object) -> SpatialChip:
    """Two shared buffers above the array, two registers of one operand below it."""
    return SpatialChip(
        name="deep",
        clock_hz=1e6,
        mac_energy=1.0,
        energy_unit="MAC",
        levels=[
            memory("DRAM", 200.0, None, role="dram"),
            memory("L2", 20.0, l2),
            memory("GLB", 6.0, glb, "I", "O", reads_first_sums=True),
            Array(name="array", rows=2, columns=2, transfer_energy=2.0, **array),  # type: ignore[arg-type]
            memory("wreg", 1.0, 4, "W", role="register"),
            memory("oreg", 1.0, 2, "O", role="register"),
        ],
    )


def chains(lattice: Lattice, borders: dict[str, list[Border]], capacities: dict[str, float]) -> Iterator[float]:
    """The cost of every chain that fits, one by one."""
    everywhere = list(itertools.product(*(range(length) for length in lattice.shape)))
    places = [(name, n) for name, some in borders.items() for n in range(len(some))]
    for points in itertools.product(everywhere, repeat=len(places)):
        chosen: dict[tuple[str, int], Point] = dict(zip(places, points, strict=True))
        if not all(
            all(a <= b for a, b in zip(p, q, strict=True)) or all(a >= b for a, b in zip(p, q, strict=True))
            for p, q in itertools.combinations(points, 2)
        ):
            continue
        if not all(
            all(a <= b for a, b in zip(chosen[name, n], chosen[name, n + 1], strict=True))
            for name, some in borders.items()
            for n in range(len(some) - 1)
        ):
            continue
        inner = [chosen[place] for place in places if borders[place[0]][place[1]].stage]
        outer = [chosen[place] for place in places if not borders[place[0]][place[1]].stage]
        if any(not all(a <= b for a, b in zip(p, q, strict=True)) for p in inner for q in outer):
            continue
        taken: dict[str, float] = {}
        for (name, n), point in chosen.items():
            border = borders[name][n]
            taken[border.memory] = taken.get(border.memory, 0.0) + float(border.held[point])
        if all(taken[name] <= capacities[name] for name in taken):
            yield sum(float(borders[name][n].cost[point]) for (name, n), point in chosen.items())


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(st.integers(0, 10**6))
def test_the_cheapest_chain_is_the_least_of_all_chains(seed: int) -> None:
    """Random tables, four borders of two operands in two memories that are shared, two stages."""
    drawn = np.random.default_rng(seed)
    lattice = Lattice({"M": int(drawn.choice([2, 4, 6])), "C": int(drawn.choice([2, 3]))})

    def border(name: str, stage: int) -> Border:
        held = np.ones(lattice.shape, dtype=np.int64)
        for dim in lattice.steps:  # larger tiles hold more
            held = held * lattice.extent(dim) ** int(drawn.integers(0, 2))
        return Border(name, drawn.integers(1, 50, lattice.shape).astype(float), held, stage)

    borders = {name: [border("inner", 1), border("outer", 0)] for name in ("A", "B")}
    capacities = {"inner": float(drawn.integers(2, 7)), "outer": float(drawn.integers(2, 10))}
    least = min(chains(lattice, borders, capacities), default=None)
    found = cheapest_chain(lattice, borders, capacities)
    if least is None:
        assert found is None
    else:
        assert found is not None
        assert found.proven
        assert found.cost == pytest.approx(least)
        total = sum(
            float(borders[n][k].cost[p]) for n, points in found.points.items() for k, p in enumerate(points)
        )
        assert total == pytest.approx(found.cost)


def test_a_search_that_is_cut_short_has_a_bound() -> None:
    lattice = Lattice({"M": 64, "C": 64})
    cost = 1.0 / (lattice.extent("M") * lattice.extent("C"))
    borders = {
        name: [Border("shared", cost + 0.01 * number, lattice.extent("M") * lattice.extent("C"))]
        for number, name in enumerate("AB")
    }
    full = cheapest_chain(lattice, borders, {"shared": 100})
    cut = cheapest_chain(lattice, borders, {"shared": 100}, most_branches=0)
    assert full is not None
    assert cut is not None
    assert full.proven
    assert not cut.proven
    assert cut.bound <= full.cost <= cut.cost


def random_nest(layer: Layer, chip: SpatialChip, drawn: random.Random) -> Mapping:
    """A spread that cannot grow, primes of the steps in any order, every operand's memories at any loops."""
    way = drawn.choice(list(all_spreads(layer, chip, restricted=True)))
    elements = spread_elements(layer, way)
    across = {dim: prod(each[dim] for each in elements) for dim in elements[0]}
    steps = {dim: -(-getattr(layer, dim) // number) for dim, number in across.items()}
    lattice = Lattice(steps)
    primes = [(dim, prime) for dim, prime, top in lattice.axes for _ in range(top)]
    drawn.shuffle(primes)
    place = chip.place("array")
    split = drawn.randint(0, len(primes))
    loops: list[Loop] = []
    ranges = layer.bounds
    for number, (dim, prime) in enumerate([*primes[:split], ("", 0), *primes[split:]]):
        if not prime:
            rest = {dim: elements[0][dim] for dim in steps}
            for axis, side in (("rows", way[0][0]), ("columns", way[0][1])):
                for along, count in side:
                    rest[along] = -(-rest[along] // count)
                    if rest[along] * steps[along] < ranges[along]:
                        ranges[along] = rest[along] * steps[along]
                        loops.append(Loop("array", along, ranges[along], axis))  # type: ignore[arg-type]
            continue
        steps[dim] //= prime
        tile = steps[dim] * (across[dim] if number < split else 1)
        if tile < ranges[dim]:
            ranges[dim] = tile
            loops.append(Loop("L2" if number < split else "oreg", dim, tile))
    return Mapping(tuple(_moved(loops, chip, place, drawn)))


def _moved(loops: list[Loop], chip: SpatialChip, place: int, drawn: random.Random) -> Iterator[Loop]:
    names = [memory.name for memory in chip.memories]
    plans = {operand: sorted(drawn.choices(range(len(names)), k=len(loops))) for operand in OPERANDS}
    for number, loop in enumerate(loops):
        if loop.axis == "time":
            loop = replace(loop, runs_at=tuple((operand, names[plans[operand][number]]) for operand in OPERANDS))
        yield loop


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(st.integers(0, 10**6))
def test_no_random_nest_on_a_deep_chip_costs_less_than_the_optimum_or_the_bound(seed: int) -> None:
    drawn = random.Random(seed)
    sizes = {dim: drawn.choice([1, 2, 3, 4, 5]) for dim in ("N", "M", "C", "P")}
    taps = drawn.choice([1, 1, 2])
    layer = Layer("l", **sizes, R=taps)
    chip = deep_chip(row_dims=("M", "C", "P"), column_dims=("M", "N"))
    found = find_in_levels(layer, chip)
    if taps == 1:
        assert found.bound >= found.cost.energy * (1 - 1e-9)  # nothing slides, so the optimum is proven
    tried = 0
    for _ in range(60):
        try:
            cost = evaluate(random_nest(layer, chip, drawn).on(layer, chip))
        except UsageError:
            continue
        tried += 1
        assert cost.energy >= found.bound * (1 - 1e-9)
    assert tried or prod(sizes.values()) > 100


def test_tables_are_exact_where_nothing_slides() -> None:
    """The tables' sum for the chain that was found is the exact cost of its nest."""
    layer = Layer("product", N=12, M=18, C=20)
    chip = deep_chip(200, 90, row_dims=("M", "C"), column_dims=("M", "N"))
    found = find_in_levels(layer, chip)
    floors = [tables(layer, chip, way, restricted=True).floor for way in all_spreads(layer, chip, restricted=True)]
    assert found.cost.energy == pytest.approx(found.bound, rel=1e-12)
    assert min(floors) <= found.bound


def test_find_mapping_searches_deep_chips_and_several_arrays() -> None:
    layer = Layer("conv", N=2, M=16, C=8, P=6, Q=6, R=3, S=3)
    deep = find_mapping(layer, deep_chip(3000, 400))
    assert deep.cost.energy == deep.score >= deep.bound
    assert deep.verdict == "optimal" or deep.verdict.startswith("best of ")
    cores = SpatialChip.from_dict(
        deep_chip(3000, 400).to_dict()
        | {
            "levels": [
                *deep_chip(3000, 400).to_dict()["levels"][:2],
                {"kind": "array", "name": "cores", "rows": 2, "row_dims": ["M", "N"]},
                *deep_chip(3000, 400).to_dict()["levels"][2:],
            ]
        }
    )
    spread = find_mapping(layer, cores)
    assert spread.cost.array_cycles <= deep.cost.array_cycles
    assert spread.cost.active_pes > 4
    for goal in ("latency", "edp"):
        other = find_mapping(layer, deep_chip(3000, 400), goal)  # type: ignore[arg-type]
        assert other.bound <= other.score


def test_uneven_tiles_save_energy_on_the_nvdla_like_chip_and_are_proven() -> None:
    layer = Layer("CONV3", N=4, M=384, C=256, P=13, Q=13, R=3, S=3)
    even = find_mapping(layer, SPATIAL_CHIPS["nvdla"])
    uneven = find_mapping(layer, SPATIAL_CHIPS["nvdla"], uneven=True)
    assert uneven.verdict == "optimal"
    assert uneven.cost.energy < 0.95 * even.cost.energy
    assert Mapping.from_dict(uneven.mapping.to_dict()) == uneven.mapping


def test_uneven_loops_that_do_not_nest_are_refused() -> None:
    layer, chip = Layer("l", M=4, C=4), deep_chip()
    text = {"DRAM": ["M:1 W@wreg", "C:1"]}
    with pytest.raises(UsageError, match="loops of weights do not go inwards"):
        Mapping.from_dict(text).on(layer, chip)
    with pytest.raises(UsageError, match="OPERAND@LEVEL"):
        Mapping.from_dict({"DRAM": ["M:1 X@wreg"]})
    with pytest.raises(UsageError, match="only a loop in time"):
        Mapping.from_dict({"array": {"rows": ["M:1 W@DRAM"], "columns": []}}).on(Layer("l", M=2), chip)
