"""What zeros change in a mapping's cost: by hand, against the simulator's gated count, and against coded words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sevenfold.actions.zeros import activation_zeros
from sevenfold.errors import SpecError, UsageError
from sevenfold.hardware.eyeriss.rlc import coded_words, encode
from sevenfold.hardware.eyeriss.row_stationary import RowStationary
from sevenfold.hardware.eyeriss.simulator import simulate
from sevenfold.hardware.spatial.activations import Activations, heeds_values, with_activations
from sevenfold.hardware.spatial.architecture import SpatialChip
from sevenfold.hardware.spatial.catalogue import SPATIAL_CHIPS
from sevenfold.hardware.spatial.cost import evaluate
from sevenfold.hardware.spatial.layer import Layer

CHIP = SPATIAL_CHIPS["eyeriss"]
LAYER = Layer("conv", N=2, M=12, C=6, P=8, Q=8, R=3, S=3)
MAPPING = RowStationary(m=12, n=1, e=8, p=6, q=3, r=2, t=1)
PLAIN = evaluate(MAPPING.mapping(LAYER, CHIP).on(LAYER, CHIP))


def test_coding_shrinks_inputs_and_finished_outputs_and_nothing_else() -> None:
    found = with_activations(PLAIN, LAYER, CHIP, Activations(0.6, 0.0, coded_inputs=0.5, coded_outputs=0.25))
    before, after = PLAIN.level("DRAM"), found.level("DRAM")
    assert after.reads == {**before.reads, "I": before.reads["I"] / 2}
    assert after.writes == {**before.writes, "O": LAYER.words("O") / 4}
    words = sum(after.reads.values()) + sum(after.writes.values())
    assert after.energy == pytest.approx(words * CHIP.level_energy("DRAM"))
    assert after.port_cycles == pytest.approx(words / 1.8)
    assert found.levels[1:] == PLAIN.levels[1:]
    saved = before.energy - after.energy + CHIP.static_w * (PLAIN.seconds - found.seconds)
    assert found.energy == pytest.approx(PLAIN.energy - saved)
    assert found.energy == pytest.approx(sum(found.energy_by_level.values()))


def test_what_coding_would_grow_stays_plain() -> None:
    found = with_activations(PLAIN, LAYER, CHIP, Activations(0.0, 0.0, coded_inputs=1.33, coded_outputs=1.33))
    assert found == PLAIN


def test_a_port_that_binds_is_faster_with_coded_words() -> None:
    slow = CHIP.with_level("DRAM", words_per_cycle=0.05)
    plain = evaluate(MAPPING.mapping(LAYER, slow).on(LAYER, slow))
    found = with_activations(plain, LAYER, slow, Activations(0.6, 0.0, coded_inputs=0.5, coded_outputs=0.5))
    assert plain.bound_by == found.bound_by == "DRAM"
    assert found.seconds < plain.seconds
    assert found.utilization == pytest.approx(LAYER.macs / (found.cycles * 168))


def test_a_zero_spares_its_multiplication_and_its_weight_and_takes_its_cycle() -> None:
    found = with_activations(PLAIN, LAYER, CHIP, Activations(0.4, 0.4, coded_inputs=1.0, coded_outputs=1.0))
    assert found.energy_by_level["MAC"] == pytest.approx(0.6 * PLAIN.energy_by_level["MAC"])
    weight = CHIP.level_energy("filter spad")
    spared = PLAIN.energy_by_level["filter spad"] - found.energy_by_level["filter spad"]
    assert spared == pytest.approx(0.4 * LAYER.macs * weight)  # one read each; the writes that fill it stay
    assert found.energy_by_level["psum spad"] == PLAIN.energy_by_level["psum spad"]
    assert found.cycles == PLAIN.cycles


def test_the_gated_share_of_a_torch_layer_is_what_the_simulator_gates() -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(6, 12, 3, padding=1, stride=2, bias=False)
    images = torch.relu(torch.randn(2, 6, 9, 9))
    measured = activation_zeros(torch.nn.Sequential(conv), (images,)).layers[0]
    padded = torch.nn.functional.pad((images * 256).round(), (1, 1, 1, 1)).long().numpy()
    layer = Layer("conv", N=2, M=12, C=6, P=5, Q=5, R=3, S=3, stride_h=2, stride_w=2)
    weights = np.ones((12, 6, 3, 3), dtype=np.int64)
    done = simulate(layer, RowStationary(m=12, n=1, e=5, p=6, q=3, r=2, t=1), padded, weights)
    assert done.gated / done.macs == pytest.approx(
        measured.gated, abs=3e-3
    )  # values below 1/256 round to zero here
    assert measured.gated > measured.zeros  # padding


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.floats(0.0, 1.0))
def test_the_number_of_coded_words_is_that_of_the_coded_words(seed: int, length: int, zeros: float) -> None:
    generator = np.random.default_rng(seed)
    values = generator.integers(-9, 9, length) * (generator.random(length) >= zeros)
    assert coded_words(values) == len(encode(values))


def test_nonsense_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"gated is a share: got 1\.5"):
        Activations(0.0, 1.5, 1.0, 1.0)
    with pytest.raises(UsageError, match="coded_inputs is a ratio"):
        Activations(0.0, 0.5, float("nan"), 1.0)
    with pytest.raises(SpecError, match="codes words of 16 bits: got word_bits=8"):
        SpatialChip.from_dict({**CHIP.to_dict(), "word_bits": 8})
    assert [name for name in SPATIAL_CHIPS.names() if heeds_values(SPATIAL_CHIPS[name])] == ["eyeriss"]
