"""Weights as integers: the rounding against torch's own, the file, and what comes back."""

from __future__ import annotations

import json

import pytest
import torch

from sevenfold.checkpoints.integers import (
    IntegerWeights,
    from_rows,
    packed,
    rounded_groups,
    rounded_rows,
    unpacked,
)
from sevenfold.errors import CheckpointError, InputFileError


def weights(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_eight_bits_a_row_are_torchs():
    rows = weights(7, 50) * torch.logspace(-6, 2, 7)[:, None]
    whole, scale = rounded_rows(rows)
    zeros = torch.zeros(7, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(rows, scale, zeros, 0, -127, 127)
    assert torch.equal(whole.float() * scale[:, None], theirs)
    assert whole.abs().amax(1).tolist() == [127] * 7
    assert ((whole.float() * scale[:, None] - rows).abs() <= scale[:, None] * 0.5001).all()
    assert rounded_rows(torch.zeros(2, 3))[0].tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("length", [32, 40, 7])
def test_four_bits_a_group_are_torchs(length):
    rows = weights(5, length) + 0.3
    whole, scale, zero = rounded_groups(rows, 16)
    groups = -(-length // 16)
    assert whole.shape == (5, groups, 16)
    filled = torch.nn.functional.pad(rows, (0, groups * 16 - length)).view(-1, 16)
    theirs = torch.fake_quantize_per_channel_affine(
        filled, scale.flatten(), zero.flatten().to(torch.int32), 0, 0, 15
    )
    ours = scale[..., None] * (whole.float() - zero.float()[..., None])
    assert torch.equal(ours.view(-1, 16), theirs)
    assert (ours.view(-1, 16) - filled).abs().max() <= scale.max() * 1.01
    assert int(whole.max()) == 15
    assert torch.equal(ours.view(5, -1)[:, length:], torch.zeros(5, groups * 16 - length))  # nothing stays nothing
    one_scale = rounded_groups(torch.cat([rows, 100 * rows]), 10**3 * 2)
    assert one_scale[1].shape == (10, 1)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_two_numbers_to_a_byte(count):
    numbers = torch.randint(0, 16, (count,), generator=torch.Generator().manual_seed(count))
    content = packed(numbers)
    assert content.dtype == torch.uint8
    assert len(content) == -(-count // 2)
    assert unpacked(content, count).tolist() == numbers.tolist()
    assert packed(torch.tensor([1, 2])).tolist() == [1 + 2 * 16]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_go_back_to_their_axis(axis):
    tensor = weights(3, 4, 5)
    assert torch.equal(from_rows(tensor.movedim(axis, 0).flatten(1), (3, 4, 5), axis), tensor)


@pytest.mark.parametrize(("bits", "least"), [(8, 1 / 200), (4, 1 / 12)])
def test_a_file_gives_back_every_tensor(bits, least, tmp_path):
    tied = weights(9, 33)
    state = {
        "a.weight": weights(6, 3, 5, 5), "turned.weight": weights(4, 7, 3, seed=1), "a.bias": weights(6),
        "embedding.weight": tied, "head.weight": tied, "steps": torch.tensor(3),
    }  # fmt: skip
    axes = {"a.weight": 0, "turned.weight": 1, "embedding.weight": 0, "head.weight": 0}
    inputs = {"a": (0.1, 7)} if bits == 8 else {}
    made = IntegerWeights.of(state, axes, bits=bits, group=32, inputs=inputs, facts={"run_id": "r"})
    path = tmp_path / "w.safetensors"
    path.write_bytes(made.content())
    read = IntegerWeights.read(path)
    assert (read.bits, read.group, read.inputs, read.facts) == (bits, 32, inputs, {"run_id": "r"})
    back = read.state()
    assert set(back) == set(state)
    for name, tensor in state.items():
        assert back[name].shape == tensor.shape
        if name not in axes:
            assert torch.equal(back[name], tensor)
        else:
            assert back[name].dtype == torch.float32
            assert (back[name] - tensor).abs().max() <= least * (tensor.max() - tensor.min())
            assert not torch.equal(back[name], tensor)
    again = IntegerWeights.of(back, axes, bits=bits, group=32).state()
    for name in axes:
        assert torch.allclose(again[name], back[name], atol=1e-5)  # what is rounded stays
    numbers = sum(state[name].numel() for name in ("a.weight", "turned.weight", "embedding.weight"))  # tied: once
    rows = 6 + 7 + 9
    if bits == 8:
        assert read.num_bytes == numbers + 4 * rows + 4 * 6 + 8
    else:
        groups = 6 * 3 + 7 * 1 + 9 * 2  # 75, 12 and 33 numbers a row
        assert read.num_bytes == 16 * groups + 4 * groups + (18 // 2 + 4 + 18 // 2) + 4 * 6 + 8


def test_another_file_is_told(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(InputFileError, match="cannot read the weights"):
        IntegerWeights.read(tmp_path / "none.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no weights as integers"):
        IntegerWeights.read(tmp_path / "other.safetensors")
    (tmp_path / "text").write_text(json.dumps({}))
    with pytest.raises(CheckpointError, match="no safetensors file"):
        IntegerWeights.read(tmp_path / "text")
