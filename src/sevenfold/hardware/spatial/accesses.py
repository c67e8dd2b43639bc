"""Exact reads, writes and transfers of a mapping: every word that crosses every memory's border, rests included.

A memory holds one tile of each of its operands. When a loop above it advances, in lock-step with the first
processing element (see ``tiles``): if nothing changed for that one, nothing moves; if the input window slid along
one direction only, every active element loads the words that are new to it; otherwise every active element loads
its whole tile. Words that several elements need at one time are read once above a multicasting array. Partial sums
travel likewise: out when their tile is left, added on their way, and in again when it returns; begun sums are not
read.

A multiplier keeps nothing: it reads a weight and an input and updates a sum at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from math import prod

from sevenfold.hardware.spatial.architecture import Array, Memory
from sevenfold.hardware.spatial.layer import DIMS, OPERANDS, RELEVANT, Operand, mask
from sevenfold.hardware.spatial.mapping import Nest
from sevenfold.hardware.spatial.tiles import ALL_STATES, START, Cut, cases, num_elements, states

MULTIPLIER = 1 << 20  # as a child's place: below every level


@dataclass(frozen=True)
class Traffic:
    """Words of one operand across one border: ``needed`` in all elements below, ``sent`` from the memory above."""

    operand: Operand
    parent: int
    child: int  # MULTIPLIER for the multipliers
    needed: int
    sent: int
    returned: int  # partial sums that come back in; 0 for the other operands
    first_needed: int  # of the first element below
    first_sent: int  # of the first memory above
    first_returned: int


@dataclass(frozen=True)
class _Parts:
    """Sums over an axis' steps: unchanged, changed, and only the words that are new; in all elements, and
    shared."""

    same: int = 0
    changed: int = 0
    new: int = 0
    shared_same: int = 0
    shared_changed: int = 0
    shared_new: int = 0


def traffic(nest: Nest) -> tuple[Traffic, ...]:
    """Every border of every operand, outermost first."""
    found = []
    for operand in OPERANDS:
        chain = [*nest.chip.chain(operand), MULTIPLIER]
        found += [_border(nest, operand, parent, child) for parent, child in pairwise(chain)]
    return tuple(found)


def _border(nest: Nest, operand: Operand, parent: int, child: int) -> Traffic:
    needed, sent = _words(nest, operand, parent, child, first="none")
    first_needed, _ = _words(nest, operand, parent, child, first="child")
    _, first_sent = _words(nest, operand, parent, child, first="parent")
    returned = first_returned = 0
    if operand == "O":
        memory = nest.chip.levels[parent]
        assert isinstance(memory, Memory)
        begun = 0 if memory.reads_first_sums else _begun(nest, parent, first=False)
        first_begun = 0 if memory.reads_first_sums else _begun(nest, parent, first=True)
        returned, first_returned = sent - begun, first_sent - first_begun
    return Traffic(operand, parent, child, needed, sent, returned, first_needed, first_sent, first_returned)


def _roles(nest: Nest, operand: Operand, parent: int, child: int, first: str) -> dict[str, tuple[Cut, ...]]:
    """The cuts of every dimension above a border."""
    cuts: dict[str, list[Cut]] = {dim: [] for dim in DIMS}
    for position, loop in enumerate(nest.loops):
        if loop.at(operand) >= child:
            continue
        role = "T"
        if loop.axis != "time":
            array = nest.chip.levels[loop.node]
            assert isinstance(array, Array)
            shares = operand == "O" or operand in array.multicast
            role = "A" if loop.node < parent or not shares else "S"
            if first == "child" or (first == "parent" and loop.node < parent):
                role = "F"
        cuts[loop.dim].append((position, role, loop.tile))
    return {dim: tuple(found) for dim, found in cuts.items()}


def _words(nest: Nest, operand: Operand, parent: int, child: int, *, first: str) -> tuple[int, int]:
    cuts = _roles(nest, operand, parent, child, first)
    if child == MULTIPLIER:
        axes = list(_axes(nest, operand, cuts, ALL_STATES))
        return prod(axis.changed for axis in axes), prod(axis.shared_changed for axis in axes)
    needed = sent = 0
    for k in (START, *(n for n, loop in enumerate(nest.loops) if loop.at(operand) < child and loop.axis == "time")):
        axes = list(_axes(nest, operand, cuts, k))
        slides = [4, 5] if operand == "I" else []
        needed += _moved([(axis.same, axis.changed, axis.new) for axis in axes], slides)
        sent += _moved([(axis.shared_same, axis.shared_changed, axis.shared_new) for axis in axes], slides)
    return needed, sent


def _moved(axes: list[tuple[int, int, int]], slides: list[int]) -> int:
    """Words of all steps in which an axis changed; where only a sliding one did, its new words alone."""
    total = prod(same + changed for same, changed, _ in axes) - prod(same for same, _, _ in axes)
    for number in slides:
        _, changed, new = axes[number]
        if changed != new:
            others = prod(same for other, (same, _, _) in enumerate(axes) if other != number)
            total -= (changed - new) * others
    return total


def _axes(nest: Nest, operand: Operand, cuts: dict[str, tuple[Cut, ...]], k: int) -> Iterator[_Parts]:
    """The operand's axes; those of inputs are G, N, C, M, rows (P with R) and columns (Q with S)."""
    layer = nest.layer
    relevant = RELEVANT[operand]
    for dim in "GNCM" if operand == "I" else DIMS:
        yield _single(getattr(layer, dim), cuts[dim], k, dim in relevant)
    if operand == "I":
        yield _window(layer.P, cuts["P"], layer.R, cuts["R"], k, layer.stride_h, layer.dilation_h)
        yield _window(layer.Q, cuts["Q"], layer.S, cuts["S"], k, layer.stride_w, layer.dilation_w)


@lru_cache(maxsize=200_000)
def _single(bound: int, cuts: tuple[Cut, ...], k: int, relevant: bool) -> _Parts:
    """One dimension by itself: tiles of different indices share no word."""
    if k == ALL_STATES:
        words = shared = 0
        for times, found in states(bound, cuts):
            size = sum(size for _, (_, size) in found)
            words += times * (size if relevant else len(found))
            shared += times * (size if relevant else len({group for group, _ in found}))
        return _Parts(changed=words, shared_changed=shared)
    same = changed = shared_same = 0
    for case in cases(bound, cuts, k):
        if not relevant:
            same += case.times * len(case.elements)
            shared_same += case.times * len({group for group, _, _ in case.elements})
        elif case.changed:
            changed += case.times * sum(size for _, _, (_, size) in case.elements)
        else:
            same += case.times * sum(size for _, _, (_, size) in case.elements)
    if not relevant:
        return _Parts(same=same, shared_same=shared_same)
    return _Parts(same, changed, changed, same, changed, changed)


@lru_cache(maxsize=200_000)
def _window(
    positions: int, cuts_p: tuple[Cut, ...], taps: int, cuts_r: tuple[Cut, ...], k: int, stride: int, dilation: int
) -> _Parts:
    """Output positions with filter taps: the input positions that they touch, which overlap."""
    parts = [0] * 6
    if k == ALL_STATES:
        for (times, some), (more, others) in product(states(positions, cuts_p), states(taps, cuts_r)):
            union: dict[tuple[int, ...], int] = {}
            words = 0
            for (group, p), (other, r) in product(some, others):
                touched = _mask(p, r, stride, dilation)
                words += touched.bit_count()
                union[group + other] = union.get(group + other, 0) | touched
            parts[1] += times * more * words
            parts[4] += times * more * sum(touched.bit_count() for touched in union.values())
        return _Parts(*parts)
    for one, two in product(cases(positions, cuts_p, k), cases(taps, cuts_r, k)):
        times = one.times * two.times
        words = news = 0
        changed: bool | None = None
        all_words: dict[tuple[int, ...], int] = {}
        all_news: dict[tuple[int, ...], int] = {}
        for (group, p_held, p), (also, r_held, r) in product(one.elements, two.elements):
            held = 0 if k == START else _mask(p_held, r_held, stride, dilation)
            needed = _mask(p, r, stride, dilation)
            new = needed & ~held
            changed = held != needed if changed is None else changed
            words += needed.bit_count()
            news += new.bit_count()
            all_words[group + also] = all_words.get(group + also, 0) | needed
            all_news[group + also] = all_news.get(group + also, 0) | new
        shared = sum(bits.bit_count() for bits in all_words.values())
        if changed:
            parts[1] += times * words
            parts[2] += times * news
            parts[4] += times * shared
            parts[5] += times * sum(bits.bit_count() for bits in all_news.values())
        else:
            parts[0] += times * words
            parts[3] += times * shared
    return _Parts(*parts)


def _mask(p: tuple[int, int], r: tuple[int, int], stride: int, dilation: int) -> int:
    return mask(p[1], r[1], stride, dilation) << (p[0] * stride + r[0] * dilation)


def _begun(nest: Nest, parent: int, *, first: bool) -> int:
    """Output words of every instance of a memory that are seen there for the first time."""
    words = 1
    for dim, bound in nest.layer.bounds.items():
        own = [(loop.tile, loop.axis == "time") for loop in nest.loops if loop.dim == dim and loop.at("O") < parent]
        if dim in RELEVANT["O"]:
            words *= _seen_by_first(nest, dim, parent) if first else bound
        elif not first:
            words *= num_elements(bound, tuple(own))
    return words


def _seen_by_first(nest: Nest, dim: str, parent: int) -> int:
    cuts = tuple(
        (position, "T" if loop.axis == "time" else "F", loop.tile)
        for position, loop in enumerate(nest.loops)
        if loop.dim == dim and loop.at("O") < parent
    )
    return _single(getattr(nest.layer, dim), cuts, ALL_STATES, True).changed
