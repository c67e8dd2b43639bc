"""Words that memories read and write, ours beside ZigZag's, of one and the same mapping on its tpu_like.

Of every distinct convolution of ResNet-18, VGG-16 and AlexNet (batch 4, one group) the mapping is our best by our
own rules on the chip that ZigZag's file describes, with its spread; ZigZag 3.9.1 counts the elements that it moves
for the same loops. A row an operand, memory and direction: in how many layers both counts are equal, the extremes
of ours over ZigZag's, and in how many of the others the stated reason accounts for all of the difference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.bench_zigzag import distinct, networks, peer
from benchmarks.zigzag_rules import loops_of
from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.cost import evaluate
from sevenfold.hardware.spatial.layer import Layer
from sevenfold.hardware.spatial.mapper.lattice import cheapest_chain
from sevenfold.hardware.spatial.mapper.levels import to_nest
from sevenfold.hardware.spatial.mapper.tables import tables

DIMS = {"N": "B", "M": "K", "C": "C", "P": "OY", "Q": "OX", "R": "FY", "S": "FX"}
# (operand, memory, read or write) -> our count, and the directions that it is in ZigZag's
WHERE = {
    ("W", "rf_128B", "write"): ("W", 0, ("writes_from_outside",)),
    ("W", "dram", "read"): ("W", 1, ("reads_inwards",)),
    ("I", "sram_2MB", "write"): ("I", 0, ("writes_from_outside",)),
    ("I", "sram_2MB", "read"): ("I", 0, ("reads_inwards",)),
    ("I", "dram", "read"): ("I", 1, ("reads_inwards",)),
    ("O", "rf_2B", "write"): ("O", 0, ("writes_from_inside", "writes_from_outside")),
    ("O", "rf_2B", "read"): ("O", 0, ("reads_inwards", "reads_outwards")),
    ("O", "sram_2MB", "write"): ("O", 1, ("writes_from_inside", "writes_from_outside")),
    ("O", "sram_2MB", "read"): ("O", 1, ("reads_inwards", "reads_outwards")),
    ("O", "dram", "write"): ("O", 2, ("writes_from_inside",)),
    ("O", "dram", "read"): ("O", 2, ("reads_inwards",)),
}


SLIDES = "windows slide: what a tile shares with the one before is not loaded again"
BEGUN = "each of the elements along C begins its own sum without reading; ZigZag has one of them begin"


def run(quick: bool) -> list[dict[str, object]]:
    """All counts of all layers; the quick version takes two layers a network."""
    job = {"hardware": "tpu_like.yaml", "mapping": "tpu_like.yaml", "lpf_limit": 6, "spatial": 1}
    layers = [
        replace(case.layer, G=1) for some in networks().values() for case in distinct(some)[: 2 if quick else None]
    ]
    with peer(job) as (described, ask):
        found = [(layer, counted(layer, described, ask)) for layer in layers]
    rows = described["sides"]["D2"]
    return [_row(key, [(layer, counts[key]) for layer, counts in found], rows) for key in WHERE]


def _row(key: tuple[str, str, str], found: list[tuple[Layer, tuple[int, int]]], rows: int) -> dict[str, object]:
    operand, memory, kind = key
    others = [(layer, ours, theirs) for layer, (ours, theirs) in found if ours != theirs]
    ratios = [ours / theirs for _, (ours, theirs) in found if theirs]
    explained = 0
    for layer, ours, theirs in others:
        if operand == "I":
            explained += ours < theirs and layer.R * layer.S > 1
        else:
            along = -(-layer.C // -(-layer.C // min(rows, layer.C)))
            explained += abs(theirs - ours - layer.words("O") * (layer.C / -(-layer.C // along) - 1)) <= 1
    return {
        "operand": operand,
        "memory": memory,
        "direction": kind,
        "layers": len(found),
        "equal": len(found) - len(others),
        "least_ratio": round(min(ratios, default=1.0), 4),
        "largest_ratio": round(max(ratios, default=1.0), 4),
        "explained": f"{explained} of {len(others)}",
        "reason": "" if not others else SLIDES if operand == "I" else BEGUN,
    }


def tpu_like(described: dict[str, Any]) -> SpatialChip:
    """ZigZag's architecture as a chip; energies are not compared here, so a word's is its port's share."""
    memories = {level["name"]: level for levels in described["memories"].values() for level in levels}

    def memory(name: str, role: str, holds: str, bits: int) -> Memory:
        level = memories[name]
        return Memory(
            name=name,
            role=role,  # type: ignore[arg-type]
            capacity_words=None if role == "dram" else level["bits"] // bits,
            holds=tuple(holds),  # type: ignore[arg-type]
            read_energy=level["read"] * bits / level["widths"]["reads_inwards"][1],
            write_energy=level["write"] * bits / level["widths"]["reads_inwards"][1],
        )

    return SpatialChip(
        name="tpu_like",
        clock_hz=1e6,
        levels=[
            memory("dram", "dram", "WIO", 8),
            memory("sram_2MB", "buffer", "IO", 16),
            Array(
                name="array",
                rows=described["sides"]["D2"],
                columns=described["sides"]["D1"],
                row_dims=("C",),
                column_dims=("M",),
            ),
            memory("rf_128B", "register", "W", 8),
            memory("rf_2B", "register", "O", 16),
        ],
    )


def counted(layer: Layer, described: dict[str, Any], ask: Any) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Every count of one layer: ours, ZigZag's."""
    chip = tpu_like(described)
    array = chip.arrays[0]
    way = ((("C", min(array.rows, layer.C)),), (("M", min(array.columns, layer.M)),))
    table = tables(layer, chip, (way,), restricted=True)
    chain = cheapest_chain(table.lattice, table.upper, table.capacities)
    assert chain is not None
    cost = evaluate(to_nest(layer, chip, table.lattice, chain, (way,), "Q").on(layer, chip))
    cut = loops_of(table.lattice, chain, chain.points)
    temporal = {operand: [[(DIMS[dim], size) for dim, size in level] for level in cut[operand]] for operand in cut}
    loops = {theirs: getattr(layer, ours) for ours, theirs in DIMS.items()}
    answer = ask({"name": layer.name, "stride": layer.stride_h, "loops": loops, "temporal": temporal})
    found = {}
    for (operand, memory, kind), (_, level, directions) in WHERE.items():
        mine = cost.level(memory).reads if kind == "read" else cost.level(memory).writes
        theirs = sum(answer["elements"][operand][level][direction] for direction in directions)
        found[operand, memory, kind] = (mine[operand], int(theirs))
    return found
