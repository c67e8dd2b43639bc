"""All layers of a network on one chip: equal layers are solved once, and found mappings are kept on disk by
content.

A stored mapping is checked when it is read: it is evaluated anew, so a damaged or outdated file is searched again.

>>> from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
>>> from sevenfold.hardware.spatial.layer import Layer
>>> layers = [Layer("one", M=8, C=8, P=4, Q=4), Layer("two", M=8, C=8, P=4, Q=4)]
>>> found = map_network(layers, SPATIAL_CHIPS["eyeriss"], keep=False)
>>> found.solved, found.macs, [layer.layer for layer in found.layers]
(1, 2048, ['one', 'two'])
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sevenfold.errors import SevenfoldError, UsageError
from sevenfold.hardware.spatial.architecture import SpatialChip
from sevenfold.hardware.spatial.cost import evaluate
from sevenfold.hardware.spatial.layer import Layer, matmul
from sevenfold.hardware.spatial.mapper.goals import Goal
from sevenfold.hardware.spatial.mapper.search import FoundMapping, find_mapping
from sevenfold.hardware.spatial.mapping import Mapping
from sevenfold.runs.home import data_home, made_folder

# Part of every stored mapping's key: raise it when the space or the closed forms change.
MAPPER_VERSION = 2


@dataclass(frozen=True)
class NetworkMapping:
    """The mapped layers in their order, and totals."""

    chip: str
    goal: Goal
    layers: tuple[FoundMapping, ...]
    solved: int  # distinct layers that were searched for
    recalled: int  # distinct layers found on disk
    unrolled: tuple[str, ...]  # layers that the dataflow takes only as matrix products

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.cost.macs for layer in self.layers)

    @property
    def energy(self) -> float:
        """In the chip's energy unit."""
        return sum(layer.cost.energy for layer in self.layers)

    @property
    def seconds(self) -> float:
        """One layer after the other."""
        return sum(layer.cost.seconds for layer in self.layers)


def map_network(
    layers: Sequence[Layer],
    chip: SpatialChip,
    goal: Goal = "energy",
    *,
    restricted: bool = True,
    keep: bool = True,
) -> NetworkMapping:
    """The best mapping of every layer; with ``keep`` results are read from and written to the user's folder.

    A layer whose filter the dataflow cannot lay out is mapped as a matrix product with its taps unrolled, and
    named.
    """
    known: dict[tuple[int, ...], FoundMapping] = {}
    unrolled: dict[tuple[int, ...], bool] = {}
    solved = recalled = 0
    found = []
    for layer in layers:
        if layer.shape not in known:
            mapped, fresh, changed = _mapped(layer, chip, goal, restricted, keep)
            known[layer.shape], unrolled[layer.shape] = mapped, changed
            solved, recalled = solved + fresh, recalled + (not fresh)
        one = known[layer.shape]
        found.append(replace(one, layer=layer.name, cost=replace(one.cost, layer=layer.name)))
    names = tuple(layer.name for layer in layers if unrolled[layer.shape])
    return NetworkMapping(chip.name, goal, tuple(found), solved, recalled, names)


def _mapped(
    layer: Layer, chip: SpatialChip, goal: Goal, restricted: bool, keep: bool
) -> tuple[FoundMapping, bool, bool]:
    """(mapping, whether it was searched for now, whether the layer was unrolled)."""
    path = _path(layer, chip, goal, restricted)
    if keep and (stored := _recalled(path, layer, chip)) is not None:
        return stored[0], False, stored[1]
    try:
        mapped, changed = find_mapping(layer, chip, goal, restricted=restricted), False
    except UsageError:
        if layer.R == layer.S == 1:
            raise
        mapped, changed = find_mapping(as_product(layer), chip, goal, restricted=restricted), True
    if keep:
        _store(path, mapped, changed)
    return mapped, True, changed


def as_product(layer: Layer) -> Layer:
    """A convolution as the matrix product that it is with its windows copied out: no input is shared any more."""
    product = matmul(
        layer.name,
        rows=layer.N * layer.P * layer.Q,
        columns=layer.M,
        inner=layer.C * layer.R * layer.S,
        batch=layer.G,
    )
    assert product.macs == layer.macs
    return product


def _path(layer: Layer, chip: SpatialChip, goal: Goal, restricted: bool) -> Path:
    key = json.dumps([MAPPER_VERSION, layer.shape, chip.digest(), goal, restricted])
    return data_home() / "mappings" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _recalled(path: Path, layer: Layer, chip: SpatialChip) -> tuple[FoundMapping, bool] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        changed = bool(data["unrolled"])
        shape = as_product(layer) if changed else layer
        mapping = Mapping.from_dict(data["mapping"])
        cost = evaluate(mapping.on(shape, chip))
        if abs(cost.energy - data["energy"]) > 1e-9 * cost.energy:
            return None
        fields = {
            key: data[key] for key in ("chip", "goal", "score", "bound", "verdict", "evaluated", "considered")
        }
        return FoundMapping(layer=layer.name, mapping=mapping, cost=cost, **fields), changed
    except (OSError, ValueError, KeyError, TypeError, SevenfoldError):
        return None  # not there, damaged, or of another version: searched for again


def _store(path: Path, found: FoundMapping, unrolled: bool) -> None:
    data = found.to_dict()
    del data["cost"], data["layer"]
    data |= {"energy": found.cost.energy, "unrolled": unrolled}
    folder = made_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".json")
    with os.fdopen(handle, "w") as file:
        json.dump(data, file)
    os.replace(temporary, path)
