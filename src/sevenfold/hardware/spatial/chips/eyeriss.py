"""Eyeriss v1 as fabricated: 12 x 14 elements with three scratchpads each, and a 108 kB global buffer.

Row stationary: filter rows (R) lie along the array's rows and output rows (P) along its columns, so that inputs go
along diagonals, weights along rows, and partial sums down the columns; what is left of a side may carry channels,
filters, or more output rows (folding). Weights pass the global buffer without staying. An input of zero spares the
read of its filter weight and the multiplication (JSSC 2017, section V-C); what else it spares is not published, so
the partial sum's traffic is charged in full.
"""

from __future__ import annotations

from sevenfold.hardware.spatial.architecture import Array, Memory, SpatialChip
from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
from sevenfold.hardware.spatial.energies import with_energies

_TABLE_IV = "Chen et al., JSSC 2017, Table IV (read in cucapra/fodlam, raw/eyeriss-tableIV.txt)"


def eyeriss() -> SpatialChip:
    """The chip at its measured point: 1 V, 200 MHz, 16 bits; energies of nn_dataflow's 65 nm set, 30 mW static."""
    chip = SpatialChip(
        name="eyeriss",
        title="Eyeriss v1 (MIT, 2016), 65 nm, 1 V",
        clock_hz=200e6,
        word_bits=16,
        static_w=0.030,
        levels=[
            # Link of 64 bits at up to 90 MHz beside a core of 200 MHz, both from Table IV: 4 words x 90 / 200.
            Memory(name="DRAM", role="dram", words_per_cycle=1.8),
            Memory(
                name="GLB",
                role="buffer",
                capacity_words=108 * 1024 // 2,
                holds=("I", "O"),
                read_words_per_cycle=4,
                write_words_per_cycle=4,
                reads_first_sums=True,
            ),
            Array(
                name="array",
                rows=12,
                columns=14,
                row_dims=("R", "C", "M", "P"),
                column_dims=("P", "C", "M"),
                whole=("R",),
            ),
            Memory(name="ifmap spad", role="register", capacity_words=12, holds=("I",)),
            Memory(name="filter spad", role="register", capacity_words=224, holds=("W",), gated_at_zero=True),
            Memory(name="psum spad", role="register", capacity_words=24, holds=("O",)),
        ],
        gated_mac_share=1.0,
        run_length_coding=True,
        applies=("relu",),
        register_tiles={"N": "one", "P": "one", "Q": "one", "R": "one", "S": "whole"},
        notes=(
            f"sizes: {_TABLE_IV}; 8 bytes of reading and 8 of writing a cycle at the global buffer",
            "static power: nn_dataflow's setting for this chip, not a measurement of it",
            "relu on the way to DRAM, before the run-length coder (JSSC 2017, page 6): no traffic of its own",
        ),
    )
    return with_energies(chip, "65nm")


SPATIAL_CHIPS.add("eyeriss", eyeriss())
