"""The action behind ``sevenfold chips``: the catalogue of chips, every number with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sevenfold.errors import SevenfoldError

if TYPE_CHECKING:
    from sevenfold.hardware import Chip as Chip
    from sevenfold.hardware.spatial.architecture import SpatialChip as SpatialChip

SCHEMA_VERSION = "1.1"


@dataclass(frozen=True)
class ChipList:
    """The chips, sorted by name, a calibrated ``this-machine`` last; and those that are known memory by memory."""

    chips: tuple[Chip, ...]
    spatial_chips: tuple[SpatialChip, ...]
    damaged: str | None = None  # what is wrong with the stored calibration, if anything

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "schema_version": SCHEMA_VERSION,
            "chips": [_summary(chip) for chip in self.chips],
            "spatial_chips": [_spatial_summary(chip) for chip in self.spatial_chips],
            "warnings": [] if self.damaged is None else [self.damaged],
        }


@dataclass(frozen=True)
class ChipDetail:
    """One chip with everything that is known of it: as data sheets state it, memory by memory, or both."""

    chip: Chip | None
    spatial: SpatialChip | None = None

    @property
    def knees(self) -> dict[str, float]:
        """FLOP per byte above which arithmetic binds, by dtype."""
        return {} if self.chip is None else self.chip.knees

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        own = {} if self.chip is None else {**self.chip.to_dict(), "knee_flops_per_byte": self.knees}
        spatial = None if self.spatial is None else self.spatial.to_dict()
        return {"schema_version": SCHEMA_VERSION, **own, "spatial": spatial}


def chips() -> ChipList:
    """All chips that are known, and this machine where it is calibrated.

    >>> [chip.name for chip in chips().chips][:2]
    ['a100', 'b200']
    """
    from sevenfold.errors import UsageError
    from sevenfold.hardware import CHIPS, THIS_MACHINE
    from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS

    known = [CHIPS[name] for name in CHIPS.names()]
    spatial = tuple(SPATIAL_CHIPS[name] for name in SPATIAL_CHIPS.names())
    try:
        return ChipList((*known, CHIPS[THIS_MACHINE]), spatial)
    except UsageError:  # not calibrated
        return ChipList(tuple(known), spatial)
    except SevenfoldError as damage:
        return ChipList(tuple(known), spatial, str(damage))


def show_chip(name: str) -> ChipDetail:
    """One chip, or a JSON file of a spatial one; raises UnknownNameError with the nearest name.

    >>> show_chip("h100").knees["bfloat16"]  # doctest: +ELLIPSIS
    295.2...
    """
    from sevenfold.actions._spatial import find_spatial
    from sevenfold.errors import unknown_name
    from sevenfold.hardware import CHIPS, THIS_MACHINE
    from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS

    spatial = find_spatial(name)
    if name not in (*CHIPS.names(), THIS_MACHINE):
        if spatial is None:
            raise unknown_name("chip", name, {*CHIPS.names(), *SPATIAL_CHIPS.names(), THIS_MACHINE})
        return ChipDetail(None, spatial)
    return ChipDetail(CHIPS[name], spatial)


def _spatial_summary(chip: SpatialChip) -> dict[str, Any]:
    return {
        "name": chip.name,
        "title": chip.title,
        "processing_elements": chip.num_pes,
        "word_bits": chip.word_bits,
        "clock_hz": chip.clock_hz,
        "peak_macs_per_s": chip.peak_macs_per_s,
        "dram_bytes_per_s": dram_bytes_per_s(chip),
        "energy_unit": chip.energy_unit,
        "energy_source": chip.energy_source,
    }


def dram_bytes_per_s(chip: SpatialChip) -> float | None:
    """What the port of the outermost memory moves; None where it is not limited."""
    dram = chip.memories[0]
    words = dram.words_per_cycle or dram.read_words_per_cycle
    return None if words is None else words * chip.clock_hz * chip.word_bits / 8


def _summary(chip: Chip) -> dict[str, Any]:
    def value(figure: Any) -> float | None:
        return None if figure is None else float(figure.value)

    return {
        "name": chip.name,
        "title": chip.title,
        "maker": chip.maker,
        "kind": chip.kind,
        "peak_flops_per_s": {dtype: figure.value for dtype, figure in chip.peak_flops_per_s.items()},
        "achievable_flops_per_s": {d: figure.value for d, figure in chip.achievable_flops_per_s.items()},
        "memory_bytes": value(chip.memory[0].capacity_bytes),
        "bandwidth_bytes_per_s": value(chip.memory[0].bandwidth_bytes_per_s),
        "tdp_w": value(chip.tdp_w),
        "price_usd_per_hour": value(chip.price_usd_per_hour),
        "knee_flops_per_byte": chip.knees,
    }
