"""Equations 3 and 4 of the ISCA 2016 dataflow paper: energy from the reuse of a word at every level.

A word is used a x b x c x d times: a times from DRAM, b from the global buffer for each, c over the array, d from a
register. The paper charges an input or weight for being read at each level and not for filling it, and one register
access for every multiply-accumulate even where a dataflow keeps nothing in registers (a d of 1); a partial sum for
every accumulation where it happens. ``cost`` charges every read and every write; ``by_the_papers_rules`` counts a
mapping's words as the paper does.

>>> input_energy(1, 2, 3, 4), psum_energy(2, 3, 3, 2)
(248.0, 708.0)
"""

from __future__ import annotations

from sevenfold.hardware.spatial.cost import MappingCost

DRAM, GLB, ARRAY, REGISTER, MAC = 200.0, 6.0, 2.0, 1.0, 1.0  # Table IV, of a multiply-accumulate


def input_energy(a: int, b: int, c: int, d: int) -> float:
    """Equation 3, energy of one input or weight, in multiply-accumulates."""
    return a * DRAM + a * b * GLB + a * b * c * ARRAY + a * b * c * d * REGISTER


def psum_energy(a: int, b: int, c: int, d: int) -> float:
    """Equation 4, energy of one output over its accumulations, in multiply-accumulates."""
    return (2 * a - 1) * DRAM + 2 * a * (b - 1) * GLB + a * b * (c - 1) * ARRAY + 2 * a * b * c * (d - 1) * REGISTER


def by_the_papers_rules(cost: MappingCost, *, registers: bool = True) -> dict[str, float]:
    """Energy by level of a mapping on a chip of DRAM, GLB, array and registers, summed over its words.

    ``registers=False`` is for a dataflow without any (no local reuse).
    """
    dram, buffer, array = cost.level("DRAM"), cost.level("GLB"), cost.array("array")
    from_array = buffer.writes["O"] - dram.reads["O"]  # sums that the array hands over
    from_elements = array.transfers["O"] + from_array
    accesses = 2 * (cost.macs - from_elements) + (2 * cost.macs if registers else 0)
    return {
        "MAC": MAC * cost.macs,
        "DRAM": DRAM * (dram.reads["I"] + dram.reads["W"] + dram.reads["O"] + dram.writes["O"]),
        "GLB": GLB * (buffer.reads["I"] + buffer.reads["W"] + 2 * (from_array - dram.writes["O"])),
        "array": ARRAY * (array.transfers["I"] + array.transfers["W"] + array.transfers["O"]),
        "register": REGISTER * accesses,
    }
