"""A loop nest walked step by step with explicit sets of words: slow, and independent of the closed sums."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

from sevenfold.hardware.spatial.accesses import MULTIPLIER
from sevenfold.hardware.spatial.architecture import Array
from sevenfold.hardware.spatial.layer import OPERANDS
from sevenfold.hardware.spatial.mapping import Nest


def _ranges(nest: Nest, indices: list[int], operand: str, below: int) -> dict[str, range] | None:
    """Every dimension's range inside the loops above a place, None where one is empty."""
    ranges = {dim: range(bound) for dim, bound in nest.layer.bounds.items()}
    for loop, index in zip(nest.loops, indices, strict=True):
        if loop.at(operand) < below:  # type: ignore[arg-type]
            ranges[loop.dim] = ranges[loop.dim][index * loop.tile : (index + 1) * loop.tile]
            if not ranges[loop.dim]:
                return None
    return ranges


def _axes(nest: Nest, operand: str, ranges: dict[str, range]) -> tuple[frozenset[int], ...]:
    layer = nest.layer
    if operand == "I":
        rows = frozenset(p * layer.stride_h + r * layer.dilation_h for p in ranges["P"] for r in ranges["R"])
        columns = frozenset(q * layer.stride_w + s * layer.dilation_w for q in ranges["Q"] for s in ranges["S"])
        return (*(frozenset(ranges[dim]) for dim in "GNC"), rows, columns)
    return tuple(frozenset(ranges[dim]) for dim in ("GMCRS" if operand == "W" else "GNMPQ"))


def _steps(nest: Nest) -> list[list[int]]:
    """Indices of every loop at every step of the first element, space at 0."""
    found: list[list[int]] = []

    def descend(position: int, indices: list[int], ranges: dict[str, range]) -> None:
        if position == len(nest.loops):
            found.append(indices)
            return
        loop = nest.loops[position]
        whole = ranges[loop.dim]
        last = 1 if loop.axis != "time" else -(-len(whole) // loop.tile)
        for index in range(last):
            part = whole[index * loop.tile : (index + 1) * loop.tile]
            descend(position + 1, [*indices, index], {**ranges, loop.dim: part})

    descend(0, [], {dim: range(bound) for dim, bound in nest.layer.bounds.items()})
    return found


def walk(nest: Nest) -> dict[tuple[str, int, int], dict[str, int]]:
    """Counts of every border, as ``traffic`` names them."""
    steps = _steps(nest)
    found = {}
    for operand in OPERANDS:
        chain = [*nest.chip.chain(operand), MULTIPLIER]
        for parent, child in pairwise(chain):
            found[operand, parent, child] = _border(nest, steps, operand, parent, child)
    assert len(steps) == nest.num_steps
    return found


def _border(nest: Nest, steps: list[list[int]], operand: str, parent: int, child: int) -> dict[str, int]:
    counts = dict.fromkeys(("needed", "sent", "returned", "first_needed", "first_sent", "first_returned"), 0)
    spaces = [n for n, loop in enumerate(nest.loops) if loop.axis != "time" and loop.node < child]
    elements = list(product(*(range(nest.loops[n].count) for n in spaces)))
    first = elements[0]
    held: dict[Any, tuple[frozenset[int], ...]] = {}
    seen: dict[Any, set[Any]] = {}
    reads_first = operand == "O" and nest.chip.levels[parent].reads_first_sums  # type: ignore[union-attr]
    for step in steps:
        if any(step[n] for n, loop in enumerate(nest.loops) if loop.at(operand) >= child):  # type: ignore[arg-type]
            continue
        tiles = {}
        for element in elements:
            indices = list(step)
            for n, index in zip(spaces, element, strict=True):
                indices[n] = index
            ranges = _ranges(nest, indices, operand, child)
            if ranges is not None:
                tiles[element] = _axes(nest, operand, ranges)
        before = held.get(first)
        changed = [n for n in range(5) if before is None or before[n] != tiles[first][n]]
        if child == MULTIPLIER:
            changed = [0, 1, 2, 3, 4]
        if not changed:
            continue
        slides = operand == "I" and child != MULTIPLIER and changed in ([3], [4])
        unions: dict[Any, set[Any]] = {}
        for element, axes in tiles.items():
            words = set(product(*axes))
            if slides:
                words -= set(product(*held[element]))
            counts["needed"] += len(words)
            if element == first:
                counts["first_needed"] += len(words)
            group = tuple(
                index
                for n, index in zip(spaces, element, strict=True)
                if nest.loops[n].node < parent or not _shares(nest, n, operand)
            )
            above = tuple(index for n, index in zip(spaces, element, strict=True) if nest.loops[n].node < parent)
            unions.setdefault((above, group), set()).update(words)
            held[element] = axes
        for (above, _), words in unions.items():
            counts["sent"] += len(words)
            again = len(words) if reads_first else len(words & seen.setdefault(above, set()))
            if operand == "O":
                counts["returned"] += again
                seen.setdefault(above, set()).update(words)
            if not any(above):
                counts["first_sent"] += len(words)
                counts["first_returned"] += again if operand == "O" else 0
    return counts


def _shares(nest: Nest, number: int, operand: str) -> bool:
    array = nest.chip.levels[nest.loops[number].node]
    assert isinstance(array, Array)
    return operand == "O" or operand in array.multicast
