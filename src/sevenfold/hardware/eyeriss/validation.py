"""Predicted beside published for the Eyeriss chip: AlexNet's and VGG-16's convolutions row by row.

AlexNet is given the chip's published mappings. VGG-16's are not published: one prediction searches for mappings,
the other is given the elements and buffer accesses that were measured, which bound the time of any mapping that has
them.

>>> result = validate()
>>> [row.predicted["active_pes"] for row in result.layers]
[154, 135, 156, 156, 156]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sevenfold.hardware.eyeriss import constants
from sevenfold.hardware.eyeriss.constants import FITTED, Technology
from sevenfold.hardware.eyeriss.published import (
    CONV3_OF_TABLE_V,
    TABLE_III,
    TABLE_V,
    TABLE_VI,
    TOTAL,
    TOTAL_VI,
    Measured,
    alexnet,
    vgg16,
)
from sevenfold.hardware.eyeriss.row_stationary import RowStationary
from sevenfold.hardware.eyeriss.search import EYERISS, Found, search
from sevenfold.hardware.spatial.layer import Layer

COLUMNS = ("macs_m", "active_pes", "glb_mb", "dram_mb", "processing_ms", "power_mw")
POOLED_NEXT = {"CONV1", "CONV2", "CONV5", "CONV1-2", "CONV2-2", "CONV3-3", "CONV4-3", "CONV5-3"}
NOTES = (
    "CONV3: Tables III and V disagree as transcribed. With Table III's (q, r, t) = (4, 1, 4) the closed form "
    "gives 69.2 MB of buffer accesses; with CONV4's (3, 2, 2), as many elements, 50.2 MB as in Table V. The "
    "row uses the latter, chosen for that reason",
    "fitted on these five rows, so in-sample: 500 cycles a pass (latency); 4.68 pJ a MAC whose input is not "
    "zero, and 215 mW (power); 2 independent values a pooling window (DRAM). MACs, active elements and buffer "
    "accesses have no fitted constant",
    "DRAM: feature maps are run-length coded at the published shares of zeros, filters are not; the zeros of "
    "CONV5's output are not published and are taken as those of its input",
    "VGG-16, nothing fitted on it: the chip's mappings are not published. Searched ones (least energy) use the "
    "buffer far less than the chip did, so their time is too short; zeros are the published ones",
    "VGG-16 given the measured elements and buffer accesses: no mapping with these takes less time, and no "
    "overhead of a pass is in it. That this is 7% below what was measured says that the chip's passes waited for "
    "partial sums at the buffer's port, not that the model of time is off by two",
)


@dataclass(frozen=True)
class Row:
    """One layer: every column published (None where it is not), predicted, and the relative error."""

    layer: str
    mapping: dict[str, int] | None
    published: dict[str, float | None]
    predicted: dict[str, float]
    error: dict[str, float | None]


@dataclass(frozen=True)
class Validation:
    """AlexNet at batch 4 and VGG-16 at batch 3, on the chip."""

    layers: tuple[Row, ...]
    total: Row
    mean_error: dict[str, float]  # of the absolute relative errors of the five layers
    vgg16: tuple[Row, ...]  # searched mappings
    vgg16_total: Row
    vgg16_given: tuple[Row, ...]  # given the measured elements and buffer accesses
    vgg16_given_total: Row
    held_out: dict[str, dict[str, float]]  # errors of AlexNet's layers, the constants fitted without them
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": "1.0", **asdict(self)}


def validate() -> Validation:
    """Every column of Table V predicted with the chip's own mappings, and VGG-16 with mappings that are searched
    for."""
    from sevenfold.hardware.eyeriss.held_out import held_out

    rows = [alexnet_row(number, FITTED) for number in range(len(TABLE_V))]
    mean = {column: sum(abs(row.error[column] or 0.0) for row in rows) / len(rows) for column in COLUMNS}
    deep = [_searched(number) for number in range(len(TABLE_VI))]
    given = [_given(number) for number in range(len(TABLE_VI))]
    return Validation(
        layers=tuple(rows),
        total=_row("total", None, _published(TOTAL), _total(rows)),
        mean_error=mean,
        vgg16=tuple(deep),
        vgg16_total=_row("total", None, _published(TOTAL_VI), _total(deep)),
        vgg16_given=tuple(given),
        vgg16_given_total=_row("total", None, _published(TOTAL_VI), _time_and_power(given)),
        held_out=held_out(),
        notes=NOTES,
    )


def alexnet_row(number: int, technology: Technology) -> Row:
    """One of AlexNet's layers with the chip's mapping."""
    layer, measured = alexnet()[number], TABLE_V[number]
    mapping = CONV3_OF_TABLE_V if layer.name == "CONV3" else TABLE_III[layer.name]
    zeros_next = TABLE_V[min(number + 1, len(TABLE_V) - 1)].zeros
    pooled = layer.name in POOLED_NEXT
    predicted = predict(layer, mapping, measured.zeros, zeros_next, pooled=pooled, technology=technology)
    return _row(layer.name, mapping, _published(measured), predicted)


def predict(
    layer: Layer,
    mapping: RowStationary,
    zeros: float,
    zeros_next: float,
    *,
    pooled: bool = False,
    technology: Technology = FITTED,
) -> dict[str, float]:
    """The columns of Table V of a layer under the chip's parameters; MB are 1e6 bytes of 16-bit words."""
    ifmap, weights, ofmap = mapping.dram_words(layer)
    zeros_out = constants.zeros_before_pooling(zeros_next, technology.pooled_values) if pooled else zeros_next
    coded = ifmap * constants.run_length_ratio(zeros) + weights + ofmap * constants.run_length_ratio(zeros_out)
    seconds = processing_seconds(layer, mapping, technology)
    return {
        "macs_m": layer.macs / 1e6,
        "active_pes": mapping.active_pes(layer),
        "glb_mb": 2 * mapping.glb_words(layer) / 1e6,
        "dram_mb": 2 * coded / 1e6,
        "processing_ms": seconds * 1e3,
        "power_mw": 1e3 * watts(layer, zeros, seconds, technology),
    }


def watts(layer: Layer, zeros: float, seconds: float, technology: Technology = FITTED) -> float:
    """Power of a layer that takes so long."""
    return technology.mac_j * layer.macs * (1.0 - zeros) / seconds + technology.running_w


def processing_seconds(layer: Layer, mapping: RowStationary, technology: Technology = FITTED) -> float:
    """Every pass takes as long as its multiplying or its port, then its filters are loaded, and a fixed
    overhead."""
    passes = mapping.passes(layer)
    array = mapping.array_cycles(layer) / passes
    reads = mapping.ifmap_words(layer) + mapping.n * mapping.p * mapping.t * mapping.e * layer.Q
    filters = mapping.filter_words(layer) / constants.PORT_WORDS
    cycles = max(array, reads / constants.PORT_WORDS) + filters + technology.pass_cycles
    return passes * cycles / constants.CLOCK_HZ


def searched_mapping(layer: Layer) -> Found:
    """The parameters of least energy on the chip, with the overhead of a pass in their time."""
    return search(layer, replace(EYERISS, pass_cycles=constants.PASS_CYCLES))


def _searched(number: int) -> Row:
    layer, measured = vgg16()[number], TABLE_VI[number]
    found = searched_mapping(layer)
    zeros_next = TABLE_VI[min(number + 1, len(TABLE_VI) - 1)].zeros
    predicted = predict(layer, found.parameters, measured.zeros, zeros_next, pooled=layer.name in POOLED_NEXT)
    return _row(layer.name, found.parameters, _published(measured), predicted)


def _given(number: int) -> Row:
    """Time and power from the measured elements and buffer accesses: the array's time, or the port's."""
    layer, measured = vgg16()[number], TABLE_VI[number]
    words = measured.glb_mb * 1e6 / 2
    cycles = max(layer.macs / measured.active_pes, words / (2 * constants.PORT_WORDS))
    seconds = cycles / constants.CLOCK_HZ
    predicted = {"processing_ms": 1e3 * seconds, "power_mw": 1e3 * watts(layer, measured.zeros, seconds)}
    return _row(layer.name, None, _published(measured), predicted)


def _published(measured: Measured) -> dict[str, float | None]:
    return {column: getattr(measured, column) for column in COLUMNS}


def _total(rows: Sequence[Row]) -> dict[str, float]:
    sums = {column: sum(row.predicted[column] for row in rows) for column in ("macs_m", "glb_mb", "dram_mb")}
    macs = sums["macs_m"]
    busy = sum(row.predicted["macs_m"] / row.predicted["active_pes"] for row in rows)
    return {
        "macs_m": macs,
        "active_pes": round(macs / busy),
        "glb_mb": sums["glb_mb"],
        "dram_mb": sums["dram_mb"],
        **_time_and_power(rows),
    }


def _time_and_power(rows: Sequence[Row]) -> dict[str, float]:
    total = sum(row.predicted["processing_ms"] for row in rows)
    energy = sum(row.predicted["power_mw"] * row.predicted["processing_ms"] for row in rows)
    return {"processing_ms": total, "power_mw": energy / total}


def _row(
    name: str, mapping: RowStationary | None, published: dict[str, float | None], predicted: dict[str, float]
) -> Row:
    error = {
        column: None if value is None or column not in predicted else predicted[column] / value - 1.0
        for column, value in published.items()
    }
    return Row(name, mapping.to_dict() if mapping is not None else None, published, predicted, error)
