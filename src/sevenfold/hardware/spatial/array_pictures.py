"""The array with what every element holds, over time: as data for a page, and drawn (PNG, or a GIF of steps).

A label names only what differs between elements or is more than one: r filter row, p and q output row and column, c
channels, m filters, n image; and for convolutions h, the input row. Needs Pillow, and matplotlib for its letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

from sevenfold.hardware.spatial.architecture import Array
from sevenfold.hardware.spatial.mapping import Nest
from sevenfold.hardware.spatial.pictures import COLOURS

SHOWN = 16  # rows and columns of a larger array that are drawn
_NAMES = {
    "R": "filter row", "P": "output row", "C": "channels", "M": "filters", "Q": "output column", "N": "image",
    "S": "filter column", "G": "group",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What one element holds: a range of every dimension."""

    row: int
    column: int
    ranges: dict[str, range]


@dataclass(frozen=True)
class Frame:
    """One step: the cells that are drawn, how many elements work in all, and the step's name."""

    cells: tuple[Cell, ...]
    active: int
    step: str


def cells(
    nest: Nest, step: dict[int, int], *, rows: int | None = None, columns: int | None = None
) -> Iterator[Cell]:
    """Every active element of the (last) array at a step (indices in time by the position of their loop), or those
    of its first rows and columns."""
    spread = [loop for loop in nest.loops if loop.node == _place(nest)]

    def inner(number: int, row: int, column: int, held: dict[str, range]) -> Iterator[Cell]:
        if number == len(spread):
            yield Cell(row, column, held)
            return
        loop, later = spread[number], spread[number + 1 :]
        below = prod(other.count for other in later if other.axis == "rows")
        beside = prod(other.count for other in later if other.axis == "columns")
        for index in range(loop.count):
            part = held[loop.dim][index * loop.tile : (index + 1) * loop.tile]
            down = row * loop.count + index if loop.axis == "rows" else row
            across = column * loop.count + index if loop.axis == "columns" else column
            outside = (rows is not None and down * below >= rows) or (
                columns is not None and across * beside >= columns
            )
            if part and not outside:
                yield from inner(number + 1, down, across, {**held, loop.dim: part})

    yield from inner(0, 0, 0, _held(nest, step))


def num_active(nest: Nest, step: dict[int, int]) -> int:
    """Elements that work at a step: dimensions are cut apart from each other, so their parts multiply."""
    held = _held(nest, step)
    found = 1
    for dim in held:
        parts = [held[dim]]
        for loop in nest.loops:
            if loop.node == _place(nest) and loop.dim == dim:
                parts = [part[n : n + loop.tile] for part in parts for n in range(0, len(part), loop.tile)]
        found *= len(parts)
    return found


def _place(nest: Nest) -> int:
    return max(n for n, level in enumerate(nest.chip.levels) if isinstance(level, Array))


def _held(nest: Nest, step: dict[int, int]) -> dict[str, range]:
    """What the loops in time above the array leave of every dimension."""
    ranges = {dim: range(bound) for dim, bound in nest.layer.bounds.items()}
    for position, loop in enumerate(nest.loops):
        if loop.node < _place(nest):
            index = step.get(position, 0)
            ranges[loop.dim] = ranges[loop.dim][index * loop.tile : (index + 1) * loop.tile]
    return ranges


def steps(nest: Nest) -> Iterator[dict[int, int]]:
    """Steps in time of the loops above the array, by position; the innermost advances first."""
    loops = [(n, loop) for n, loop in enumerate(nest.loops) if loop.node < _place(nest) and loop.axis == "time"]

    def inner(number: int, ranges: dict[str, int], chosen: dict[int, int]) -> Iterator[dict[int, int]]:
        if number == len(loops):
            yield chosen
            return
        position, loop = loops[number]
        left = ranges[loop.dim]
        for index in range(-(-left // loop.tile)):
            size = min(loop.tile, left - index * loop.tile)
            yield from inner(number + 1, {**ranges, loop.dim: size}, {**chosen, position: index})

    yield from inner(0, nest.layer.bounds, {})


def frames(nest: Nest, number: int) -> list[Frame]:
    """The first steps, then the first ones of later runs of the innermost loop."""
    array = nest.chip.arrays[-1]
    above = [loop for loop in nest.loops if loop.node < _place(nest) and loop.axis == "time"]
    run = above[-1].count if above else 1
    first = -(-number // 2)
    chosen = list(islice(steps(nest), first))
    chosen += list(islice(steps(nest), run, run * (number - first) + 1, run))[: number - first]
    unique = {tuple(step.items()): step for step in chosen}
    return [
        Frame(
            tuple(cells(nest, step, rows=min(array.rows, SHOWN), columns=min(array.columns, SHOWN))),
            num_active(nest, step),
            step_name(nest, step),
        )
        for step in unique.values()
    ]


def step_name(nest: Nest, step: dict[int, int]) -> str:
    """``filters 1 of 6, channels 3 of 86``: where the loops in time above the array are."""
    parts = [
        f"{_NAMES[nest.loops[position].dim]} {index + 1}/{nest.loops[position].count}"
        for position, index in step.items()
        if nest.loops[position].count > 1
    ]
    return ", ".join(parts) or "the only step"


def coloured_dim(nest: Nest) -> str:
    """The dimension that colours tell: the first of filter row, channels, ... that is spread over the array."""
    spread = {loop.dim for loop in nest.loops if loop.node == _place(nest) and loop.count > 1}
    return next((dim for dim in ("R", "C", "M", "P", "Q", "N", "G", "S") if dim in spread), "M")


def colour_index(cell: Cell, dim: str) -> int:
    """Which colour a cell takes: its part of the dimension."""
    part = cell.ranges[dim]
    return part[0] // max(1, len(part))


def label_lines(cell: Cell, nest: Nest) -> list[str]:
    """What an element holds, without what is one of one for all."""
    layer, lines = nest.layer, []
    for dim in ("R", "P", "C", "M", "Q", "N"):
        if layer.bounds[dim] > 1:
            lines.append(f"{dim.lower()} {_span(cell.ranges[dim])}")
    if layer.R > 1:
        rows = cell.ranges["P"][0] * layer.stride_h + cell.ranges["R"][0] * layer.dilation_h
        lines[1:1] = [f"h {rows}"]
    return lines[:5] or ["1"]


def legend(nest: Nest) -> str:
    """What the letters and colours say, in one sentence."""
    layer = nest.layer
    names = [f"{dim.lower()} {_NAMES[dim]}" for dim in ("R", "P", "C", "M", "Q", "N") if layer.bounds[dim] > 1]
    if layer.R > 1:
        names.insert(1, "h input row")
    return f"{', '.join(names[:5])}; colours tell the {_NAMES[coloured_dim(nest)]}"


def draw_array(nest: Nest, path: Path, *, number: int = 16) -> Path:
    """The array with what every element holds; a GIF shows successive steps, a PNG the first one."""
    chosen = frames(nest, number if path.suffix == ".gif" else 1)
    pictures = [_drawn(nest, frame) for frame in chosen]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        small = [picture.quantize(64) for picture in pictures]
        small[0].save(path, save_all=True, append_images=small[1:], duration=500, loop=0)
    else:
        pictures[0].save(path)
    return path


_CELL, _LEFT, _TOP, _BOTTOM = 80, 40, 74, 40  # pixels


def _drawn(nest: Nest, frame: Frame) -> Any:
    """Drawn by Pillow: a thousand labels by matplotlib take a minute a picture."""
    from PIL import Image, ImageDraw

    array, dim = nest.chip.arrays[-1], coloured_dim(nest)
    rows, columns = min(array.rows, SHOWN), min(array.columns, SHOWN)
    part = "" if (rows, columns) == (array.rows, array.columns) else f" (the first {rows} x {columns} are drawn)"
    working = f"{frame.active:,} of {array.rows * array.columns:,} elements work{part}"
    texts = (
        f"{nest.layer.name} on {nest.chip.name}: {working}",
        frame.step,
        legend(nest),
    )
    title, plain, small = _font(19), _font(16), _font(13)
    width = max(_LEFT + columns * _CELL + 10, *(20 + int(title.getlength(text)) for text in texts))
    picture = Image.new("RGB", (width, _TOP + rows * _CELL + _BOTTOM), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((10, 8), texts[0], fill="#111111", font=title)
    draw.text((10, 34), texts[1], fill="#444444", font=plain)
    draw.text((10, _TOP + rows * _CELL + 12), texts[2], fill="#444444", font=plain)
    for row in range(rows):
        draw.text((_LEFT - 10, _TOP + (row + 0.5) * _CELL), str(row), fill="#777777", font=small, anchor="rm")
        for column in range(columns):
            draw.rectangle(_box(row, column), fill="#eeeeee")
    for column in range(columns):
        draw.text((_LEFT + (column + 0.5) * _CELL, _TOP - 6), str(column), fill="#777777", font=small, anchor="mb")
    for cell in frame.cells:
        box = _box(cell.row, cell.column)
        draw.rectangle(box, fill=_tint(COLOURS[colour_index(cell, dim) % len(COLOURS)]))
        lines = label_lines(cell, nest)
        font = _fitting(tuple(lines))
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        draw.multiline_text(
            centre, "\n".join(lines), fill="#111111", font=font, anchor="mm", align="center", spacing=1
        )
    return picture


def _box(row: int, column: int) -> tuple[int, int, int, int]:
    left, top = _LEFT + column * _CELL, _TOP + row * _CELL
    return left + 1, top + 1, left + _CELL - 2, top + _CELL - 2


def _tint(colour: str) -> tuple[int, int, int]:
    """The colour at 45% on white, on which black letters are read."""
    red, green, blue = (round(255 - 0.45 * (255 - int(colour[n : n + 2], 16))) for n in (1, 3, 5))
    return red, green, blue


@cache
def _fitting(lines: tuple[str, ...]) -> Any:
    """The largest font in which the lines fit a cell."""
    for size in (17, 15, 14, 13, 12, 11, 10, 9):
        font = _font(size)
        if max(font.getlength(line) for line in lines) <= _CELL - 8 and len(lines) * (size + 2) <= _CELL - 6:
            return font
    return _font(8)


@cache
def _font(size: int) -> Any:
    """The letters that matplotlib brings."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _span(part: range) -> str:
    return str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}"
