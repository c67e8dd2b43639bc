"""One uneven mapping on ZigZag's tpu_like: the words that ZigZag 3.9.1's cost model counts for the same loops.

VGG-16's CONV2-2; its figures are the element counts of a run (`python -m benchmarks zigzag_counts`: 25 layers).
"""

from __future__ import annotations

from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.cost import evaluate
from sevenfold.hardware.spatial.layer import Layer
from sevenfold.hardware.spatial.mapping import Mapping

CHIP = SpatialChip(
    name="tpu_like",
    clock_hz=1e6,
    levels=[
        Memory(name="dram", role="dram"),
        Memory(name="sram", role="buffer", capacity_words=2**20, holds=("I", "O")),
        Array(name="array", rows=32, columns=32, row_dims=("C",), column_dims=("M",)),
        Memory(name="weights", role="register", capacity_words=128, holds=("W",)),
        Memory(name="sums", role="register", capacity_words=1, holds=("O",)),
    ],
)
MAPPING = Mapping.from_dict(
    {
        "dram": ["P:56"],
        "sram": ["M:32 W@dram O@dram", "P:1 W@dram O@dram", "Q:1 W@dram O@dram"],
        "array": {"rows": ["C:4"], "columns": ["M:1"]},
        "weights": ["C:1 I@sram O@sram", "R:1 I@sram O@sram", "S:1 I@sram O@sram"],
    }
)
ZIGZAG = {
    ("weights", "W", "writes"): 294912, ("dram", "W", "reads"): 294912,
    ("sram", "I", "writes"): 1692672, ("sram", "I", "reads"): 57802752, ("dram", "I", "reads"): 1692672,
    ("sums", "O", "writes"): 1849688064, ("sums", "O", "reads"): 1899462656,
    ("sram", "O", "writes"): 1605632, ("sram", "O", "reads"): 1605632,
    ("dram", "O", "writes"): 1605632, ("dram", "O", "reads"): 0,
}  # fmt: skip


def test_counts_are_zigzags_but_for_sliding_inputs_and_begun_sums() -> None:
    layer = Layer("CONV2-2", M=128, C=128, P=112, Q=112, R=3, S=3)
    cost = evaluate(MAPPING.on(layer, CHIP))
    ours = {
        (level.level, operand, kind): getattr(level, kind)[operand]
        for level in cost.levels
        for operand in level.words_held
        for kind in ("reads", "writes")
    }
    slid = 2 * 114 * layer.C  # two rows of inputs are still there when the second half of the outputs begins
    begun = layer.words("O") * 31  # all 32 elements along C begin a sum without reading; ZigZag has one of them
    less = {("sram", "I", "writes"): slid, ("dram", "I", "reads"): slid, ("sums", "O", "reads"): begun}
    assert {key: ours[key] + less.get(key, 0) for key in ZIGZAG} == ZIGZAG
