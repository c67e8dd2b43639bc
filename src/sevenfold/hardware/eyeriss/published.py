"""What was measured on the Eyeriss chip: AlexNet's convolutions and how the chip mapped them, and VGG-16's.

Chen et al., JSSC 2017, Tables III (mapping), V (AlexNet, batch 4) and VI (VGG-16, batch 3), as transcribed in
cucapra/fodlam (raw/eyeriss-tableIII.txt and -tableVI.txt, data/eyeriss-alexnet.csv and -vgg16.csv); of Table V,
latencies, powers, MACs and active elements agree with stanford-mast/nn_dataflow's test_eyeriss_isscc16. The papers
themselves were not at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from sevenfold.hardware.eyeriss.row_stationary import RowStationary
from sevenfold.hardware.spatial.layer import Layer, convolution

BATCH = 4


@dataclass(frozen=True)
class Measured:
    """One row of Table V; MB are 1e6 bytes."""

    layer: str
    power_mw: float
    total_ms: float
    processing_ms: float
    macs_m: float
    active_pes: int
    zeros: float  # share of zeros in the ifmap
    glb_mb: float
    dram_mb: float


TABLE_V = (
    Measured("CONV1", 332, 20.9, 16.5, 421.66, 154, 0.0001, 18.5, 5.0),
    Measured("CONV2", 288, 41.9, 39.2, 895.79, 135, 0.387, 77.6, 4.0),
    Measured("CONV3", 266, 23.6, 21.8, 598.1, 156, 0.725, 50.2, 3.0),
    Measured("CONV4", 235, 18.4, 16.0, 448.6, 156, 0.793, 37.4, 2.1),
    Measured("CONV5", 236, 10.5, 10.0, 299.0, 156, 0.776, 24.9, 1.3),
)
TOTAL = Measured("total", 278, 115.3, 103.5, 2663, 148, 0.5753, 208.5, 15.4)

# Table III. CONV3 as printed (q, r, t = 4, 1, 4) needs 69.2 MB of buffer accesses where Table V has 50.2; with
# CONV4's (3, 2, 2), also 156 elements, the count is 50.2. The two tables do not agree on this row, as transcribed.
TABLE_III = {
    "CONV1": RowStationary(m=96, n=1, e=7, p=16, q=1, r=1, t=2),
    "CONV2": RowStationary(m=64, n=1, e=27, p=16, q=2, r=1, t=1),
    "CONV3": RowStationary(m=64, n=4, e=13, p=16, q=4, r=1, t=4),
    "CONV4": RowStationary(m=64, n=4, e=13, p=16, q=3, r=2, t=2),
    "CONV5": RowStationary(m=64, n=4, e=13, p=16, q=3, r=2, t=2),
}
CONV3_OF_TABLE_V = RowStationary(m=64, n=4, e=13, p=16, q=3, r=2, t=2)
# Buffer that Table III states for ifmaps and psums, KB of 1024 bytes.
TABLE_III_KB = {
    "CONV1": (15.5, 72.2), "CONV2": (3.8, 91.1), "CONV3": (7.0, 84.5), "CONV4": (10.5, 84.5), "CONV5": (10.5, 84.5),
}  # fmt: skip

# Table VI, VGG-16 at batch 3. The transcription is a machine's reading; where a figure in it cannot be right, it is
# what the table's own totals and percentages leave: CONV1-1 zeros 1.6% ("16%", all others have one decimal) and
# DRAM 15.4 ("154"); CONV2-1 156 elements ("150 (93%)"); CONV2-2 processing 810.7 and buffer 2402.8 ("1110.3",
# "2402.3"; like CONV1-2, and the totals); CONV4-2 DRAM 28.4 ("20.6", the total less the others); CONV5-1 168
# elements ("163 (100%)"). MACs with three digits.
VGG16_BATCH = 3
TABLE_VI = (
    Measured("CONV1-1", 247, 76.2, 38.0, 260, 156, 0.016, 112.5, 15.4),
    Measured("CONV1-2", 218, 910.3, 810.6, 5550, 156, 0.477, 2402.8, 54.0),
    Measured("CONV2-1", 242, 470.3, 405.3, 2770, 156, 0.248, 1201.4, 33.4),
    Measured("CONV2-2", 231, 894.3, 810.7, 5550, 156, 0.387, 2402.8, 48.5),
    Measured("CONV3-1", 254, 241.1, 204.0, 2770, 156, 0.397, 607.4, 20.2),
    Measured("CONV3-2", 235, 460.9, 408.1, 5550, 156, 0.581, 1214.8, 32.2),
    Measured("CONV3-3", 233, 457.7, 408.1, 5550, 156, 0.587, 1214.8, 30.8),
    Measured("CONV4-1", 278, 135.3, 105.1, 2770, 168, 0.643, 321.3, 17.8),
    Measured("CONV4-2", 261, 254.8, 210.0, 5550, 168, 0.747, 643.7, 28.4),
    Measured("CONV4-3", 240, 246.3, 210.0, 5550, 168, 0.854, 643.7, 22.8),
    Measured("CONV5-1", 258, 54.3, 48.3, 1390, 168, 0.794, 90.0, 6.3),
    Measured("CONV5-2", 236, 53.7, 48.5, 1390, 168, 0.874, 90.0, 5.7),
    Measured("CONV5-3", 230, 53.7, 48.5, 1390, 168, 0.885, 90.0, 5.6),
)
TOTAL_VI = Measured("total", 236, 4309.5, 3755.2, 46040, 158, 0.586, 11035.8, 321.1)

# ISCA 2016, Fig. 10: row stationary on 256 elements, AlexNet at batch 16, in 1e9 MAC energies (ALU, DRAM, RF).
ISCA16_BREAKDOWN = {
    "CONV1": (1.69, 2.46, 6.75), "CONV2": (3.58, 2.27, 14.33), "CONV3": (2.39, 2.02, 9.57),
    "CONV4": (1.79, 1.57, 7.18), "CONV5": (1.20, 1.05, 4.78),
    "FC1": (0.60, 7.78, 2.42), "FC2": (0.27, 3.39, 1.07), "FC3": (0.07, 0.84, 0.26),
}  # fmt: skip


def alexnet(batch: int = BATCH) -> tuple[Layer, ...]:
    """AlexNet's convolutions as the chip ran them: 227 x 227 images, grouped."""
    conv = [
        ("CONV1", 3, 96, 227, 11, 4, 0, 1),
        ("CONV2", 96, 256, 27, 5, 1, 2, 2),
        ("CONV3", 256, 384, 13, 3, 1, 1, 1),
        ("CONV4", 384, 384, 13, 3, 1, 1, 2),
        ("CONV5", 384, 256, 13, 3, 1, 1, 2),
    ]
    return tuple(
        convolution(
            name, batch=batch, channels=c, filters=m, size=(h, h), kernel=(r, r), stride=u, padding=pad, groups=g
        )
        for name, c, m, h, r, u, pad, g in conv
    )


def alexnet_fully_connected(batch: int) -> tuple[Layer, ...]:
    """AlexNet's three fully connected layers, the first as a 6 x 6 convolution."""
    return (
        Layer("FC1", N=batch, M=4096, C=256, R=6, S=6),
        Layer("FC2", N=batch, M=4096, C=4096),
        Layer("FC3", N=batch, M=1000, C=4096),
    )


def vgg16(batch: int = VGG16_BATCH) -> tuple[Layer, ...]:
    """VGG-16's thirteen convolutions."""
    blocks = [
        (224, 3, [64, 64]),
        (112, 64, [128, 128]),
        (56, 128, [256] * 3),
        (28, 256, [512] * 3),
        (14, 512, [512] * 3),
    ]
    layers = []
    for number, (size, channels, filters) in enumerate(blocks, 1):
        for index, m in enumerate(filters, 1):
            layers.append(
                convolution(
                    f"CONV{number}-{index}", batch=batch, channels=channels, filters=m, size=(size, size),
                    kernel=(3, 3), padding=1,
                )
            )  # fmt: skip
            channels = m
    return tuple(layers)
