"""Pictures of a model's cost: a roofline of every chip; of a spatial chip, energy by level and its array at
work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sevenfold.actions._spatial import MappedLayer, MappedModel
    from sevenfold.hardware import Chip
    from sevenfold.hardware.roofline import Cost
    from sevenfold.hardware.spatial.pictures import Dot


def draw_chip_roofline(cost: Cost, chip: Chip, dtype: str, folder: Path) -> Path:
    """Layers under the roof of a catalogue's chip, at the least times that it allows."""
    from sevenfold.hardware.spatial.pictures import draw_roofline

    title = f"{chip.title}, {dtype}: the least times"
    path = folder / f"roofline-{chip.name}.png"
    return draw_roofline(_dots(cost), chip.peak(dtype).value, chip.bandwidth.value, title, path)


def draw_spatial(cost: Cost, mapped: MappedModel, folder: Path) -> list[Path]:
    """Roofline, energy by level, and the array on the convolution that takes longest (a GIF)."""
    from sevenfold.hardware.spatial.array_pictures import draw_array
    from sevenfold.hardware.spatial.pictures import draw_energy, draw_roofline

    chip, title = mapped.chip, f"{mapped.graph.name} on {mapped.chip.name}"
    drawn = []
    dram = chip.memories[0]
    words = dram.words_per_cycle or dram.read_words_per_cycle
    if words is not None:
        bandwidth = words * chip.clock_hz * chip.word_bits / 8
        path = folder / f"roofline-{chip.name}.png"
        drawn.append(draw_roofline(_dots(cost), 2 * chip.peak_macs_per_s, bandwidth, title, path))
    costs = [part.cost for part in mapped.layers]
    path = folder / f"energy-{chip.name}.png"
    drawn.append(draw_energy(costs, title, path, unit=chip.energy_unit))
    longest = telling_layer(mapped)
    drawn.append(draw_array(longest.mapping.on(longest.layer, chip), folder / f"array-{chip.name}.gif"))
    return drawn


def telling_layer(mapped: MappedModel) -> MappedLayer:
    """The convolution that takes longest, else the layer that does: what a picture of the array shows most of."""
    layers = [part for part in mapped.layers if part.layer.R * part.layer.S > 1] or list(mapped.layers)
    return max(layers, key=lambda part: part.cost.seconds * part.times)


def _dots(cost: Cost) -> list[Dot]:
    """Operators with arithmetic, those of one module path together."""
    from sevenfold.hardware.spatial.pictures import Dot

    sums: dict[str, list[float]] = {}
    for row in cost.rows:
        if row.flops:
            found = sums.setdefault(row.path or row.name, [0.0, 0.0, 0.0])
            found[0] += row.flops
            found[1] += row.bytes
            found[2] += row.seconds
    return [Dot(name, *values) for name, values in sums.items()]
