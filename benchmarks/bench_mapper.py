"""Mapper, simulator and closed forms: CPU seconds, verdicts, and published figures of peers beside them.

One process, one thread; CPU seconds of the process, imports left out, nothing recalled from disk. AlexNet is that
of the Eyeriss chip (batch 4, grouped), ResNet-50 ours at batch 1. The peers' seconds are wall times of other runs
on another day (the facts of this project: ZigZag 3.9.1 47 to 1369 s a network, AccelForge 1.0.467 287 s for CONV3
alone, SCALE-Sim 3.0.0 491 s), so they are orders of magnitude and not a race (`zigzag` is one). The deep chip has
two shared buffers, one of weights, and two registers: its mappings are uneven, found by the lattice of tiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from sevenfold.actions.count import count
from sevenfold.hardware.eyeriss.published import TABLE_III, alexnet, vgg16
from sevenfold.hardware.eyeriss.row_stationary import RowStationary
from sevenfold.hardware.eyeriss.simulator import quantized, simulate
from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
from sevenfold.hardware.spatial.energies import with_energies
from sevenfold.hardware.spatial.layer import Layer
from sevenfold.hardware.spatial.mapper.networks import NetworkMapping, map_network
from sevenfold.hardware.spatial.workload import workload_of
from sevenfold.hardware.systolic import SystolicArray, scale_sim_outputs

T = TypeVar("T")


def run(quick: bool) -> list[dict[str, object]]:
    """Every measurement; the quick version leaves VGG-16 and the simulator out."""
    resnet = [part.layer for part in workload_of(count("resnet50", backward=False).graph, ("forward",)).works]
    networks: list[tuple[str, list[Layer], SpatialChip]] = [
        ("AlexNet, batch 4", list(alexnet()), SPATIAL_CHIPS["eyeriss"]),
        ("ResNet-50", resnet, SPATIAL_CHIPS["eyeriss"]),
        ("ResNet-50", resnet, SPATIAL_CHIPS["tpu-v1"]),
        ("ResNet-50", resnet, SPATIAL_CHIPS["nvdla"]),
        ("AlexNet, batch 4", list(alexnet()), deep_chip()),
        ("ResNet-50", resnet, deep_chip()),
    ]
    if not quick:
        networks.append(("VGG-16, batch 3", list(vgg16()), SPATIAL_CHIPS["eyeriss"]))
    rows = [_mapped(name, layers, chip) for name, layers, chip in networks]
    rows.append(_scale_sim())
    if not quick:
        rows.append(_simulated())
    return rows


def deep_chip() -> SpatialChip:
    """Four memories above a 16 x 16 array and two registers below it, energies of the 45 nm table."""
    levels = [
        Memory(name="DRAM", role="dram", words_per_cycle=4),
        Memory(name="L2", role="buffer", capacity_words=512 * 1024),
        Memory(name="activations", role="buffer", capacity_words=64 * 1024, holds=("I", "O")),
        Memory(name="weights", role="buffer", capacity_words=32 * 1024, holds=("W",)),
        Array(name="array", rows=16, columns=16, row_dims=("C",), column_dims=("M",)),
        Memory(name="weight registers", role="register", capacity_words=16, holds=("W",)),
        Memory(name="sums", role="register", capacity_words=4, holds=("O",)),
    ]
    return with_energies(SpatialChip(name="deep", clock_hz=500e6, levels=levels), "45nm")


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begun = time.process_time()
    result = work()
    return result, time.process_time() - begun


def _mapped(name: str, layers: list[Layer], chip: SpatialChip) -> dict[str, object]:
    found, seconds = _timed(lambda: map_network(layers, chip, keep=False))
    assert isinstance(found, NetworkMapping)
    optimal = sum(layer.verdict == "optimal" for layer in found.layers)
    gaps = [1 - layer.bound / layer.score for layer in found.layers]
    return {
        "what": f"map {name} on {chip.name}",
        "cpu_s": round(seconds, 3),
        "layers": len(layers),
        "distinct": found.solved,
        "result": f"{found.energy * 1e3:.4g} mJ, {found.seconds * 1e3:.4g} ms",
        "verdict": f"{optimal} optimal, largest gap {max(gaps):.1%}",
    }


def _scale_sim() -> dict[str, object]:
    shapes = [
        (227, 11, 3, 96, 4),
        (27, 5, 96, 256, 1),
        (13, 3, 256, 384, 1),
        (13, 3, 384, 384, 1),
        (13, 3, 384, 256, 1),
    ]
    array = SystolicArray(12, 14)

    def total() -> int:
        return sum(
            array.cycles("ws", outputs=scale_sim_outputs(h, h, r, r, u), window=r * r * c, filters=m)
            for h, r, c, m, u in shapes
        )

    cycles, seconds = _timed(total)
    return {
        "what": "SCALE-Sim's cycles of AlexNet, 12 x 14 weight stationary",
        "cpu_s": round(seconds, 6),
        "layers": 5,
        "distinct": 5,
        "result": f"{cycles} cycles",
        "verdict": "equal" if cycles == 5780416 else "not equal",
    }


def _simulated() -> dict[str, object]:
    generator = np.random.default_rng(0)

    def work() -> int:
        macs = 0
        for layer in alexnet(1):
            height = (layer.P - 1) * layer.stride_h + layer.R
            images = quantized(generator.normal(size=(1, layer.G * layer.C, height, height)))
            weights = quantized(generator.normal(size=(layer.G * layer.M, layer.C, layer.R, layer.S)))
            mapping = RowStationary(**{**TABLE_III[layer.name].to_dict(), "n": 1})
            macs += simulate(layer, mapping, images, weights).macs
        return macs

    macs, seconds = _timed(work)
    return {
        "what": "simulate AlexNet's convolutions on integers, batch 1",
        "cpu_s": round(seconds, 1),
        "layers": 5,
        "distinct": 5,
        "result": f"{macs / 1e6:.1f} M MACs",
        "verdict": "",
    }
