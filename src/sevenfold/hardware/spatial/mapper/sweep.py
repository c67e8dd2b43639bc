"""A sweep over designs: array shapes and buffer sizes within an area, each with its best mappings, and which are
Pareto.

Area is counted in words of buffer: a word of registers costs ``register_area`` of them (1.6: see ``chips.isca16``),
a multiplier nothing. Designs may be costed in several processes, or on Ray where that extra is installed.

>>> from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
>>> from sevenfold.hardware.spatial.layer import Layer
>>> chips = designs(SPATIAL_CHIPS["eyeriss"], shapes=[(6, 7), (12, 14)], buffer_words=[27648, 55296])
>>> found = sweep([Layer("conv", M=32, C=16, P=14, Q=14, R=3, S=3)], chips)
>>> len(found), any(design.pareto for design in found)
(4, True)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from sevenfold.errors import UsageError
from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.layer import Layer
from sevenfold.hardware.spatial.mapper.goals import Goal
from sevenfold.hardware.spatial.mapper.networks import map_network

REGISTER_AREA = 1.6
Backend = Literal["processes", "ray"]


@dataclass(frozen=True)
class Design:
    """A chip with what the layers cost on it; ``unfit`` says why where they do not run."""

    chip: SpatialChip
    area_words: float
    energy: float
    seconds: float
    unfit: str | None = None
    pareto: bool = False  # no other has less of energy or time and more of neither, nor the same on less area


def area_words(chip: SpatialChip, register_area: float = REGISTER_AREA) -> float:
    """Words of buffer that the chip's memories take the room of.

    >>> from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
    >>> area_words(SPATIAL_CHIPS["isca16-rs"]), area_words(SPATIAL_CHIPS["isca16-nlr"])
    (170393.6, 170393.0)
    """
    area, instances = 0.0, 1
    for level in chip.levels:
        if isinstance(level, Array):
            instances *= level.rows * level.columns
        elif level.capacity_words is not None:
            area += instances * level.capacity_words * (register_area if level.role == "register" else 1.0)
    return area


def designs(
    base: SpatialChip,
    *,
    shapes: Sequence[tuple[int, int]],
    buffer_words: Sequence[int],
    budget_words: float | None = None,
) -> list[SpatialChip]:
    """Variants of a chip in its (last) array's shape and its (last) buffer's size, within an area.

    Raises UsageError where none is left.
    """
    buffers = [level for level in base.levels if isinstance(level, Memory) and level.role == "buffer"]
    if not buffers or not base.arrays:
        raise UsageError(f"{base.name} has no buffer and array to vary", hint="a chip with both")
    found = []
    for rows, columns in shapes:
        for words in buffer_words:
            chip = base.with_level(base.arrays[-1].name, rows=rows, columns=columns)
            chip = chip.with_level(buffers[-1].name, capacity_words=words)
            chip = chip.model_copy(update={"name": f"{base.name} {rows}x{columns} {words}"})
            if budget_words is None or area_words(chip) <= budget_words:
                found.append(chip)
    if not found:
        raise UsageError("no design fits the area", got=f"{budget_words} words", hint="a larger budget_words")
    return found


def sweep(
    layers: Sequence[Layer],
    chips: Sequence[SpatialChip],
    goal: Goal = "energy",
    *,
    workers: int = 1,
    backend: Backend = "processes",
) -> list[Design]:
    """Every chip with its best mappings of the layers, in the order given; energies must be in one unit.

    Raises UsageError where they are not, or where Ray is asked for and not installed.
    """
    units = {chip.energy_unit for chip in chips}
    if len(units) > 1:
        raise UsageError("designs of one sweep have one energy unit", got=", ".join(sorted(units)))
    work = partial(_cost, tuple(layers), goal)
    if backend == "ray":
        from sevenfold.hardware.spatial.mapper.on_ray import map_on_ray

        costed = map_on_ray(work, chips, workers)
    elif workers == 1:
        costed = [work(chip) for chip in chips]
    else:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            costed = list(pool.map(work, chips))
    return [replace(design, pareto=_is_pareto(design, costed)) for design in costed]


def _cost(layers: tuple[Layer, ...], goal: Goal, chip: SpatialChip) -> Design:
    try:
        network = map_network(layers, chip, goal, keep=False)
    except UsageError as error:
        return Design(chip, area_words(chip), float("inf"), float("inf"), unfit=str(error))
    return Design(chip, area_words(chip), network.energy, network.seconds)


def _is_pareto(design: Design, others: Sequence[Design]) -> bool:
    if design.unfit is not None:
        return False
    return not any(
        other.energy <= design.energy
        and other.seconds <= design.seconds
        and (
            (other.energy, other.seconds) != (design.energy, design.seconds) or other.area_words < design.area_words
        )
        for other in others
    )


def _size(chip: SpatialChip) -> str:
    """``12x14, 110.6 kB``: what differs between designs."""
    buffer = next(memory for memory in reversed(chip.memories) if memory.role == "buffer")
    size = (buffer.capacity_words or 0) * chip.word_bits / 8
    return f"{chip.arrays[-1].rows}x{chip.arrays[-1].columns}, {size / 1e3:.4g} kB"


def draw_pareto(found: Sequence[Design], title: str, path: Path) -> Path:
    """Energy against time of every design, those that no other beats joined by a line."""
    from matplotlib.ticker import EngFormatter

    from sevenfold.hardware.spatial.pictures import COLOURS, Dot, label_dots, new_axes, save_figure

    fitting = [design for design in found if design.unfit is None]
    if not fitting:
        raise UsageError("no design runs the layers", got=found[0].unfit if found else "no design")
    figure, axes = new_axes(7.5, 5.0)
    dots = axes.scatter(
        [design.seconds for design in fitting], [design.energy for design in fitting],
        c=[design.area_words for design in fitting], cmap="viridis", s=46, zorder=3,
        edgecolors=[COLOURS[5] if design.pareto else "none" for design in fitting], linewidths=1.8,
    )  # fmt: skip
    front = sorted((design for design in fitting if design.pareto), key=lambda design: design.seconds)
    line = [(design.seconds, design.energy) for design in front]
    axes.plot(*zip(*line, strict=True), color=COLOURS[5], lw=1.2, label="no design beats these")
    joules = fitting[0].chip.energy_unit == "J"
    axes.set(xlabel="time", ylabel="energy" if joules else "energies of one MAC", title=title)
    axes.xaxis.set_major_formatter(EngFormatter("s"))
    axes.yaxis.set_major_formatter(EngFormatter("J" if joules else ""))
    axes.margins(0.12)
    axes.grid(alpha=0.2)
    legend = axes.legend(frameon=False, fontsize=8)
    figure.colorbar(dots, label="area, words of buffer", format=EngFormatter(places=0))
    named = [Dot(_size(design.chip), 1.0, 1.0, 2.0 if design.pareto else 1.0) for design in fitting]
    times, energies = [design.seconds for design in fitting], [design.energy for design in fitting]
    label_dots(figure, axes, named, times, energies, [46.0] * len(fitting), [legend], line)
    return save_figure(figure, path)
