"""The action behind ``sevenfold cost``: what a model costs on each of several chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from sevenfold.actions._subject import ModelMetrics
    from sevenfold.actions.zeros import ZerosResult
    from sevenfold.hardware import Chip
    from sevenfold.hardware.roofline import Cost
    from sevenfold.hardware.spatial.architecture import SpatialChip
    from sevenfold.ops.graph import OperatorGraph, Phase

SCHEMA_VERSION = "1.1"
_TRACED_AS = {"tf32": "float32", "fp8": "bfloat16", "int8": "bfloat16"}


@dataclass(frozen=True)
class Share:
    """A group of operators (a module path cut to a depth): its time, and what it is bound by."""

    group: str
    seconds: float
    share: float
    flops: float
    bytes: float  # of the outermost memory
    joules: float | None
    utilization: float  # arithmetic over the peak, in this group's time
    bound_by: str


@dataclass(frozen=True)
class ChipCost:
    """The model on one chip."""

    chip: str
    dtype: str
    # "roofline": the least time; "predicted": this machine's own curves and overheads; "mapped": a spatial chip
    method: str
    latency_s: float
    items_per_s: float
    item: str  # "example" or "token"
    energy_j: float | None
    energy_method: str
    utilization: float  # arithmetic over the dtype's peak
    bound_by: str
    share_bound: float  # of the time that is bound by it
    seconds_by_phase: dict[str, float]
    bytes_by_level: dict[str, float]
    energy_by_level: dict[str, float]  # joules by memory, array, MAC and static; empty where no levels are modelled
    j_per_mac: float | None
    power_w: float | None  # energy over latency
    price_usd_per_hour: float | None
    usd_per_million_items: float | None
    # how zeros of feature maps enter: "measured", "no zeros assumed", or "no part" where the chip heeds none
    values: str
    groups: tuple[Share, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CostResult:
    """The table: one row a chip and method."""

    model: str
    inputs: tuple[str, ...]
    phases: tuple[str, ...]
    metrics: ModelMetrics
    rows: tuple[ChipCost, ...]
    layer_values: ZerosResult | None = None  # what was measured of every layer's feature maps
    pictures: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


COLUMNS = (
    "chip", "dtype", "time is", "latency", "throughput", "energy", "a MAC", "power", "utilization", "price",
    "$ a million", "zeros", "bound by",
)  # fmt: skip


def shown_row(row: ChipCost) -> tuple[str, ...]:
    """A chip's line of the table, in the order of ``COLUMNS``."""
    from sevenfold.units import COUNT, JOULES, SECONDS, USD, USD_PER_HOUR, WATTS, show

    return (
        row.chip,
        row.dtype,
        {"roofline": "at least", "predicted": "predicted", "mapped": "modelled"}[row.method],
        show(row.latency_s, SECONDS),
        f"{show(row.items_per_s, COUNT)} {row.item}s/s",
        show(row.energy_j, JOULES),
        show(row.j_per_mac, JOULES),
        show(row.power_w, WATTS),
        f"{row.utilization:.1%}",
        show(row.price_usd_per_hour, USD_PER_HOUR),
        show(row.usd_per_million_items, USD),
        {"measured": "measured", "no zeros assumed": "none assumed", "no part": "-"}[row.values],
        f"{row.bound_by} ({row.share_bound:.0%})",
    )


def cost(
    model: str | nn.Module,
    inputs: tuple[Any, ...] | None = None,
    *,
    on: Sequence[str] = ("h100", "a100"),
    batch: int = 1,
    seq: int | None = None,
    image: int | None = None,
    train: bool = False,
    causal: bool = False,
    dtype: str | None = None,
    optimizer: str = "adamw",
    threads: int = 0,
    depth: int = 1,
    settings: Mapping[str, Any] | None = None,
    measure_zeros: bool | None = None,
    pictures: str | Path | None = None,
    html: str | Path | None = None,
) -> CostResult:
    """Latency, throughput, energy, utilization and what binds, of one forward pass (``train``: of a training step).

    >>> cost("gpt2", on=["h100"], seq=1024).rows[0].bound_by
    'compute'

    ``model`` is a preset, ``file.py:function``, a torch module, or the id of a finished run: then with its trained
    weights, its accuracy, and inputs from its own data. ``dtype`` is float32 where the chip has a peak for it, else
    bfloat16. A chip's roofline is the least time that it allows; a calibrated chip (``this-machine``) has a second
    row with the time predicted from its benchmarks, with ``threads`` threads (0: all cores). On a spatial chip
    (``eyeriss``, or a JSON file of one) every layer gets its mapping of least energy. A chip that codes feature
    maps or gates zeros needs their values: of a run they are measured, of others with ``measure_zeros=True`` and
    real inputs; otherwise no zeros are assumed. ``pictures`` is a folder for a roofline of every chip and, of
    spatial chips, energy by level and the array at work; ``html`` a file for one page with all
    of it. Raises UsageError for unknown chips, models and dtypes.
    """
    from sevenfold.actions._cost_page import Priced, cost_page
    from sevenfold.actions._pictures import draw_chip_roofline, draw_spatial
    from sevenfold.actions._spatial import energy_by_level, map_model, spatial_cost, values_state
    from sevenfold.actions._subject import subject_of
    from sevenfold.diagnosis.cost_report import write_cost_report
    from sevenfold.hardware import Chip, dtype_name
    from sevenfold.hardware.roofline import roofline

    if not on:
        raise UsageError("no chip is named", hint="--on h100,a100")
    chosen = [_find(name.strip()) for name in on]
    wanted = None if dtype is None else dtype_name(dtype)
    phases: tuple[Phase, ...] = ("forward", "backward", "optimizer") if train else ("forward",)
    options = {"batch": batch, "seq": seq, "image": image, "causal": causal, "settings": settings}
    subject = subject_of(model, inputs, options, train, optimizer)
    spatial = [chip for chip in chosen if not isinstance(chip, Chip)]
    values = subject.values(measure_zeros) if spatial or measure_zeros else None
    priced: list[Priced] = []
    written: list[Path] = []
    for chip in chosen:
        if isinstance(chip, Chip):
            own = wanted or _default_dtype(chip)
            chip.peak(own)
            graph = subject.graph(_TRACED_AS.get(own, own))
            bound = roofline(graph, chip, phases=phases, dtype=own if own in _TRACED_AS else None)
            priced.append(Priced(_row(bound, chip, own, graph, depth), bound, chip, None))
            if pictures is not None:
                written.append(draw_chip_roofline(bound, chip, own, Path(pictures)))
            if chip.calibration is not None:
                predicted = _predicted(graph, chip, phases, threads, optimizer)
                priced.append(Priced(_row(predicted, chip, own, graph, depth), predicted, chip, None))
        else:  # a spatial chip computes in its own words, whatever dtype is asked of the others
            graph = subject.graph("float32")
            mapped = map_model(graph, chip, phases, values)
            found = spatial_cost(mapped)
            row = _row(found, chip, f"int{chip.word_bits}", graph, depth)
            row = replace(row, values=values_state(mapped), energy_by_level=energy_by_level(mapped))
            priced.append(Priced(row, found, None, mapped))
            if pictures is not None:
                written += draw_spatial(found, mapped, Path(pictures))
    any_graph = next(iter(subject.graphs.values()))
    result = CostResult(
        model=any_graph.name,
        inputs=any_graph.inputs,
        phases=phases,
        metrics=subject.metrics(),
        rows=tuple(item.row for item in priced),
        layer_values=None if values is None else values.zeros,
        pictures=tuple(str(path) for path in written),
    )
    if html is None:
        return result
    page = write_cost_report(cost_page(result, priced), Path(html))
    return replace(result, pictures=(*result.pictures, str(page)))


def _find(name: str) -> Chip | SpatialChip:
    """A chip of either catalogue, or of a JSON file."""
    from sevenfold.actions._spatial import find_spatial
    from sevenfold.errors import unknown_name
    from sevenfold.hardware import CHIPS, THIS_MACHINE
    from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS

    spatial = find_spatial(name)
    if spatial is not None:
        return spatial
    if name not in CHIPS.names() and name != THIS_MACHINE:
        raise unknown_name("chip", name, {*CHIPS.names(), *SPATIAL_CHIPS.names(), THIS_MACHINE})
    return CHIPS[name]


def _default_dtype(chip: Chip) -> str:
    known = chip.peak_flops_per_s
    if not known:
        chip.peak("bfloat16")  # says that none is known
    return next((name for name in ("float32", "bfloat16") if name in known), next(iter(known)))


def _predicted(graph: OperatorGraph, chip: Chip, phases: tuple[Phase, ...], threads: int, optimizer: str) -> Cost:
    from sevenfold.hardware.prediction import predict_step

    return predict_step(graph, chip, phases, threads=threads, optimizer=optimizer)


def _row(cost: Cost, chip: Chip | SpatialChip, dtype: str, graph: OperatorGraph, depth: int) -> ChipCost:
    from sevenfold.actions._subject import items_of
    from sevenfold.hardware import Chip

    number, item = items_of(graph)
    price, price_note = _price(chip) if isinstance(chip, Chip) else (None, ())
    return ChipCost(
        chip=cost.chip,
        dtype=dtype,
        method=cost.method,
        latency_s=cost.seconds,
        items_per_s=number / cost.seconds if cost.seconds else 0.0,
        item=item,
        energy_j=cost.joules,
        energy_method=cost.joules_method,
        utilization=cost.utilization,
        bound_by=cost.bound_by,
        share_bound=cost.seconds_by_bound.get(cost.bound_by, 0.0) / cost.seconds if cost.seconds else 0.0,
        seconds_by_phase=cost.seconds_by_phase,
        bytes_by_level=cost.bytes_by_level,
        energy_by_level={},
        j_per_mac=2 * cost.joules / cost.flops if cost.joules is not None and cost.flops else None,
        power_w=cost.joules / cost.seconds if cost.joules is not None and cost.seconds else None,
        price_usd_per_hour=price,
        usd_per_million_items=None if price is None else price / 3600 * cost.seconds / number * 1e6,
        values="no part",
        groups=_groups(cost, chip, depth),
        notes=(*cost.notes, *price_note, *graph.notes),
    )


def _price(chip: Chip) -> tuple[float | None, tuple[str, ...]]:
    """USD an hour of the chip's own figure, else of the dated table; and where it is from."""
    from sevenfold.planning.prices import CHIP_HOURS

    own, listed = chip.price_usd_per_hour, CHIP_HOURS.get(chip.name)
    if own is not None:
        return float(own.value), (f"price of {chip.name}: {own.source}",)
    if listed is not None:
        return listed.usd, (f"price of {chip.name}: rented in {listed.date}, {listed.source}",)
    return None, ()


def _peak(chip: Chip | SpatialChip, dtype: str) -> float:
    from sevenfold.hardware import Chip

    return chip.peak(dtype).value if isinstance(chip, Chip) else 2 * chip.peak_macs_per_s


def _groups(cost: Cost, chip: Chip | SpatialChip, depth: int) -> tuple[Share, ...]:
    found: dict[str, list[Any]] = {}
    for row in cost.rows:
        name = row.name if row.kind in ("optimizer", "overhead") else ".".join(row.path.split(".")[:depth])
        found.setdefault(name or "(root)", []).append(row)
    shares = []
    for name, rows in found.items():
        seconds = sum(row.seconds for row in rows)
        by_bound: dict[str, float] = {}
        joules = [row.joules for row in rows if row.joules is not None]
        ideal = sum(row.flops / _peak(chip, row.dtype) for row in rows if row.flops)
        for row in rows:
            by_bound[row.bound_by] = by_bound.get(row.bound_by, 0.0) + row.seconds
        shares.append(
            Share(
                group=name,
                seconds=seconds,
                share=seconds / cost.seconds if cost.seconds else 0.0,
                flops=sum(row.flops for row in rows),
                bytes=sum(row.bytes for row in rows),
                joules=sum(joules) if len(joules) == len(rows) else None,
                utilization=ideal / seconds if seconds else 0.0,
                bound_by=max(by_bound, key=by_bound.__getitem__),
            )
        )
    return tuple(sorted(shares, key=lambda share: -share.seconds))
