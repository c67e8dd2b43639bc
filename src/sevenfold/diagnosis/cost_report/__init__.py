"""The report of a model's cost on chips: one HTML file with its tables, rooflines, energies, and arrays at work.

It shows what it is given and computes nothing; it must not know torch, nor how a cost came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ChipPage", "CostPage", "Film", "LayerLine", "write_cost_report"]


@dataclass(frozen=True)
class LayerLine:
    """One module path on one chip; levels are empty where the chip is not modelled memory by memory."""

    name: str
    what: str  # bounds and mapping of a layer, or the kind of an operator
    flops: float
    bytes: float
    seconds: float
    joules: float | None
    utilization: float
    bound_by: str
    energy_by_level: Mapping[str, float]
    words_by_level: Mapping[str, float]
    gated: float | None  # share of multiply-accumulates that read a zero, where it was measured


@dataclass(frozen=True)
class Film:
    """The array on one layer, step by step; a cell is (row, column, colour, label)."""

    layer: str
    rows: int
    columns: int
    elements: str  # "the first 16 x 16 of 65,536 elements"
    legend: str
    frames: tuple[tuple[str, tuple[tuple[int, int, int, str], ...]], ...]  # (caption, cells)


@dataclass(frozen=True)
class ChipPage:
    """One chip's section."""

    key: str  # unique in the page, letters and digits
    title: str
    facts: tuple[tuple[str, str], ...]
    peak_flops_per_s: float
    bandwidth_bytes_per_s: float | None  # of the outermost memory; None where it has no limit
    energy_unit: str  # "J" or "MAC"
    layers: tuple[LayerLine, ...]
    films: tuple[Film, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CostPage:
    """The whole report."""

    model: str
    what: str  # "a forward pass on float32[4, 3, 224, 224]"
    metrics: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # one a chip, as the terminal shows it
    chips: tuple[ChipPage, ...]
    notes: tuple[str, ...]
    data: Mapping[str, Any]  # the object that --json prints


def write_cost_report(report: CostPage, path: Path) -> Path:
    """Write the self-contained page, whole or not at all; returns the path. Raises StorageError (one line)."""
    from sevenfold.diagnosis.cost_report.page import page
    from sevenfold.diagnosis.report.writing import write_whole

    return write_whole(Path(path), page(report))
