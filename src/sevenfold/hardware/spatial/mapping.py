"""A mapping: loops from the outermost to the innermost, each cutting one dimension into tiles at one level of a
chip.

The loops of a memory run over the tiles that it sends inwards; the loops of an array lie side by side on its rows
or columns. Tiles need not divide: the last one is smaller. Inside the innermost loop every tile is one.

Memories may hold tiles of different operands at different loops (*uneven*): ``"P:14 W@GLB"`` at DRAM is a loop that
DRAM runs for inputs and outputs, while for weights the tile of the GLB has it inside.

>>> from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
>>> tiny = SpatialChip(name="tiny", clock_hz=1e6, levels=[Memory(name="DRAM", role="dram"),
...     Array(name="array", rows=2, columns=2), Memory(name="RF", role="register", capacity_words=8)])
>>> mapping = Mapping.from_dict({"DRAM": ["M:2", "C:2"], "array": {"rows": ["M:1"], "columns": ["C:1"]}})
>>> nest = mapping.on(Layer("fc", M=5, C=4), tiny)
>>> [loop.dim for loop in nest.loops], nest.num_steps
(['M', 'C', 'M', 'C'], 6)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.layer import DIMS, OPERAND_NAMES, OPERANDS, REDUCED, Layer, Operand
from sevenfold.hardware.spatial.tiles import num_elements, num_indices

Axis = Literal["time", "rows", "columns"]


@dataclass(frozen=True)
class Loop:
    """One loop: at a level, over the tiles of one dimension, in time or along an array's side."""

    level: str
    dim: str
    tile: int
    axis: Axis = "time"
    runs_at: tuple[tuple[Operand, str], ...] = ()  # operands for which another memory runs it


@dataclass(frozen=True)
class Mapping:
    """Loops, outermost first."""

    loops: tuple[Loop, ...]

    @classmethod
    def from_dict(cls, data: Table[str, Any]) -> Mapping:
        """``{"DRAM": ["M:64"], "array": {"rows": ["R:1"], "columns": ["P:1"]}}``, levels outermost first."""
        loops: list[Loop] = []
        for level, entry in data.items():
            sides: dict[Axis, Any] = {"time": entry}
            if isinstance(entry, Table):
                sides = {"rows": entry.get("rows", ()), "columns": entry.get("columns", ())}
            for axis, texts in sides.items():
                loops += [_read_loop(level, axis, text) for text in texts]
        return cls(tuple(loops))

    def to_dict(self) -> dict[str, Any]:
        """The plain form that ``from_dict`` reads."""
        data: dict[str, Any] = {}
        for loop in self.loops:
            text = " ".join([f"{loop.dim}:{loop.tile}", *(f"{operand}@{level}" for operand, level in loop.runs_at)])
            if loop.axis == "time":
                data.setdefault(loop.level, []).append(text)
            else:
                data.setdefault(loop.level, {"rows": [], "columns": []})[loop.axis].append(text)
        return data

    def on(self, layer: Layer, chip: SpatialChip) -> Nest:
        """The checked nest of this mapping for a layer on a chip; raises UsageError naming what does not fit."""
        nest = Nest(layer, chip, self._placed(layer, chip))
        _check_uneven(nest)
        _check_arrays(nest)
        _check_capacities(nest)
        return nest

    def _placed(self, layer: Layer, chip: SpatialChip) -> tuple[PlacedLoop, ...]:
        ranges = layer.bounds
        placed: list[PlacedLoop] = []
        for loop in self.loops:
            node = chip.place(loop.level)
            if placed and node < placed[-1].node:
                raise UsageError(
                    "the loops of a mapping go from the outermost level inwards",
                    got=f"{loop.level} after {chip.levels[placed[-1].node].name}",
                )
            is_array = isinstance(chip.levels[node], Array)
            if is_array == (loop.axis == "time"):
                expected = "rows or columns" if is_array else "a list of loops"
                raise UsageError(f"level {loop.level!r} takes other loops", got=loop.axis, expected=expected)
            if not 1 <= loop.tile <= ranges[loop.dim]:
                raise UsageError(
                    f"{layer.name}: a tile of {loop.dim} at {loop.level} is out of range",
                    got=loop.tile,
                    expected=f"1 to {ranges[loop.dim]}, what the loops outside it leave",
                )
            elsewhere = {operand: chip.place(level) for operand, level in loop.runs_at}
            nodes = tuple(elsewhere.get(operand, node) for operand in OPERANDS)
            placed.append(PlacedLoop(loop.dim, loop.tile, loop.axis, node, ranges[loop.dim], nodes))
            ranges[loop.dim] = loop.tile
        for dim, left in ranges.items():
            if left != 1:
                raise UsageError(
                    f"{layer.name}: the mapping leaves {dim} uncut inside its innermost loop",
                    got=f"a tile of {left}",
                    expected=f"a last loop {dim}:1",
                )
        return tuple(placed)


def _read_loop(level: str, axis: Axis, text: str) -> Loop:
    first, *others = re.split(r"\s+(?=\w+@)", str(text))  # names of levels may have spaces
    dim, colon, tile = first.partition(":")
    runs_at = tuple((operand, place) for operand, _, place in (other.partition("@") for other in others))
    if (
        dim not in DIMS
        or not colon
        or not tile.strip().isdigit()
        or not all(o in OPERANDS and p for o, p in runs_at)
    ):
        raise UsageError(
            f"no loop at {level!r}",
            got=repr(text),
            expected=f"DIMENSION:TILE, with one of {', '.join(DIMS)}, and OPERAND@LEVEL where it is uneven",
            hint="M:64, or M:64 W@GLB",
        )
    return Loop(level, dim, int(tile), axis, runs_at)  # type: ignore[arg-type]


@dataclass(frozen=True)
class PlacedLoop:
    """A loop with its level's place in the chip, and the largest range that it cuts."""

    dim: str
    tile: int
    axis: Axis
    node: int
    extent: int
    nodes: tuple[int, ...]  # the same by operand

    def at(self, operand: Operand) -> int:
        """The place of the level that runs it, as an operand sees it."""
        return self.nodes[OPERANDS.index(operand)]

    @property
    def count(self) -> int:
        """Iterations over a whole range."""
        return -(-self.extent // self.tile)


@dataclass(frozen=True)
class Nest:
    """A mapping that fits, of a layer on a chip."""

    layer: Layer
    chip: SpatialChip
    loops: tuple[PlacedLoop, ...]

    @cached_property
    def num_steps(self) -> int:
        """Cycles of computing: the steps in time of the first processing element."""
        return prod(
            num_indices(bound, tuple((loop.tile, loop.axis == "time") for loop in self.loops if loop.dim == dim))
            for dim, bound in self.layer.bounds.items()
        )

    def tile(self, node: int, operand: Operand) -> dict[str, int]:
        """The largest tile of an operand in one instance at a place: what the loops above leave of every bound."""
        tile = self.layer.bounds
        for loop in self.loops:
            if loop.at(operand) < node:
                tile[loop.dim] = loop.tile
        return tile

    def words_held(self, node: int) -> dict[Operand, int]:
        """Words of each operand in one instance of the memory at a place."""
        memory = self.chip.levels[node]
        assert isinstance(memory, Memory)
        return {
            operand: self.layer.tile_words(operand, self.tile(node, operand))
            for operand in OPERANDS
            if operand in memory.holds
        }

    def spread(self, array: int, axis: Axis) -> int:
        """Elements that are used along one side of the array at a place."""
        return prod(loop.count for loop in self.loops if loop.node == array and loop.axis == axis)

    @property
    def active_pes(self) -> int:
        """Processing elements that ever work."""
        return prod(
            num_elements(bound, tuple((loop.tile, loop.axis == "time") for loop in self.loops if loop.dim == dim))
            for dim, bound in self.layer.bounds.items()
        )


def overflows(nest: Nest) -> Iterable[tuple[Memory, int, dict[Operand, int]]]:
    """Memories that cannot hold their tiles, with the words needed (twice where double-buffered)."""
    for node, memory in enumerate(nest.chip.levels):
        if isinstance(memory, Memory) and memory.capacity_words is not None:
            held = nest.words_held(node)
            needed = sum(held.values()) * (2 if memory.buffering == "double" else 1)
            if needed > memory.capacity_words:
                yield memory, needed, held


def _check_capacities(nest: Nest) -> None:
    for memory, needed, held in overflows(nest):
        parts = ", ".join(f"{OPERAND_NAMES[operand]} {words}" for operand, words in held.items())
        twice = ", twice for double buffering" if memory.buffering == "double" else ""
        excess = needed - (memory.capacity_words or 0)
        raise UsageError(
            f"{nest.layer.name}: the mapping overflows {memory.name} by {excess} words",
            got=f"{needed} words ({parts}{twice})",
            expected=f"at most {memory.capacity_words}",
            hint=f"smaller tiles above {memory.name}",
        )


def _check_uneven(nest: Nest) -> None:
    """For every operand, what lies inside a memory's tile is inside it in the nest."""
    for operand in OPERANDS:
        chain = nest.chip.chain(operand)
        inside = 0
        for loop in nest.loops:
            node = loop.at(operand)
            name, outer = nest.chip.levels[node].name, nest.chip.levels[chain[max(inside - 1, 0)]].name
            if node != loop.node and (loop.axis != "time" or isinstance(nest.chip.levels[node], Array)):
                raise UsageError(
                    f"{nest.layer.name}: only a loop in time moves to another memory",
                    got=f"{loop.dim}:{loop.tile} {operand}@{name} at {nest.chip.levels[loop.node].name}",
                )
            passed = sum(place <= node for place in chain)
            if passed < inside:
                raise UsageError(
                    f"{nest.layer.name}: the loops of {OPERAND_NAMES[operand]} do not go inwards",
                    got=f"{loop.dim}:{loop.tile} at {name} inside a loop of {outer}",
                )
            inside = passed


def _check_arrays(nest: Nest) -> None:
    for node, array in enumerate(nest.chip.levels):
        if not isinstance(array, Array):
            continue
        sides: tuple[tuple[Axis, int, tuple[str, ...]], ...] = (
            ("rows", array.rows, array.row_dims),
            ("columns", array.columns, array.column_dims),
        )
        for axis, size, allowed in sides:
            used = nest.spread(node, axis)
            if used > size:
                raise UsageError(
                    f"{nest.layer.name}: the mapping overflows the {axis} of {array.name} by {used - size}",
                    got=used,
                    expected=f"at most {size}",
                )
            for loop in nest.loops:
                if loop.node != node or loop.axis != axis or loop.count == 1:
                    continue
                if loop.dim not in allowed:
                    raise UsageError(
                        f"{array.name} carries no {loop.dim} along its {axis}",
                        expected=f"one of {', '.join(allowed)}",
                    )
                if loop.dim in REDUCED and not array.accumulates:
                    raise UsageError(
                        f"{array.name} does not add partial sums of several elements",
                        got=f"{loop.dim} along its {axis}",
                        expected="a dimension of the outputs",
                    )
