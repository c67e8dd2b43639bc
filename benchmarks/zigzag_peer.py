"""Runs inside ZigZag's own environment: a job and then layers as JSON lines on stdin, an answer a line on stdout.

Not imported by anything: `bench_zigzag` starts it with the interpreter of that environment. A job names an
architecture and a mapping file of ZigZag's own inputs; a layer is searched (its stages of search alone, without its
plots and files), or, where it brings a temporal mapping, evaluated by its cost model.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any

logging.disable(logging.WARNING)

import zigzag  # noqa: E402
from zigzag.datatypes import LayerDim, LayerOperand  # noqa: E402
from zigzag.mapping.data_movement import DataDirection, DataMoveAttr  # noqa: E402
from zigzag.mapping.temporal_mapping import TemporalMapping, TemporalMappingType  # noqa: E402
from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage  # noqa: E402
from zigzag.stages.main import MainStage  # noqa: E402
from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage  # noqa: E402
from zigzag.stages.mapping.temporal_mapping_generator_stage import TemporalMappingGeneratorStage  # noqa: E402
from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage  # noqa: E402
from zigzag.stages.parser.workload_parser import WorkloadParserStage  # noqa: E402
from zigzag.stages.results.reduce_stages import MinimalEnergyStage  # noqa: E402
from zigzag.stages.stage import Stage  # noqa: E402
from zigzag.stages.workload_iterator import WorkloadStage  # noqa: E402

INPUTS = os.path.join(os.path.dirname(zigzag.__file__), "inputs")
DIRECTIONS = {
    "reads_inwards": DataDirection.RD_OUT_TO_LOW,
    "writes_from_inside": DataDirection.WR_IN_BY_LOW,
    "reads_outwards": DataDirection.RD_OUT_TO_HIGH,
    "writes_from_outside": DataDirection.WR_IN_BY_HIGH,
}
GIVEN: dict[str, Any] = {}  # the temporal mapping to evaluate, where one is given
SEEN = {"mappings": 0}


class GivenMappingStage(Stage):
    """Yields one temporal mapping in the place of the generator."""

    def __init__(self, list_of_callables: Any, *, layer: Any, **kwargs: Any) -> None:
        super().__init__(list_of_callables, **kwargs)
        self.layer = layer

    def run(self) -> Any:
        table = {
            LayerOperand(operand): [[(LayerDim(dim), size) for dim, size in level] for level in levels]
            for operand, levels in GIVEN["temporal"].items()
        }
        mapping = TemporalMapping(table, self.layer, TemporalMappingType.UNEVEN)
        kwargs = {**self.kwargs, "layer": self.layer, "temporal_mapping": mapping}
        for cme, extra in self.list_of_callables[0](self.list_of_callables[1:], **kwargs).run():
            yield cme, (mapping, extra)


def workload(layer: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": 0,
            "name": layer["name"],
            "operator_type": "Conv",
            "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
            "dimension_relations": [
                f"ix={layer['stride']}*ox+1*fx",
                f"iy={layer['stride']}*oy+1*fy",
            ],
            "loop_dims": list(layer["loops"]),
            "loop_sizes": list(layer["loops"].values()),
            "operand_precision": {"W": 8, "I": 8, "O": 16, "O_final": 8},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def answer(job: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    GIVEN.clear()
    GIVEN.update(layer)
    temporal = GivenMappingStage if "temporal" in layer else TemporalMappingGeneratorStage
    stages = [
        WorkloadParserStage,
        AcceleratorParserStage,
        WorkloadStage,
        MinimalEnergyStage,
        SpatialMappingGeneratorStage,
        MinimalEnergyStage,
        temporal,
        CostModelStage,
    ]
    main = MainStage(
        list_of_callables=stages,
        accelerator=os.path.join(INPUTS, "hardware", job["hardware"]),
        workload=workload(layer),
        mapping=layer.get("mapping", os.path.join(INPUTS, "mapping", job["mapping"])),
        loma_lpf_limit=job["lpf_limit"],
        loma_show_progress_bar=False,
        nb_mappings_generated=job["spatial"],
        enable_mix_spatial_mapping_generation=False,
        access_same_data_considered_as_no_access=True,
        temporal_mapping_type=TemporalMappingType.UNEVEN,
    )
    begun, cpu = time.perf_counter(), time.process_time()
    cme = main.run()[0][0]
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "name": layer["name"],
        "energy": cme.energy_total,
        "mac_energy": cme.mac_energy,
        "cycles": cme.latency_total2,
        "wall_s": wall,
        "cpu_s": cpu,
        "temporal": {
            op.name: [[(dim.name, size) for dim, size in level] for level in levels]
            for op, levels in cme.temporal_mapping.mapping_dic_stationary.items()
        },
        "spatial": {
            op.name: [[(dim.name, float(size)) for dim, size in level] for level in levels]
            for op, levels in cme.spatial_mapping.mapping_dict_origin.items()
        },
        "words": {
            op.name: [{name: level.get(d) for name, d in DIRECTIONS.items()} for level in levels]
            for op, levels in cme.memory_word_access.items()
        },
        "elements": {
            op.name: [
                {
                    name: move.get_attribute(DataMoveAttr.DATA_ELEM_MOVE_COUNT).get(d)
                    for name, d in DIRECTIONS.items()
                }
                for move in moves
            ]
            for op, moves in cme.mapping.unit_mem_data_movement.items()
        },
        "energies": {op.name: levels for op, levels in cme.mem_energy_breakdown.items()},
        "fullest": {op.name: max(levels) for op, levels in cme.mem_utili_shared.items()},
    }


def architecture(job: dict[str, Any]) -> dict[str, Any]:
    """The memories of every operand, innermost first, as its cost model sees them."""
    from zigzag.datatypes import MemoryOperand
    from zigzag.parser.accelerator_factory import AcceleratorFactory
    from zigzag.parser.accelerator_validator import AcceleratorValidator
    from zigzag.utils import open_yaml

    validator = AcceleratorValidator(open_yaml(os.path.join(INPUTS, "hardware", job["hardware"])))
    assert validator.validate()
    chip = AcceleratorFactory(validator.normalized_data).create()
    found: dict[str, Any] = {}
    for operand, memory_operand in (("W", "I2"), ("I", "I1"), ("O", "O")):
        key = MemoryOperand(memory_operand)
        found[operand] = [
            {
                "name": level.name,
                "bits": level.memory_instance.size,
                "read": level.read_energy,
                "write": level.write_energy,
                "widths": {
                    name: [level.get_min_bandwidth(key, d), level.get_max_bandwidth(key, d)]
                    for name, d in DIRECTIONS.items()
                },
                "serves": sorted(dim.name for dim in level.served_dimensions),
            }
            for level in chip.memory_hierarchy.get_memory_levels(key)
        ]
    array = chip.operational_array
    return {
        "memories": found,
        "mac": array.unit.energy_cost,
        "sides": {dim.name: size for dim, size in array.dimension_sizes.items()},
    }


if __name__ == "__main__":
    task = json.loads(sys.stdin.readline())
    print(json.dumps(architecture(task)), flush=True)
    for line in sys.stdin:  # a layer a line, each answered before the next is read
        print(json.dumps(answer(task, json.loads(line))), flush=True)
