"""Random small layers, chips and mappings that fit, for hypothesis."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.architecture import Array, Level, Memory, SpatialChip
from sevenfold.hardware.spatial.layer import DIMS, OPERANDS, Layer
from sevenfold.hardware.spatial.mapping import Loop, Mapping, Nest

SUBSETS = [("W", "I", "O"), ("I", "O"), ("W",), ("I",), ("O",), ("W", "I"), ("W", "O")]


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """At most a few thousand multiply-accumulates."""
    bounds = dict.fromkeys(DIMS, 1)
    budget = 300
    for dim in draw(st.permutations(DIMS)):
        bounds[dim] = draw(st.integers(1, max(1, min(budget, 7))))
        budget //= bounds[dim]
    steps = {name: draw(st.integers(1, 3)) for name in ("stride_h", "stride_w", "dilation_h", "dilation_w")}
    return Layer("random", **bounds, **steps)


@st.composite
def chips(draw: st.DrawFn) -> SpatialChip:
    """DRAM, some buffers and arrays, some registers."""
    levels: list[Level] = [Memory(name="DRAM", role="dram")]
    multicasts = st.sampled_from([("W", "I"), ("W",), ("I",), ()])
    if draw(st.booleans()):
        levels.append(Memory(name="L2", role="buffer", holds=draw(st.sampled_from(SUBSETS))))
    registers = draw(st.integers(0, 3))
    if registers and draw(st.integers(0, 3)) == 0:
        levels.append(Array(name="cores", rows=draw(st.integers(1, 3)), multicast=draw(multicasts)))
    if draw(st.booleans()):
        levels.append(
            Memory(
                name="GLB",
                role="buffer",
                holds=draw(st.sampled_from(SUBSETS)),
                reads_first_sums=draw(st.booleans()),
            )
        )
    levels.append(
        Array(
            name="array", rows=draw(st.integers(1, 5)), columns=draw(st.integers(1, 4)), multicast=draw(multicasts)
        )
    )
    for number in range(registers):
        levels.append(Memory(name=f"spad{number}", role="register", holds=draw(st.sampled_from(SUBSETS))))
    return SpatialChip(name="random", clock_hz=1e6, levels=levels)


@st.composite
def nests(draw: st.DrawFn) -> Nest:
    """A random mapping: ragged tiles, any order, several loops of one dimension."""
    layer, chip = draw(layers()), draw(chips())
    ranges = layer.bounds
    loops: list[Loop] = []

    def cut(level: str, axis: str, most: int) -> int:
        dim = draw(st.sampled_from(DIMS))
        least = -(-ranges[dim] // most)
        tile = draw(st.integers(least, ranges[dim]))
        loops.append(Loop(level, dim, tile, axis))  # type: ignore[arg-type]
        count = -(-ranges[dim] // tile)
        ranges[dim] = tile
        return count

    registers = isinstance(chip.levels[-1], Memory)
    for level in chip.levels:
        if not isinstance(level, Array):
            for _ in range(draw(st.integers(0, 4))):
                cut(level.name, "time", 1000)
            if level is chip.memories[-1]:
                spread = None if registers else draw(st.sampled_from(DIMS))
                for dim in draw(st.permutations(DIMS)):
                    tile = min(ranges[dim], chip.arrays[-1].rows) if dim == spread else 1
                    if ranges[dim] > tile:
                        loops.append(Loop(level.name, dim, tile))
                        ranges[dim] = tile
        elif registers:
            for axis, size in (("rows", level.rows), ("columns", level.columns)):
                left = size
                for _ in range(draw(st.integers(0, 2))):
                    left //= cut(level.name, axis, left)
        else:
            loops += [Loop(level.name, dim, 1, "rows") for dim in DIMS if ranges[dim] > 1]
    even = Mapping(tuple(loops)).on(layer, chip)
    try:
        return Mapping(tuple(draw(_uneven(loops, chip)))).on(layer, chip)
    except UsageError:
        return even


@st.composite
def _uneven(draw: st.DrawFn, loops: list[Loop], chip: SpatialChip) -> list[Loop]:
    """The loops in time with a random operand's run by other memories, further out or in."""
    operand = draw(st.sampled_from(OPERANDS))
    names = [memory.name for memory in chip.memories]
    places = sorted(draw(st.lists(st.integers(0, len(names) - 1), min_size=len(loops), max_size=len(loops))))
    keep = draw(st.lists(st.booleans(), min_size=len(loops), max_size=len(loops)))
    return [
        replace(loop, runs_at=((operand, names[place]),)) if loop.axis == "time" and not kept else loop
        for loop, place, kept in zip(loops, places, keep, strict=True)
    ]
